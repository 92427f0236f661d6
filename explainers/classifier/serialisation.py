"""Serialisation of classifiers: the arguments that build one again, as plain values, checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from explainers.errors import InputError, require_known, require_number, require_whole, shown

MOST_CLASSES = 1_000_000
MOST_PIXELS_A_SIDE = 4096
MOST_PIXELS = 2**24
"""Limits of what a classifier is asked for, checked before anything is allocated."""


def description(
    model: str | nn.Module,
    pretrained: bool,
    fold_batch_norm: bool,
    **options: str | int | Sequence[Any] | None,
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
        key: value if isinstance(value, str | int) else list(value)
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
    if class_names is not None and not (
        isinstance(class_names, Sequence)
        and not isinstance(class_names, str)
        and all(isinstance(name, str) for name in class_names)
    ):
        raise InputError(f"class_names must be a list of names, got {shown(class_names)}")
    require_image_format(*map(options.get, ("mean", "std", "size")))


def require_image_format(mean: object, std: object, size: object) -> None:
    """Refuse a normalisation or a size that no image can have.

    Raises:
        InputError: a number is missing, of a wrong type, or out of its range.
    """
    for name, values in (("mean", mean), ("std", std)):
        for value in _numbers(name, values, 3, "of three numbers, as [0.5, 0.5, 0.5]"):
            require_number(f"each {name}", value, above=0 if name == "std" else None)
    sides = _numbers("size", size, 2, "of height and width in pixels, as [224, 224]")
    for side in sides:
        require_whole("each side of size", side, 1, MOST_PIXELS_A_SIDE)
    if sides and sides[0] * sides[1] > MOST_PIXELS:  # type: ignore[operator]
        raise InputError(f"size must be at most {MOST_PIXELS} pixels, got {shown(size)}")


def _numbers(name: str, values: object, count: int, rule: str) -> list[object]:
    """The parts of a list of so many; none if it is left out."""
    if values is None:
        return []
    if isinstance(values, Sequence) and not isinstance(values, str) and len(values) == count:
        return list(values)
    raise InputError(f"{name} must be a list {rule}, got {shown(values)}")


def require_preparation(model: nn.Module, **given: Sequence[float] | None) -> None:
    """Refuse a module that says neither itself nor by arguments how its images are prepared."""
    missing = [name for name, value in given.items() if value is None]
    if missing and not hasattr(model, "pretrained_cfg"):
        raise InputError(
            f"a {type(model).__name__} does not say how its images are prepared; "
            f"pass {', '.join(missing)}"
        )
