"""Image classifiers of Hugging Face's transformers."""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from explainers.classifier.image_format import ImageFormat
from explainers.classifier.sources.hub_files import is_offline
from explainers.classifier.sources.network import Network
from explainers.classifier.sources.state_dicts import load_weights
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError

INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers, as processors keep them."""


def create(name: str, pretrained: bool, weights: str | None, num_classes: int | None) -> Network:
    """Build a network; arguments and errors as of `sources.create`.

    Args:
        name: a folder, or a repository on the hub.
        pretrained: see there.
        weights: see there.
        num_classes: see there.
    """
    library = _library()
    hub = {} if Path(name).is_dir() else {"local_files_only": is_offline()}
    try:
        config = library.AutoConfig.from_pretrained(name, **hub)
        if num_classes is not None and num_classes != config.num_labels:
            if pretrained and weights is None:
                raise InputError(
                    f"the weights of {name} tell apart {config.num_labels} classes, and num_classes "
                    f"is {num_classes}; name a file of weights for these"
                )
            config.num_labels = num_classes
        auto = library.AutoModelForImageClassification
        if pretrained and weights is None:
            model: nn.Module = auto.from_pretrained(name, config=config, **hub)
        else:
            model = auto.from_config(config)
    except InputError:
        raise
    except Exception as error:
        # transformers and huggingface_hub each raise their own kinds for what is here one thing.
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"transformers:{name} cannot be loaded: {reason}; name a folder with config.json and "
            "model.safetensors of an image classifier"
        ) from error
    if weights is not None:
        load_weights(model, read_state(Path(weights)), weights, f"transformers:{name}")
    return Network(model, _format(library, name, hub), _names(config))


def _library() -> Any:  # noqa: ANN401  a package without types
    try:
        library: Any = import_module("transformers")
    except ImportError as error:
        raise InputError(
            f"transformers: needs the package transformers, which cannot be imported ({error}); "
            'pip install "learned-explainers[hf]"'
        ) from error
    library.utils.logging.disable_progress_bar()
    return library


def _names(config: Any) -> list[str] | None:  # noqa: ANN401
    """Names of the classes; None where they are LABEL_0 and so on, as transformers fills in."""
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    return None if names == [f"LABEL_{index}" for index in range(len(names))] else names


def _format(library: Any, name: str, hub: dict[str, Any]) -> ImageFormat | None:  # noqa: ANN401
    """The format that the model's image processor makes; None where it has none."""
    try:
        processor = library.AutoImageProcessor.from_pretrained(name, **hub)
    except (OSError, ValueError, ImportError):
        return None
    normalised = getattr(processor, "do_normalize", False)
    mean, std = ([0.0] * 3, [1.0] * 3)
    if normalised:
        mean, std = list(processor.image_mean), list(processor.image_std)
    resized = _sides(getattr(processor, "size", None))
    cropped = _sides(getattr(processor, "crop_size", None))
    shown = cropped if getattr(processor, "do_center_crop", False) and cropped else resized
    if shown is None:
        return None
    fraction = getattr(processor, "crop_pct", None) or 1.0
    if shown is cropped and resized is not None:
        fraction = min(1.0, cropped[0] / resized[0])
    number = getattr(processor, "resample", None)
    return ImageFormat(
        mean,
        std,
        shown,
        fraction,
        INTERPOLATIONS.get(2 if number is None else int(number), "bilinear"),
        bool(getattr(processor, "do_flip_channel_order", False)),
    )


def _sides(size: Any) -> tuple[int, int] | None:  # noqa: ANN401  processors keep it in many ways
    """Height and width of a size that is a number, a shortest edge, or both."""
    if size is None:
        return None
    if isinstance(size, int):
        return size, size
    sides = dict(size)
    edge = sides.get("shortest_edge")
    height, width = sides.get("height") or edge, sides.get("width") or edge
    return None if height is None or width is None else (int(height), int(width))
