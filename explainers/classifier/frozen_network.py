"""A network that is never trained and normalises for itself: its images and its features."""

from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import weight_files
from explainers.classifier.batch_norm_folding import fold_and_remember
from explainers.classifier.features import FeatureReader, Stage, require_logits
from explainers.classifier.image_format import ImageFormat
from explainers.classifier.image_sizes import nearest_size, require_size
from explainers.classifier.inference import require_floats
from explainers.classifier.layer_reader import reader_of


class FrozenNetwork(nn.Module):
    """A network with fixed weights that hands out embeddings and feature maps.

    Images are RGB in [0, 1] and of any size. Where the architecture allows only some sizes, they
    are resized bilinearly to the nearest one, inside, so that gradients still reach the image.

    Args:
        model: maps normalised images (b 3 h w) to logits.
        image_format: of its images.
        source: the arguments that build it again, of which `layers` and `classifier_layer` say
            where features are read.
        fold_batch_norm: make batch norms part of the convolutions before them; the model is
            changed.

    Raises:
        InputError: no image of such a size can be shown, or there are no such layers.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        image_format: ImageFormat,
        source: dict[str, Any],
        fold_batch_norm: bool,
    ) -> None:
        super().__init__()
        self.source = source
        self.size, self.crop_fraction = image_format.size, image_format.crop_fraction
        self.interpolation = image_format.interpolation
        self._reversed = image_format.reversed_channels
        for name, values in (("mean", image_format.mean), ("std", image_format.std)):
            column = torch.tensor(values, dtype=torch.float32)[:, None, None]
            self.register_buffer(name, column, persistent=False)
        self.model = model.requires_grad_(False).to(memory_format=torch.channels_last)
        self.eval()
        require_size(self.model, self, self.size)
        self._unfolded: dict[str, str] = {}
        if fold_batch_norm:
            image = self.prepare(torch.rand(1, 3, *self.size))
            self._unfolded = fold_and_remember(self.model, image)
        self._reader: FeatureReader | None = None
        if source.get("layers") or source.get("classifier_layer"):
            _ = self.reader  # refuses what the network does not have

    @property
    def name(self) -> str:
        """The source as a person would name it."""
        return str(self.source["model"])

    def forward(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to logits (b classes).

        Raises:
            InputError: the model answers with anything else.
        """
        return require_logits(self.model(self.prepare(images)), self.name)

    def embed(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to the embeddings (b d) that the last layer reads."""
        return self.reader.embed(self.prepare(images))

    def features(self, images: Tensor, stages: Sequence[int], norm: bool = True) -> list[Tensor]:
        """Map images (b 3 h w) in [0, 1] to feature maps (b channels _ _), in the order asked.

        Args:
            images: RGB in [0, 1].
            stages: positions in `stages`; negative counts from the last, which is what the
                network pools for its decision.
            norm: pass a transformer's tokens of inner stages through its final norm.
        """
        return self.reader.features(self.prepare(images), stages, norm)

    def logits_and_features(
        self, images: Tensor, stages: Sequence[int], norm: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits and feature maps, as `forward` and `features` give them, in one pass."""
        return self.reader.logits_and_features(self.prepare(images), stages, norm)

    @property
    def stages(self) -> list[Stage]:
        """Depths that features can be read at, shallowest first, then the pooled one.

        Raises:
            InputError: no layer of the network puts out maps or tokens.
        """
        return self.reader.stages

    @property
    def reader(self) -> FeatureReader:
        """Reader of the network's features: timm's own, or of layers that are named or found."""
        if self._reader is None:
            named = map(self.source.get, ("layers", "classifier_layer"))
            self._reader = reader_of(self.model, self.prepare, self.size, *named)
        return self._reader

    def fingerprint(self) -> str:
        """SHA-256 of the weights before any folding; see `weight_files.fingerprint`."""
        now = weight_files.fingerprint(self.model)
        return self._unfolded.get(now, now)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: the batch statistics are as frozen as the weights."""
        return super().train(False)

    def prepare(self, images: Tensor) -> Tensor:
        """Resize images (b 3 h w) in [0, 1] where need be, and normalise them for the model.

        They come out in the precision of its weights.

        Raises:
            InputError: they are whole numbers, as of files.
        """
        require_floats(images)
        size = self.nearest_size(images.shape[-2:])
        if size != tuple(images.shape[-2:]):
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        normalised = (images - self.mean) / self.std
        normalised = normalised.flip(1) if self._reversed else normalised
        precisions = (weight.dtype for weight in self.model.parameters())
        normalised = normalised.to(next(precisions, normalised.dtype))
        return normalised.contiguous(memory_format=torch.channels_last)

    def nearest_size(self, size: Sequence[int]) -> tuple[int, int]:
        """The size (h w) nearest to `size` that the model can take."""
        return nearest_size(self.model, size, self.size)

    def as_maps(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Bring what a layer of the model puts out to maps (b channels _ _), whatever its layout.

        Args:
            features: maps, the channels first or last, or tokens (b _ channels).
            size: height and width in pixels of the images, as they came.
        """
        return self.reader.as_maps(features, self.nearest_size(size))
