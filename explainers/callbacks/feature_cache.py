"""A cache of frozen networks' answers to training images that come back, on a disk."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers.classifier import frozen_networks
from explainers.errors import InputError, require_number
from explainers.training.learned_explainer import LearnedExplainer
from explainers.training.masking_network import Readings
from explainers.training.tensor_files import TensorFiles, pixel_digest, room_in

logger = logging.getLogger(__name__)


class Memory:
    """Files of readings, one an image, named by the image's pixels.

    Args:
        folder: where they are; of one set of frozen networks and stages.
        room: bytes that may be added to it.

    Attributes:
        asked: how many images were asked for.
        found: of how many of these the readings were there.
    """

    def __init__(self, folder: Path, room: int) -> None:
        self.files = TensorFiles(
            folder,
            room,
            "the feature cache",
            f"images that are not in {folder} are read each time; raise its limit, give it a disk "
            "with more room, or lower `crops` of the data",
        )
        self.asked = self.found = 0

    def __call__(self, images: Tensor, read: Callable[[Tensor], Readings]) -> Readings:
        """Readings of images (b 3 h w); `read` is asked only for those that are not here yet."""
        names = [pixel_digest(image) for image in images]
        known = {name: parts for name in names if (parts := self.files.load(name)) is not None}
        new = [index for index, name in enumerate(names) if name not in known]
        self.asked += len(names)
        self.found += len(names) - len(new)
        if new:
            logits, features = read(images[new])
            rows = zip(logits, *(maps.permute(0, 2, 3, 1) for maps in features), strict=True)
            for index, row in zip(new, rows, strict=True):
                known[names[index]] = {str(part): value for part, value in enumerate(row)}
                self.files.keep(names[index], known[names[index]])
        stacked = [
            torch.stack([known[name][str(part)].to(images.device) for name in names])
            for part in range(len(known[names[0]]))
        ]
        # As the networks give them: the channels last in memory.
        return stacked[0], [maps.permute(0, 3, 1, 2) for maps in stacked[1:]]


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
        require_number("limit", limit, above=0)
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
        self.memory = Memory(self.folder / _identity(pl_module, trainer.precision), room)
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
    read = network.settings_of_readings
    if layers := network.backbone.source.get("layers"):  # what the stages stand for
        read.append(list(layers))
    what = [networks, type(network).__name__, *read, precision]
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]
