"""The classifier under explanation: a network that is never trained and normalises for itself."""

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import last_layer, serialisation, timm_source, weight_files
from explainers.classifier.batch_norm_folding import fold_batch_norms
from explainers.classifier.class_names import class_names as names_of
from explainers.classifier.class_names import read_class_names
from explainers.classifier.features import (
    Stage,
    as_maps,
    nearest_size,
    read_features,
    read_logits_and_features,
    require_logits,
    require_size,
    require_timm,
    stages_of,
)
from explainers.classifier.image_format import image_format_of, require_preparation


class FrozenClassifier(nn.Module):
    """A classifier with fixed weights that hands out logits, embeddings and feature maps.

    Images are RGB in [0, 1] and of any size. Where the architecture allows only some sizes, they
    are resized bilinearly to the nearest one, inside, so that gradients still reach the image.

    Args:
        model: a source that `timm_source.create` knows, or a module of your own that maps normalised
            images (b 3 h w) to logits (b classes).
        pretrained: load the published weights; False draws random ones.
        weights: a checkpoint file to take the weights from.
        num_classes: classes to tell apart; by default as many as the weights do.
        mean: of each channel, subtracted from the images; needed for a module of your own.
        std: of each channel, the images are divided by it; needed for a module of your own.
        size: height and width in pixels that the model was made for; needed likewise.
        class_names: what to call the classes, in the order of the logits; or a text file with a
            name a line. Known for ImageNet models.
        fold_batch_norm: make batch norms part of the convolutions before them, which is exact to
            rounding and faster; a module of your own is copied first.

    Raises:
        InputError: the source is unknown or incomplete, or a value is out of its range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: str | nn.Module,
        *,
        pretrained: bool = True,
        weights: str | None = None,
        num_classes: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: Sequence[int] | None = None,
        class_names: Sequence[str] | str | None = None,
        fold_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.source = serialisation.description(
            model,
            pretrained,
            fold_batch_norm,
            weights=weights,
            num_classes=num_classes,
            mean=mean,
            std=std,
            size=size,
            class_names=read_class_names(class_names),
        )
        if isinstance(model, nn.Module):
            require_preparation(model, mean=mean, std=std, size=size)
            model = copy.deepcopy(model) if fold_batch_norm else model
        else:
            model = timm_source.create(model, pretrained, weights, num_classes)
        chosen = image_format_of(model, mean, std, size)
        self.size, self.crop_fraction = chosen.size, chosen.crop_fraction
        self.interpolation = chosen.interpolation
        for name, values in (("mean", chosen.mean), ("std", chosen.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.model = model.requires_grad_(False).to(memory_format=torch.channels_last)
        self.eval()
        require_size(self.model, self, self.size)
        self._unfolded: dict[str, str] = {}
        if fold_batch_norm:
            self._fold()
        self._names: list[str] | None = None
        self._counted: int | None = None

    @classmethod
    def of(cls, source: "ClassifierSource") -> "FrozenClassifier":
        """Build from a name, from a dict of this class's arguments, or take an instance as it is.

        Raises:
            InputError: it is none of these, lacks `model`, or has a key that is no argument.
        """
        if isinstance(source, FrozenClassifier):
            return source
        return cls(**serialisation.arguments_of(source, inspect.signature(cls).parameters))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to logits (b classes).

        Raises:
            InputError: the model answers with anything else.
        """
        return require_logits(self.model(self.prepare(images)), self.name)

    def embed(self, images: Tensor) -> Tensor:
        """Map images (b 3 h w) in [0, 1] to the embeddings (b d) that the last layer reads."""
        model = require_timm(self.model, "embed")
        pooled: Tensor = model.forward_head(
            model.forward_features(self.prepare(images)), pre_logits=True
        )
        return pooled

    def features(self, images: Tensor, stages: Sequence[int], norm: bool = True) -> list[Tensor]:
        """Map images (b 3 h w) in [0, 1] to feature maps (b channels _ _), in the order asked.

        Args:
            images: RGB in [0, 1].
            stages: positions in `stages`; negative counts from the last, which is what the
                network pools for its decision.
            norm: pass a transformer's tokens of inner stages through its final norm.
        """
        return read_features(self.model, self.prepare(images), stages, norm)

    def logits_and_features(
        self, images: Tensor, stages: Sequence[int], norm: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits and feature maps, as `forward` and `features` give them, in one pass."""
        return read_logits_and_features(self.model, self.prepare(images), stages, norm)

    @property
    def stages(self) -> list[Stage]:
        """Stages that features can be read at: timm's, shallowest first, then the pooled ones."""
        return stages_of(self.model)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        known = getattr(self.model, "num_classes", None)
        if isinstance(known, int):
            return known
        if self._counted is None:
            with torch.inference_mode():
                self._counted = int(self(self.mean.new_zeros(1, 3, *self.size)).shape[1])
        return self._counted

    @property
    def class_weights(self) -> Tensor:
        """Rows (classes channels) of the linear layer that reads the pooled features.

        Raises:
            InputError: the network decides by anything but one linear layer on pooled features.
        """
        return last_layer.class_rows(self.model, self.name)

    @property
    def class_bias(self) -> Tensor:
        """The bias (classes) beside `class_weights`; zeros where there is none."""
        return last_layer.class_bias(self.model, self.name)

    @property
    def name(self) -> str:
        """The source as a person would name it."""
        return str(self.source["model"])

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; `class 0`, `class 1`, … where there are none.

        Raises:
            InputError: the names that were given are not as many as the classes.
        """
        return self.known_names or [f"class {index}" for index in range(self.num_classes)]

    @property
    def known_names(self) -> list[str] | None:
        """Names of the classes: given ones, the model's own, or ImageNet's; None without any."""
        if self._names is None:
            self._names = names_of(self.model, self.num_classes, self.source.get("class_names"))
        return self._names

    def name_classes(self, names: Sequence[str]) -> None:
        """Give the classes names, in the order of the logits; InputError if they are not as many."""
        self._names = names_of(self.model, self.num_classes, names)
        self.source["class_names"] = list(names)

    def fingerprint(self) -> str:
        """SHA-256 of the weights before any folding; see `weight_files.fingerprint`."""
        now = weight_files.fingerprint(self.model)
        return self._unfolded.get(now, now)

    def _fold(self) -> None:
        before = weight_files.fingerprint(self.model)
        fold_batch_norms(self.model, self.prepare(torch.rand(1, 3, *self.size)))
        self._unfolded[weight_files.fingerprint(self.model)] = before

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: the batch statistics are as frozen as the weights."""
        return super().train(False)

    def prepare(self, images: Tensor) -> Tensor:
        """Resize images (b 3 h w) in [0, 1] where need be, and normalise them for the model.

        They come out in the precision of its weights.
        """
        size = self.nearest_size(images.shape[-2:])
        if size != tuple(images.shape[-2:]):
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        normalised = (images - self.mean) / self.std
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
        return as_maps(self.model, features, self.nearest_size(size))


ClassifierSource = str | dict[str, Any] | FrozenClassifier
"""A classifier by name, by the arguments of `FrozenClassifier`, or ready made."""


def frozen_networks(module: nn.Module) -> dict[str, FrozenClassifier]:
    """The frozen networks inside a module, by where they are."""
    return {
        name: part for name, part in module.named_modules() if isinstance(part, FrozenClassifier)
    }
