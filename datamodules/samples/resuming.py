"""Resuming a fit on data with other settings than those of its checkpoint."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from datamodules.errors import DataError

UNCOUNTED = {"num_workers", "max_bad", "cache"}
"""Settings that change no sample of the training stream."""

COUNTED = ("batch_size", "processes", "accumulate_grad_batches", "samples_per_epoch")
"""Settings that epochs, schedules and the position in the stream count by."""


def arguments_of(built: object) -> dict[str, Any]:
    """The arguments of the constructors that are building an object, as checkpoints hold them.

    Lists and plain values stay as they are, a datamodule is its own arguments, and anything else
    its text. Call it from the object's `__init__`; a subclass's arguments count before its base's.
    """
    found: dict[str, Any] = {}
    frame = inspect.currentframe()
    frame = frame and frame.f_back
    while frame and frame.f_code.co_name == "__init__" and frame.f_locals.get("self") is built:
        names = [name for name in inspect.getargvalues(frame).args if name != "self"]
        found |= {name: _plain(frame.f_locals[name]) for name in names}
        frame = frame.f_back
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(given := getattr(value, "_given", None), dict):
        return {"data set": type(value).__name__} | given
    return value if isinstance(value, str | int | float | None) else str(value)


def differing_settings(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """A line on the settings that differ; None if none does.

    N processes with batches of b samples train as one with batches of N * b, so the two are
    compared as their product.

    Args:
        there: settings of the checkpoint, by name.
        here: settings of the run that resumes it; those that only one of both has are left out.

    Raises:
        DataError: epochs are of another number of batches, or batches of another number of samples.
    """
    steps = [_steps_of(settings) for settings in (there, here)]
    if steps[0] != steps[1]:
        raise DataError(
            f"the checkpoint cannot be resumed with {_difference(there, here, COUNTED)}: its "
            f"schedule and its position in the data count {_in_words(steps[0])}, and here they "
            f"would be {_in_words(steps[1])}; give the same, or begin a new fit"
        )
    names = [name for name in here if name in there and name not in {*UNCOUNTED, *COUNTED}]
    differing = _difference(there, here, names)
    if not differing:
        return None
    return (
        f"the checkpoint was trained on data with {differing}; training goes on with what is here, "
        "and ends with other weights than an uninterrupted one"
    )


def _steps_of(settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """Samples of a batch in all processes, batches of an epoch, and batches of a step."""
    batch = settings["batch_size"] * settings["processes"]
    return batch, settings["samples_per_epoch"] // batch, settings["accumulate_grad_batches"]


def _in_words(steps: tuple[int, int, int]) -> str:
    batch, batches, accumulated = steps
    a_step = f", {accumulated} a step" if accumulated > 1 else ""
    return f"{batches} batches of {batch} samples an epoch{a_step}"


def _difference(there: Mapping[str, Any], here: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(
        f"{name} {there[name]!r} (here {here[name]!r})"
        for name in names
        if there[name] != here[name]
    )
