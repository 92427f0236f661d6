"""Model randomisation test: whether a map changes with the weights that it claims to explain.

Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292), cascading.

    labels = explainer.resolve_target(images, None)  # those of the model as it was, throughout
    maps = explainer(images, labels)
    with randomised(explainer.classifier.model, seed=0) as layers:
        changed = torch.cat([explainer(images, labels) for _ in layers], dim=1)
    metric.update(maps, changed)

Only the classifier is randomised. A method that reads nothing of it but the target, such as P-TAME,
whose auxiliary is a network of its own, answers as before and scores 1: rightly, as its map at that
moment does not depend on the classifier. What ties the two together is the training.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from explainers.metrics.parts.image_mean import ImageMean
from explainers.metrics.parts.map_similarity import spearman, ssim


@contextmanager
def randomised(model: nn.Module, seed: int = 0, depth: int = 2) -> Iterator[Iterator[str]]:
    """Randomise a model layer by layer, from the logits down, while the context lasts.

    The context gives an iterator: each step randomises the next layer, leaves those before it
    random, and yields the layer's name. On leaving, also by an exception, all weights are back.

    Every weight is drawn anew from a normal distribution with the mean and standard deviation of
    its tensor, so that activations keep their scale. Batch statistics become the same for all
    channels. A tensor of one value repeated stays: there is nothing learned in it to lose.

    Args:
        model: layers are taken in the order of their definition, last first, as in timm's models.
        seed: of the weights.
        depth: how many parts of a module's dotted name make a layer: 1 for a network's stages, 2
            for its blocks, more for single modules.
    """
    layers: dict[str, list[nn.Module]] = {}
    for name, part in reversed(list(model.named_modules())):
        if _tensors(part):
            layers.setdefault(".".join(name.split(".")[:depth]), []).append(part)
    changing = [
        tensor for parts in layers.values() for part in parts for tensor in _tensors(part).values()
    ]
    saved = [tensor.detach().clone() for tensor in changing]
    try:
        yield _one_by_one(layers, torch.Generator().manual_seed(seed))
    finally:
        with torch.no_grad():
            for tensor, original in zip(changing, saved, strict=True):
                tensor.copy_(original)


def _one_by_one(layers: dict[str, list[nn.Module]], generator: torch.Generator) -> Iterator[str]:
    for name, parts in layers.items():
        for part in parts:
            _randomise(part, generator)
        yield name


@torch.no_grad()
def _randomise(part: nn.Module, generator: torch.Generator) -> None:
    for name, tensor in _tensors(part).items():
        if name in part._buffers:
            tensor.fill_(tensor.mean())
        else:
            drawn = torch.randn(tensor.shape, generator=generator).to(tensor)
            tensor.copy_(tensor.mean() + drawn * tensor.std(correction=0))


def _tensors(part: nn.Module) -> dict[str, Tensor]:
    """A module's own weights and batch statistics; other buffers are tables, not learned."""
    statistics = {name: part._buffers.get(name) for name in ("running_mean", "running_var")}
    own = part._parameters | statistics
    return {name: tensor for name, tensor in own.items() if tensor is not None}


def randomisation_ssim(maps: Tensor, changed: Tensor) -> Tensor:
    """Mean SSIM of each map to those of the randomised models.

    Args:
        maps: (b 1 h w), of the model as it was.
        changed: (b layers h w), one a layer that was randomised.

    Returns:
        (b) in [-1, 1], the mean over the layers for which it is defined; NaN where it is for none.

    Raises:
        InputError: as `map_similarity.ssim`.
    """
    return _over_layers(ssim, maps, changed)


def randomisation_rank(maps: Tensor, changed: Tensor) -> Tensor:
    """Mean rank correlation; otherwise as `randomisation_ssim`, and it never raises."""
    return _over_layers(spearman, maps, changed)


def _over_layers(
    similarity: Callable[[Tensor, Tensor], Tensor], maps: Tensor, changed: Tensor
) -> Tensor:
    first = maps.expand_as(changed).reshape(-1, 1, *maps.shape[-2:])
    values = similarity(first, changed.reshape_as(first))
    return values.view(changed.shape[:2]).nanmean(dim=1)


class ModelRandomisation(ImageMean):
    """Mean SSIM of maps to those of the randomised model over a data set; lower is better.

    See the module for how to get the maps, and for what the figure means for methods that do not
    look into the classifier. 1 says that the map ignores the weights; two unrelated maps of the
    same smoothness do not reach 0. Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292).
    """

    takes = ("scores", "randomised_scores")
    higher_is_better = False
    per_image = staticmethod(randomisation_ssim)


class ModelRandomisationRank(ImageMean):
    """Mean rank correlation instead of SSIM, in [-1, 1]; lower is better, 0 says unrelated."""

    takes = ("scores", "randomised_scores")
    higher_is_better = False
    per_image = staticmethod(randomisation_rank)
