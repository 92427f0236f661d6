"""Networks of torchvision, with its weights or with those of a file."""

import warnings
from pathlib import Path
from typing import Any

import torch
import torchvision.models
from torch import nn

from explainers.classifier.image_format import ImageFormat
from explainers.classifier.sources.network import Network
from explainers.classifier.sources.state_dicts import load_weights, unprefixed
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, require_known, require_whole


def create(name: str, pretrained: bool, weights: str | None, num_classes: int | None) -> Network:
    """Build a network; arguments and errors as of `sources.create`.

    Args:
        name: `NAME`, or `NAME@WEIGHTS` for other than torchvision's default weights.
        pretrained: see there.
        weights: see there.
        num_classes: see there.
    """
    architecture, _, tag = name.partition("@")
    known = torchvision.models.list_models(module=torchvision.models)
    require_known("torchvision model", architecture, known)
    choices: Any = torchvision.models.get_model_weights(architecture)
    if tag:
        require_known(f"weights of {architecture}", tag, [one.name for one in choices])
    published = choices[tag] if tag else choices.DEFAULT
    categories: list[str] = published.meta["categories"]
    if weights is not None:
        state = read_state(Path(weights))
        model = _built(architecture, num_classes or _count_classes(architecture, state))
        load_weights(model, state, weights, f"torchvision:{architecture}")
    elif pretrained:
        if num_classes not in (None, len(categories)):
            raise InputError(
                f"the weights {published.name} of {architecture} tell apart {len(categories)} "
                f"classes, and num_classes is {num_classes}; name a file of weights for these"
            )
        model = _built(architecture, len(categories))
        load_weights(model, _fetched(published), published.name, f"torchvision:{architecture}")
    else:
        model = _built(architecture, num_classes or len(categories))
    classes = _last(model).weight.shape[0]
    return Network(model, _format(published), categories if classes == len(categories) else None)


def _built(architecture: str, num_classes: int) -> nn.Module:
    require_whole("num_classes", num_classes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The default weight initialization of")
        model: nn.Module = torchvision.models.get_model(
            architecture, weights=None, num_classes=num_classes
        )
    return model


def _last(model: nn.Module) -> Any:  # noqa: ANN401  a linear layer, or SqueezeNet's convolution
    return [part for part in model.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]


def _count_classes(architecture: str, state: dict[str, torch.Tensor]) -> int:
    """Classes that a file's last layer tells apart; torchvision's 1000 where it has none."""
    with torch.device("meta"):
        model = _built(architecture, 1000)
    last = _last(model)
    (name,) = (name for name, part in model.named_modules() if part is last)
    found = unprefixed(state, model.state_dict().keys()).get(f"{name}.weight")
    return 1000 if found is None else len(found)


def _fetched(published: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401  an enum of torchvision's
    try:
        state: dict[str, torch.Tensor] = published.get_state_dict(progress=True, check_hash=True)
    except Exception as error:
        # urllib, torch and the file system each raise their own kind for what is here one thing.
        raise InputError(
            f"the weights {published.url} cannot be fetched: {' '.join(str(error).split())[:200]}; "
            "name a file of weights (weights: FILE), or pretrained: false for random ones"
        ) from error
    return state


def _format(published: Any) -> ImageFormat:  # noqa: ANN401
    """Image format of published weights, by their own transforms."""
    transforms = published.transforms()
    (side,), (resized,) = transforms.crop_size, transforms.resize_size
    return ImageFormat(
        list(transforms.mean),
        list(transforms.std),
        (side, side),
        side / resized,
        transforms.interpolation.value,
    )
