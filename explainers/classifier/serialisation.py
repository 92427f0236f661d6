"""Serialisation of classifiers: the arguments that build one again, as plain values."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from explainers.errors import InputError, require_known


def description(
    model: str | nn.Module,
    pretrained: bool,
    fold_batch_norm: bool,
    **options: str | int | Sequence[Any] | None,
) -> dict[str, Any]:
    """The arguments of a classifier, without those that are as by default."""
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


def arguments_of(source: str | dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The arguments that a name or a mapping of them stands for, of those that are known.

    Raises:
        InputError: a key is no argument, or there is no `model` that a name could stand for.
    """
    if isinstance(source, str):
        source = {"model": source}
    known = sorted(known)
    for option in source:
        require_known("classifier option", option, known)
    if str(source.get("model", "module:")).startswith("module:"):
        raise InputError(
            f"{source.get('model')!r} cannot be built from its name; "
            "pass classifier=FrozenClassifier(your module, mean=…, std=…, size=…)"
        )
    return source


def require_preparation(model: nn.Module, **given: Sequence[float] | None) -> None:
    """Refuse a module that says neither itself nor by arguments how its images are prepared."""
    missing = [name for name, value in given.items() if value is None]
    if missing and not hasattr(model, "pretrained_cfg"):
        raise InputError(
            f"a {type(model).__name__} does not say how its images are prepared; "
            f"pass {', '.join(missing)}"
        )
