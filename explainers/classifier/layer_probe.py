"""Layers of any network that put out maps or tokens, found by one pass of an image."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from explainers.classifier.features import Stage, logits_of
from explainers.classifier.text_head import TextHead

MOST_PREFIX_TOKENS = 16  # a class token, a distillation token, registers
Layout = Literal["maps", "channels last", "tokens"]


@dataclass(frozen=True)
class Layer:
    """A module whose output is one map, or one sequence of tokens, an image.

    Attributes:
        name: dotted.
        kind: name of its class.
        shape: of the output (1 …).
        layout: maps (1 channels h w), channels last (1 h w channels) or tokens (1 t channels).
        reduction: stride in pixels.
        prefix: number of tokens before those of the places.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layout: Layout
    reduction: int
    prefix: int = 0

    @property
    def stage(self) -> Stage:
        """Channels and stride."""
        return Stage(self.shape[1 if self.layout == "maps" else -1], self.reduction)


@dataclass(frozen=True)
class Probe:
    """Layers of a network, as one pass of an image shows them.

    Attributes:
        layers: in the order in which they ended.
        outermost: of those that put out the same, the one that the others are in.
        last: name of the layer that gives the logits, None where there is none.
        linear: names of all linear layers.
    """

    layers: list[Layer]
    outermost: list[Layer]
    last: str | None
    linear: list[str]


class Call(NamedTuple):
    """One call of a module: what it was given, and its output."""

    arguments: tuple[Any, ...]
    output: Any


@contextmanager
def calls_of(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, list[Call]]]:
    """Calls of modules by name, in the order in which they ended, in passes that this thread makes."""
    owner = threading.get_ident()
    found: dict[str, list[Call]] = {}
    handles = []
    try:
        for name in names:

            def note(
                part: nn.Module, arguments: tuple[Any, ...], output: object, name: str = name
            ) -> None:
                if threading.get_ident() == owner:
                    found.setdefault(name, []).append(Call(arguments, output))

            handles.append(network.get_submodule(name).register_forward_hook(note))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def tensor_of(output: Any) -> Any:  # noqa: ANN401  whatever a module puts out
    """The output itself, the first of several, or the hidden state of an object."""
    if isinstance(output, tuple | list) and output:
        return output[0]
    return getattr(output, "last_hidden_state", output)


@torch.no_grad()
def probe(network: nn.Module, image: Tensor) -> Probe:
    """Find the layers of a network.

    Args:
        network: in eval mode.
        image: (1 3 h w), normalised.
    """
    names = [name for name, _ in network.named_modules() if name]
    linear = [name for name in names if _is_linear(network.get_submodule(name))]
    with calls_of(network, names) as found:
        logits = logits_of(network(image))
    layers: list[Layer] = []
    outermost: dict[int, Layer] = {}  # by the identity of what they put out
    for name, calls in found.items():
        output = tensor_of(calls[0].output)
        if len(calls) == 1 and isinstance(output, Tensor):
            kind = type(network.get_submodule(name)).__name__
            layer = _layer(name, kind, output, image.shape[-2:])
            if layer:
                layers.append(layer)
                known = outermost.setdefault(id(output), layer)
                if name.count(".") < known.name.count("."):
                    outermost[id(output)] = layer
    once = [name for name in linear if len(found.get(name, ())) == 1]
    last = [name for name in once if _same(found[name][0].output, logits)]
    # As they ended: what is changed in place began as the output of an earlier layer.
    ended = [layer for layer in layers if layer in outermost.values()]
    return Probe(layers, ended, last[-1] if last else None, linear)


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear | TextHead) or (
        isinstance(part, nn.Conv2d) and set(part.kernel_size) == {1}
    )


def _same(output: Any, logits: Any) -> bool:  # noqa: ANN401
    """Whether what a layer puts out is the logits."""
    if not isinstance(output, Tensor) or not isinstance(logits, Tensor):
        return False
    return output.numel() == logits.numel() and torch.equal(output.flatten(), logits.flatten())


def _layer(name: str, kind: str, output: Tensor, size: Sequence[int]) -> Layer | None:
    """The layer, if its output has places that lie on the image, and several channels."""
    shape = tuple(output.shape)
    if output.ndim == 4 and (stride := _stride(size, shape[2:])):
        return Layer(name, kind, shape, "maps", stride)
    if output.ndim == 4 and (stride := _stride(size, shape[1:3])):
        return Layer(name, kind, shape, "channels last", stride)
    if output.ndim == 3 and shape[0] == 1 and shape[2] > 1:
        strides = [one for one in range(1, min(size) + 1) if not (size[0] % one or size[1] % one)]
        for stride in strides:
            places = (size[0] // stride) * (size[1] // stride)
            if places > 1 and 0 <= shape[1] - places <= MOST_PREFIX_TOKENS:
                return Layer(name, kind, shape, "tokens", stride, shape[1] - places)
    return None


def _stride(size: Sequence[int], grid: Sequence[int]) -> int | None:
    """Pixels between places (h w) of a grid; None where it is one place, or not in proportion."""
    (height, width), (rows, columns) = size, grid
    if rows * columns < 4 or rows > height or columns > width:
        return None
    vertical, horizontal = height / rows, width / columns
    if abs(vertical - horizontal) > 0.2 * max(vertical, horizontal):
        return None
    return max(1, round((vertical + horizontal) / 2))
