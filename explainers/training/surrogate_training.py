"""The training of a masked-input surrogate: resumable, into a folder of its own."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from explainers.durable_files import write_aside
from explainers.errors import InputError
from explainers.training.masked_surrogate import MaskedSurrogate

SETTINGS = "settings.json"
BETWEEN = 100  # steps between checkpoints


def train_surrogate(
    surrogate: MaskedSurrogate,
    data: LightningDataModule,
    folder: Path,
    steps: int,
    settings: dict[str, Any],
    callbacks: Sequence[Callback] = (),
    plugins: Sequence[Any] = (),
) -> Path:
    """Train a surrogate, from where an earlier run with the same settings was stopped.

    A folder that holds a trained one is left as it is.

    Args:
        surrogate: what is trained.
        data: its train split is what is trained on, and its validation split what the result is
            measured on.
        folder: of the checkpoints and of the result.
        steps: of the optimiser.
        settings: plain values that a run which goes on has to share.
        callbacks: of the trainer, beside those that keep checkpoints.
        plugins: of the trainer.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds a run with other settings.
    """
    _require_same(folder / SETTINGS, settings)
    if (folder / "config.json").is_file():
        return folder
    checkpoints = folder / "checkpoints"
    keep = ModelCheckpoint(checkpoints, every_n_train_steps=BETWEEN, save_top_k=1, monitor=None)
    trainer = Trainer(
        max_steps=steps,
        max_epochs=-1,
        devices=1,
        logger=False,
        default_root_dir=folder,
        callbacks=[keep, *callbacks],
        plugins=list(plugins),
        limit_val_batches=0,
        use_distributed_sampler=False,
        enable_model_summary=False,
    )
    found = sorted(checkpoints.glob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    trainer.fit(surrogate, datamodule=data, ckpt_path=found[-1] if found else None)
    data.setup("validate")
    before, after = measured(surrogate, data.val_dataloader())
    surrogate.save(folder, settings | {"divergence": after, "divergence_of_the_classifier": before})
    return folder


@torch.no_grad()
def measured(surrogate: MaskedSurrogate, batches: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """Mean divergence under random masks, of the classifier itself and of its surrogate.

    Args:
        surrogate: trained or not.
        batches: of images that it was not trained on.
    """
    surrogate.eval()
    totals, count = torch.zeros(2, dtype=torch.float64), 0
    network = surrogate.network
    for index, batch in enumerate(batches):
        images: Tensor = batch["image"].to(surrogate.device)
        if not len(images):
            continue
        for column, answering in enumerate((surrogate.classifier, network)):
            surrogate.network = answering
            totals[column] += len(images) * surrogate.divergence(images, index).item()
        count += len(images)
    surrogate.network = network
    before, after = (totals / max(count, 1)).tolist()
    return before, after


def _require_same(path: Path, settings: dict[str, Any]) -> None:
    """Keep the settings of a run, and refuse others where they are known."""
    plain = json.loads(json.dumps(settings, default=str))
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in plain if kept.get(name) != plain[name]]
        if differing:
            name = differing[0]
            raise InputError(
                f"{path.parent} holds a surrogate of other settings: {name} was {kept.get(name)!r}, "
                f"and is {plain[name]!r}; name another folder"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, json.dumps(plain, indent=2).encode())
