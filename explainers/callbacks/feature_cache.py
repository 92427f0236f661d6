"""A cache of frozen networks' answers to training images that come back, on a disk."""

import hashlib
import logging
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from explainers.classifier import frozen_networks
from explainers.errors import InputError
from explainers.training.answer_files import AnswerFiles, room_in
from explainers.training.learned_explainer import LearnedExplainer

logger = logging.getLogger(__name__)


class FeatureCache(Callback):
    """Spares a fit the frozen networks' first passes on images that it has seen before.

    An image is known by its pixels, so what is found is never another image's, and random crops,
    which do not come back, gain nothing: let the data repeat itself (`crops` of
    `ShardsDataModule`). Further fits with the same frozen networks may share the folder.

    Args:
        folder: where to keep what they say; 1.5 MB an image for a ResNet-18 at 224 pixels.
        limit: of the folder, in GiB; images beyond it are read each time.

    Raises:
        InputError: the limit is not positive, or the explainer is none that trains.
    """

    def __init__(self, folder: str, limit: float = 50.0) -> None:
        if limit <= 0:
            raise InputError(f"limit must be over 0 GiB, got {limit}; or leave the cache out")
        self.folder = Path(folder)
        self.limit = limit
        self._epochs = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stand between training and the frozen networks."""
        if not isinstance(pl_module, LearnedExplainer):
            raise InputError(
                f"{type(pl_module).__name__} does not train; leave the feature cache out"
            )
        room = room_in(self.folder, self.limit, trainer.world_size)
        self.memory = AnswerFiles(self.folder / _identity(pl_module, trainer.precision), room)
        pl_module.feature_cache = self.memory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the share of images that were found, and say once if none ever is."""
        found, asked = self.memory.found, self.memory.asked
        self.memory.found = self.memory.asked = 0
        pl_module.log("train/feature_cache_hits", found / max(asked, 1), sync_dist=True)
        self._epochs += 1
        if self._epochs == 2 and not found:
            rank_zero_only(logger.warning)(
                "no image of two epochs came back yet, and random crops never do: set `crops` of "
                "the data to how many crops of an image are to be seen, or leave the feature "
                "cache out"
            )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Step aside."""
        if isinstance(pl_module, LearnedExplainer):
            pl_module.feature_cache = None


def _identity(explainer: LearnedExplainer, precision: object) -> str:
    """A name for what readings depend on beside the image."""
    networks = [
        (network.fingerprint(), network.mean.tolist(), network.std.tolist())
        for network in frozen_networks(explainer).values()
    ]
    network = explainer.network
    read: list[object] = [network.read_stages, network.final_norm]
    if layers := network.backbone.source.get("layers"):  # what the stages stand for
        read.append(list(layers))
    what = [networks, type(network).__name__, *read, precision]
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
