"""Serialisation of classifiers: the arguments that build one again, as plain values, checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from explainers.classifier.image_format import require_image_format
from explainers.errors import InputError, require_known, require_whole, shown

MOST_CLASSES = 1_000_000
"""Limit of what a classifier is asked for, checked before anything is allocated."""

LAST_SEED = 2**32 - 1


def description(
    model: str | nn.Module,
    pretrained: bool,
    fold_batch_norm: bool,
    **options: str | float | Sequence[Any] | None,
) -> dict[str, Any]:
    """The arguments of a classifier, without those that are as by default.

    Raises:
        InputError: one is of a wrong type, or out of its range.
    """
    _require_options(model, pretrained, fold_batch_norm, options)
    name = f"module:{type(model).__name__}" if isinstance(model, nn.Module) else model
    described: dict[str, Any] = {"model": name}
    if not pretrained:
        described["pretrained"] = False
    if fold_batch_norm:
        described["fold_batch_norm"] = True
    return described | {
        key: value if isinstance(value, str | int | float) else list(value)
        for key, value in options.items()
        if value is not None
    }


def arguments_of(source: object, known: Iterable[str]) -> dict[str, Any]:
    """The arguments that a name or a mapping of them stands for, of those that are known.

    Raises:
        InputError: it is neither, a key is no argument, or there is no `model` that a name could
            stand for.
    """
    if isinstance(source, str):
        source = {"model": source}
    if not isinstance(source, Mapping):
        raise InputError(
            f"a classifier must be a model's name, or the arguments of FrozenClassifier by name, "
            f"got {shown(source)}; for example resnet50"
        )
    known = sorted(known)
    for option in source:
        require_known("classifier option", str(option), known)
    if str(source.get("model", "module:")).startswith("module:"):
        raise InputError(
            f"{source.get('model')!r} cannot be built from its name; "
            "pass classifier=FrozenClassifier(your module, mean=…, std=…, size=…)"
        )
    return dict(source)


def _require_options(
    model: object, pretrained: object, fold_batch_norm: object, options: Mapping[str, object]
) -> None:
    """Refuse arguments of `FrozenClassifier` of a wrong type, or out of their range."""
    if not isinstance(model, nn.Module) and not (isinstance(model, str) and model.strip()):
        raise InputError(
            f"model must be a name, as resnet50, or a torch module, got {shown(model)}"
        )
    for name, flag in (("pretrained", pretrained), ("fold_batch_norm", fold_batch_norm)):
        if not isinstance(flag, bool):
            raise InputError(f"{name} must be true or false, got {shown(flag)}")
    weights, num_classes, class_names = map(options.get, ("weights", "num_classes", "class_names"))
    if weights is not None and not (isinstance(weights, str) and weights.strip()):
        raise InputError(f"weights must be the path of a file, got {shown(weights)}")
    if num_classes is not None:
        require_whole("num_classes", num_classes, 0, MOST_CLASSES)
    if options.get("redraw_seed") is not None:
        require_whole("redraw_seed", options["redraw_seed"], 0, LAST_SEED)
    if class_names is not None and not (
        isinstance(class_names, Sequence)
        and not isinstance(class_names, str)
        and all(isinstance(name, str) for name in class_names)
    ):
        raise InputError(f"class_names must be a list of names, got {shown(class_names)}")
    layers, last = options.get("layers"), options.get("classifier_layer")
    if layers is not None and not (
        isinstance(layers, Sequence)
        and not isinstance(layers, str)
        and layers
        and all(isinstance(name, str) for name in layers)
    ):
        raise InputError(f"layers must be a list of names of layers, got {shown(layers)}")
    if last is not None and not isinstance(last, str):
        raise InputError(f"classifier_layer must be the name of a layer, got {shown(last)}")
    require_image_format(*map(options.get, ("mean", "std", "size")))
