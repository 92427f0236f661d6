"""The classifier under explanation: its classes, their names, rows of weights, probabilities."""

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from explainers.classifier import last_layer, serialisation, sources
from explainers.classifier.class_names import class_names as names_of
from explainers.classifier.class_names import read_class_names
from explainers.classifier.decision import Decision
from explainers.classifier.frozen_network import FrozenNetwork
from explainers.classifier.image_format import image_format_of
from explainers.classifier.seeding import seeded
from explainers.classifier.text_tower import TextTower, require_texts, text_head_of
from explainers.classifier.weight_redraw import redraw
from explainers.errors import InputError


class FrozenClassifier(FrozenNetwork):
    """A classifier with fixed weights that hands out logits, embeddings and feature maps.

    Images are RGB in [0, 1] and of any size. Where the architecture allows only some sizes, they
    are resized bilinearly to the nearest one, inside, so that gradients still reach the image.

    Args:
        model: a source that `sources.create` knows, or a module of your own that maps normalised
            images (b 3 h w) to logits (b classes).
        pretrained: load the published weights; False draws random ones.
        weights: a checkpoint file to take the weights from.
        num_classes: classes to tell apart; by default as many as the weights do.
        classes: texts to tell apart, two or more, for a network with a text tower; or a text file
            with a text a line.
        mean: of each channel, subtracted from the images; needed for a module of your own.
        std: of each channel, the images are divided by it; needed for a module of your own.
        size: height and width in pixels that the model was made for; needed likewise.
        class_names: what to call the classes, in the order of the logits; or a text file with a
            name a line. Known for ImageNet models.
        activation: of the logits into probabilities, a key of `decision.ACTIVATIONS`: softmax for
            one class an image, sigmoid for any number of them.
        threshold: the probability from which an image shows a class, where it can show several.
        layers: names of layers to read features at, shallowest first; found by default.
        classifier_layer: name of the linear layer that gives the logits; likewise.
        fold_batch_norm: make batch norms part of the convolutions before them, which is exact to
            rounding and faster; a module of your own is copied first.
        redraw_seed: draw all weights anew from this seed, which shows what of an explanation
            depends on those that were learned; a module of your own is copied first.

    Attributes:
        decision: the reading of its logits as probabilities.

    Raises:
        InputError: the source is unknown or incomplete, or a value is out of its range.
    """

    def __init__(
        self,
        model: str | nn.Module,
        *,
        pretrained: bool = True,
        weights: str | None = None,
        num_classes: int | None = None,
        classes: Sequence[str] | str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: Sequence[int] | None = None,
        class_names: Sequence[str] | str | None = None,
        activation: str = "softmax",
        threshold: float = 0.5,
        layers: Sequence[str] | None = None,
        classifier_layer: str | None = None,
        fold_batch_norm: bool = False,
        redraw_seed: int | None = None,
    ) -> None:
        texts = classes if classes is None else require_texts(read_class_names(classes, "texts"))
        decision = Decision(activation, threshold)
        source = serialisation.description(
            model,
            pretrained,
            fold_batch_norm,
            weights=weights,
            num_classes=num_classes,
            classes=texts,
            mean=mean,
            std=std,
            size=size,
            class_names=read_class_names(class_names),
            activation=None if decision.exclusive else activation,
            threshold=None if threshold == Decision.threshold else threshold,
            layers=layers,
            classifier_layer=classifier_layer,
            redraw_seed=redraw_seed,
        )
        if isinstance(model, nn.Module):
            changed = fold_batch_norm or redraw_seed is not None
            network = sources.Network(copy.deepcopy(model) if changed else model)
        else:
            own_names = bool(layers or classifier_layer)
            # What is drawn anew keeps the scale of what was there, so that has to be repeatable.
            drawn = not pretrained and weights is None
            with seeded(redraw_seed if drawn else None):
                network = sources.create(
                    model, pretrained, weights, num_classes, own_names, texts is not None
                )
        image_format = image_format_of(network.model, mean, std, size, network.image_format)
        if redraw_seed is not None:
            redraw(network.model, redraw_seed, image_format.size)
        super().__init__(network.model, image_format, source, fold_batch_norm)
        self.decision = decision
        self._known_names = network.class_names
        self._text_tower: TextTower | None = network.text_tower
        self._names: list[str] | None = None
        self._counted: int | None = None
        if texts is not None:
            self._compare_with(texts)

    @classmethod
    def of(cls, source: "str | dict[str, Any] | FrozenClassifier") -> "FrozenClassifier":
        """Build from a name, from a dict of this class's arguments, or take an instance as it is.

        Raises:
            InputError: it is none of these, lacks `model`, or has a key that is no argument.
        """
        if isinstance(source, FrozenClassifier):
            return source
        return cls(**serialisation.arguments_of(source, inspect.signature(cls).parameters))

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

    def logits_of_pooled(self, pooled: Tensor) -> Tensor:
        """Logits (b classes) of pooled features (b channels); raises as `class_weights`."""
        return last_layer.logits_of_pooled(self.reader, self.name, pooled)

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
        """Names of the classes: given ones, texts, the model's own, or ImageNet's; None without."""
        given = self.source.get("class_names") or self.source.get("classes") or self._known_names
        return names_of(self.model, self.num_classes, given)

    def name_classes(self, names: Sequence[str]) -> None:
        """Give the classes names, in the order of the logits; InputError if they are not as many."""
        self._names = names_of(self.model, self.num_classes, names)
        self.source["class_names"] = list(names)

    @property
    def compares_texts(self) -> bool:
        """Whether it has a text tower, so that any texts can be its classes."""
        return self._text_tower is not None

    def tell_apart(self, texts: Sequence[str]) -> None:
        """Tell other classes apart, given as texts; at once, without training.

        Raises:
            InputError: the network has no text tower, or the texts are no classes.
        """
        texts = require_texts(texts)
        self._compare_with(texts)
        self.source["classes"] = texts
        self.source.pop("class_names", None)
        self._names = None

    def text_rows(self, texts: Sequence[str]) -> Tensor:
        """Rows (n channels) of texts, whose products with pooled features are their logits.

        Raises:
            InputError: the network has no text tower, or no such rows; see `class_weights`.
        """
        encoded, head = self._encoded(texts), text_head_of(self.model)
        rows = None if head is None else head.rows_of(encoded)
        if rows is None:
            raise last_layer.no_rows(self.name)
        return rows

    def _compare_with(self, texts: Sequence[str]) -> None:
        encoded, head = self._encoded(texts), text_head_of(self.model)
        if head is not None:
            head.texts = encoded
        self.model.num_classes = len(texts)  # type: ignore[assignment]  # as timm's

    def _encoded(self, texts: Sequence[str]) -> Tensor:
        if self._text_tower is None:
            raise InputError(
                f"{self.name} has no text tower, and classes as texts need one; give "
                "open_clip:ARCH@PRETRAINED, or name the classes of this network as class_names"
            )
        return self._text_tower.encode(texts).to(self.mean)
