"""A writer of predicted maps to shards, which goes on where an earlier run was stopped."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from datamodules.maps import PRECISIONS
from datamodules.shard_files.byte_sizes import size_in_bytes
from datamodules.shard_files.writing import ShardWriter
from explainers.base import Explainer
from explainers.callbacks.map_records import SPLIT, described, plain_settings
from explainers.errors import require_known


class MapWriter(Callback):
    """Writes a map for each image of a predict run, as `datamodules.maps.Maps` reads them.

    Where several processes explain, each has a folder of its own below: `RANK-of-PROCESSES`.

    Args:
        output: folder of the shards; by default `maps` in the run's own. Name one to have a run
            that was stopped go on.
        precision: of a map: uint8 (a grey PNG) or float16 (an array).
        max_size: of a shard, in bytes: 256M, 1G or 500000.

    Attributes:
        data: plain values that say what the images are.

    Raises:
        InputError: the precision is unknown.
        ValueError: the size is none.
    """

    def __init__(
        self, output: str | None = None, precision: str = "uint8", max_size: str = "256M"
    ) -> None:
        require_known("precision", precision, PRECISIONS)
        self.output = output
        self.precision = precision
        self.max_size = size_in_bytes(max_size)
        self.data: dict[str, Any] = {}
        self.writer: ShardWriter | None = None

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the folder, and leave out the batches that are done."""
        assert isinstance(pl_module, Explainer)  # for the type checker
        folder = Path(self.output or Path(trainer.log_dir or trainer.default_root_dir) / SPLIT)
        if trainer.world_size > 1:
            folder /= f"{trainer.global_rank}-of-{trainer.world_size}"
        settings = plain_settings(pl_module) | {"data": self.data, "precision": self.precision}
        self.writer = ShardWriter(folder, SPLIT, self.max_size, settings)
        self.writer.__enter__()
        pl_module.first_predicted = self.writer.position

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: dict[str, Any],
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the batch's maps, all to one shard."""
        if self.writer is None or batch_idx < self.writer.position:
            return
        samples, left_out = [], {}
        for index, key in enumerate(outputs["key"]):
            values = outputs["maps"][index]
            if not values.isfinite().all():
                left_out[key] = f"the map of {key} is not finite"
                continue
            json = described(
                outputs["target"][index],
                float(outputs["probabilities"][index]),
                outputs["captions"][index],
                key,
            )
            samples.append((key, PRECISIONS[self.precision](values) | {"json": json}))
        self.writer.add(samples, left_out)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the last shard."""
        self._close(pl_module, None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave nothing half done."""
        self._close(pl_module, exception)

    def _close(self, module: LightningModule, error: BaseException | None) -> None:
        if self.writer is not None:
            assert isinstance(module, Explainer)  # for the type checker
            module.first_predicted = 0  # for runs that do not write
            kind, traceback = (type(error), error.__traceback__) if error else (None, None)
            self.writer.__exit__(kind, error, traceback)
