"""Features of any network at named layers, in one pass, with nothing left behind."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from explainers.classifier.features import FeatureReader, Stage, require_logits
from explainers.classifier.layer_probe import Layer, Probe, calls_of, probe, tensor_of
from explainers.classifier.timm_reader import TimmReader
from explainers.errors import InputError, did_you_mean

FINEST = 4  # pixels; finer layers are not read unless they are named
BLOCKS = 4  # of a network whose layers all have the same stride, so many are read


class LayerReader:
    """Reads a network that is not timm's; see `features.FeatureReader`.

    Args:
        network: in eval mode.
        image: (1 3 h w), normalised, of the size that it was made for.
        layers: names of the layers to read, shallowest first; by default the last one at each
            stride from 4 pixels on or, where all have the same, the last four of its blocks.
        classifier_layer: name of the linear layer that gives the logits; by default, it is found.

    Attributes:
        layers: the layers that are read, and what is pooled after them.
        last: name of the layer that gives the logits; None where it is not known.

    Raises:
        InputError: a layer is unknown, or puts out neither maps nor tokens; or none is found.
    """

    def __init__(
        self,
        network: nn.Module,
        image: Tensor,
        layers: Sequence[str] | None = None,
        classifier_layer: str | None = None,
    ) -> None:
        self.network = network
        self.name = type(network).__name__
        self._probe = probe(network, image)
        self.layers = self._chosen(layers)
        self.last = classifier_layer or self._probe.last
        if classifier_layer is not None and classifier_layer not in self._probe.linear:
            raise InputError(
                f"classifier_layer {classifier_layer!r} is no linear layer of {self.name}; "
                f"{did_you_mean(classifier_layer, self._probe.linear)}"
            )

    def _chosen(self, names: Sequence[str] | None) -> list[Layer]:
        """The layers to read, and after them what is pooled."""
        known = {layer.name: layer for layer in self._probe.layers}
        if names is None:
            chosen = default_layers(self._probe)
            if not chosen:
                raise InputError(
                    f"no layer of {self.name} puts out maps or tokens of places; its features "
                    "cannot be read, only its logits"
                )
            return chosen
        everything = dict(self.network.named_modules())
        for name in names:
            if name not in everything:
                raise InputError(
                    f"{self.name} has no layer {name!r}; {did_you_mean(name, list(known))}"
                )
            if name not in known:
                listed = ", ".join(f"{one.name} {one.shape}" for one in self._probe.outermost[-8:])
                raise InputError(
                    f"the layer {name!r} of {self.name} puts out neither one map nor tokens that "
                    f"are places of the image; the last of those that do: {listed}"
                )
        listed_layers = [known[name] for name in names]
        return [*listed_layers, listed_layers[-1]]

    @property
    def known(self) -> list[Layer]:
        """Layers that can be read, in the order in which they ended; of alike ones the outermost."""
        listed = [*self._probe.outermost, *self.layers]
        return [layer for layer in self._probe.layers if layer in listed]

    def inside(self, layer: Layer) -> list[str]:
        """Names of the layer and of those in it that are shaped as it is, as they ended."""
        return [
            one.name
            for one in self._probe.layers
            if f"{one.name}.".startswith(f"{layer.name}.") and one.shape == layer.shape
        ]

    @property
    def stages(self) -> list[Stage]:
        """The layers, and once more the last of them, which is taken for what is pooled."""
        return [layer.stage for layer in self.layers]

    @property
    def default_stage(self) -> int:
        """The pooled layer; where there are class tokens, the layer that the last block reads."""
        return -3 if self.layers[-1].prefix and len(self.layers) > 2 else -1

    def features(self, images: Tensor, stages: Sequence[int], norm: bool = True) -> list[Tensor]:
        """Feature maps (b channels _ _), in the order asked; tokens as the layers put them out."""
        return self._read(images, stages)[1]

    def logits_and_features(
        self, images: Tensor, stages: Sequence[int], norm: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (b classes) and, of the same pass, feature maps."""
        answer, maps = self._read(images, stages)
        return require_logits(answer, self.name), maps

    def _read(self, images: Tensor, stages: Sequence[int]) -> tuple[Any, list[Tensor]]:
        """The network's answer, and feature maps of the same pass."""
        wanted = [self.layers[stage] for stage in stages]
        with calls_of(self.network, list({layer.name for layer in wanted})) as found:
            answer = self.network(images)
        size = images.shape[-2:]
        outputs = [tensor_of(found[layer.name][-1].output) for layer in wanted]
        return answer, [self._laid_out(*pair, size) for pair in zip(outputs, wanted, strict=True)]

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (b d) that the last layer reads."""
        name = self._last_name()
        with calls_of(self.network, [name]) as found:
            self.network(images)
        embeddings: Tensor = found[name][-1].arguments[0].flatten(1)
        return embeddings

    def last_layer(self) -> nn.Module:
        """The layer that gives the logits; InputError if it is not known."""
        return self.network.get_submodule(self._last_name())

    def _last_name(self) -> str:
        if self.last is None:
            raise InputError(
                f"no linear layer of {self.name} puts out its logits; name it as classifier_layer: "
                f"{', '.join(self._probe.linear[-8:]) or 'it has none'}"
            )
        return self.last

    def as_maps(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Bring what a layer puts out to maps (b channels _ _), by the layers that are known."""
        for layer in self._probe.layers:
            if tuple(features.shape[1:]) == layer.shape[1:]:
                return self._laid_out(features, layer, size)
        return features

    def _laid_out(self, features: Tensor, layer: Layer, size: Sequence[int]) -> Tensor:
        if layer.layout == "maps":
            return features
        if layer.layout == "channels last":
            return features.permute(0, 3, 1, 2)
        grid = [side // layer.reduction for side in size]
        maps: Tensor = features[:, layer.prefix :].transpose(1, 2).unflatten(2, grid)
        return maps


def default_layers(found: Probe) -> list[Layer]:
    """Layers that are read where none are named, and after them what is pooled."""
    coarse = [layer for layer in found.outermost if layer.reduction >= FINEST]
    if not coarse:
        return found.outermost[-1:] * 2
    last_at = {layer.reduction: layer for layer in _units(found.layers) if layer in coarse}
    chosen = [last_at[reduction] for reduction in sorted(last_at)]
    return [*(chosen if len(chosen) > 1 else _last_blocks(found.layers)), coarse[-1]]


def _units(layers: Sequence[Layer]) -> list[Layer]:
    """For each layer, the outermost one that it is part of and that spans two strides at most.

    So a block that halves the resolution is one unit, and a backbone is none.
    """
    strides: dict[str, set[int]] = defaultdict(set)
    for layer in layers:
        for name in _around(layer.name):
            strides[name].add(layer.reduction)
    everything = {layer.reduction for layer in layers}
    known = {layer.name: layer for layer in layers}
    units = []
    for layer in layers:
        narrow = [
            name
            for name in _around(layer.name)
            if name in known and len(strides[name]) <= 2 < len(everything)
        ]
        units.append(known[narrow[0]] if narrow else layer)
    return units


def _around(name: str) -> list[str]:
    """Names of the modules that a layer is in, the outermost first, and its own."""
    return list(accumulate(name.split("."), lambda outer, inner: f"{outer}.{inner}"))


def _last_blocks(layers: Sequence[Layer]) -> list[Layer]:
    """The last four of the largest group of layers of one class and shape, side by side."""
    groups: dict[tuple[str, str, tuple[int, ...]], list[Layer]] = defaultdict(list)
    for layer in layers:
        groups[layer.name.rpartition(".")[0], layer.kind, layer.shape].append(layer)
    largest = max(groups.items(), key=lambda group: (len(group[1]), -group[0][0].count(".")))[1]
    return largest[-BLOCKS:]


def reader_of(
    network: nn.Module,
    prepare: Callable[[Tensor], Tensor],
    size: Sequence[int],
    layers: Sequence[str] | None,
    classifier_layer: str | None,
) -> FeatureReader:
    """Timm's own reader for its networks, unless layers are named; else a `LayerReader`.

    Args:
        network: in eval mode.
        prepare: normalises images (b 3 h w) in [0, 1] for it.
        size: height and width of its images, in pixels.
        layers: as of `LayerReader`.
        classifier_layer: likewise.
    """
    if hasattr(network, "forward_intermediates") and not (layers or classifier_layer):
        return TimmReader(network)
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    devices = (weight.device for weight in network.parameters())
    image = prepare(noise.to(next(devices, noise.device)))
    return LayerReader(network, image, layers, classifier_layer)
