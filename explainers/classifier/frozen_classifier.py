"""The classifier under explanation: a network that is never trained and normalises for itself."""

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import last_layer, serialisation, sources, weight_files
from explainers.classifier.batch_norm_folding import fold_and_remember
from explainers.classifier.class_names import class_names as names_of
from explainers.classifier.class_names import read_class_names
from explainers.classifier.features import FeatureReader, Stage, require_logits
from explainers.classifier.image_format import image_format_of
from explainers.classifier.image_sizes import nearest_size, require_size
from explainers.classifier.layer_reader import reader_of


class FrozenClassifier(nn.Module):
    """A classifier with fixed weights that hands out logits, embeddings and feature maps.

    Images are RGB in [0, 1] and of any size. Where the architecture allows only some sizes, they
    are resized bilinearly to the nearest one, inside, so that gradients still reach the image.

    Args:
        model: a source that `sources.create` knows, or a module of your own that maps normalised
            images (b 3 h w) to logits (b classes).
        pretrained: load the published weights; False draws random ones.
        weights: a checkpoint file to take the weights from.
        num_classes: classes to tell apart; by default as many as the weights do.
        mean: of each channel, subtracted from the images; needed for a module of your own.
        std: of each channel, the images are divided by it; needed for a module of your own.
        size: height and width in pixels that the model was made for; needed likewise.
        class_names: what to call the classes, in the order of the logits; or a text file with a
            name a line. Known for ImageNet models.
        layers: names of layers to read features at, shallowest first; found by default.
        classifier_layer: name of the linear layer that gives the logits; likewise.
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
        layers: Sequence[str] | None = None,
        classifier_layer: str | None = None,
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
            layers=layers,
            classifier_layer=classifier_layer,
        )
        if isinstance(model, nn.Module):
            network = sources.Network(copy.deepcopy(model) if fold_batch_norm else model)
        else:
            own_names = bool(layers or classifier_layer)
            network = sources.create(model, pretrained, weights, num_classes, own_names)
        model = network.model
        chosen = image_format_of(model, mean, std, size, network.image_format)
        self.size, self.crop_fraction = chosen.size, chosen.crop_fraction
        self.interpolation, self._reversed = chosen.interpolation, chosen.reversed_channels
        self._known_names = network.class_names
        for name, values in (("mean", chosen.mean), ("std", chosen.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.model = model.requires_grad_(False).to(memory_format=torch.channels_last)
        self.eval()
        require_size(self.model, self, self.size)
        self._unfolded: dict[str, str] = {}
        if fold_batch_norm:
            image = self.prepare(torch.rand(1, 3, *self.size))
            self._unfolded = fold_and_remember(self.model, image)
        self._reader: FeatureReader | None = None
        if layers or classifier_layer:
            _ = self.reader  # refuses what the network does not have
        self._names: list[str] | None = None
        self._counted: int | None = None

    @classmethod
    def of(cls, source: "str | dict[str, Any] | FrozenClassifier") -> "FrozenClassifier":
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

    @property
    def num_classes(self) -> int:
        """Number of classes; two for a network of one logit."""
        known = getattr(self.model, "num_classes", None)
        if isinstance(known, int):
            return 2 if known == 1 else known
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
        return last_layer.class_rows(self.reader, self.name)

    @property
    def class_bias(self) -> Tensor:
        """The bias (classes) beside `class_weights`; zeros where there is none."""
        return last_layer.class_bias(self.reader, self.name)

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
        if self._names is None:
            numbered = [f"class {index}" for index in range(self.num_classes)]
            self._names = self.known_names or numbered
        return self._names

    @property
    def known_names(self) -> list[str] | None:
        """Names of the classes: given ones, the model's own, or ImageNet's; None without any."""
        given = self.source.get("class_names") or self._known_names
        return names_of(self.model, self.num_classes, given)

    def name_classes(self, names: Sequence[str]) -> None:
        """Give the classes names, in the order of the logits; InputError if they are not as many."""
        self._names = names_of(self.model, self.num_classes, names)
        self.source["class_names"] = list(names)

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
        """
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
