"""Costs of explanations: classifier passes, seconds, and a training before the first of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explainers.evaluation.records import Row


@dataclass(frozen=True)
class Training:
    """Cost of a training.

    Attributes:
        seconds: of wall-clock time; None if they were not recorded.
        device: what it ran on, in words; several are separated by semicolons.
    """

    seconds: float | None = None
    device: str = ""

    def __add__(self, other: "Training") -> "Training":
        known = self.seconds is not None and other.seconds is not None
        devices = dict.fromkeys([*self.device.split("; "), *other.device.split("; ")])
        return Training(
            self.seconds + other.seconds if known else None,  # type: ignore[operator]
            "; ".join(filter(None, devices)),
        )

    def __str__(self) -> str:
        where = f" on {self.device}" if self.device else ""
        return "not recorded" if self.seconds is None else f"{duration(self.seconds)}{where}"

    @property
    def record(self) -> dict[str, Any]:
        """Plain values, as config.json and checkpoints hold them."""
        return {
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "device": self.device,
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Training":
        """The cost in a `record`; any other mapping counts as not recorded."""
        seconds, device = record.get("seconds"), record.get("device")
        known = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0
        return cls(float(seconds) if known else None, str(device or ""))  # type: ignore[arg-type]


NO_TRAINING = Training(0.0)


def device_name(device: torch.device, processes: int = 1) -> str:
    """A device in words, and how many of its kind work together."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        name = f"CPU, {threads} thread{'s' * (threads > 1)}"
    else:
        name = device.type
    return name if processes == 1 else f"{processes} x {name}"


def with_costs(rows: Sequence[Row], trainings: Mapping[str, Training], device: str) -> list[Row]:
    """Add to rows what their training took, and after how many images that is paid for.

    `training_seconds`, None where they were not recorded; `training_device`, where there was one;
    and `break_even`, by the name of each row that costs more an image: training_seconds / (the
    other's seconds_per_image - the own), rounded up. It is None where it cannot be told, and
    `break_even_left_out` says why.

    Args:
        rows: with `seconds_per_image` and `images`.
        trainings: by the name of the row.
        device: what the rows were timed on.
    """
    return [row | _costs(row, trainings[row["explainer"]], device, rows) for row in rows]


def _costs(row: Row, training: Training, device: str, rows: Sequence[Row]) -> Row:
    seconds = training.seconds
    costs: Row = {"training_seconds": seconds}
    if training.device:
        costs["training_device"] = training.device
    if seconds is None:
        reason = "its training was not recorded"
    elif seconds and training.device != device:
        reason = (
            f"it was trained on {training.device or 'an unknown device'}, and timed on {device}"
        )
    elif seconds and not row["images"]:
        reason = "it failed on all images"
    else:
        own = row["seconds_per_image"]
        dearer = [other for other in rows if seconds and other["seconds_per_image"] > own]
        return costs | {
            "break_even": {
                other["explainer"]: math.ceil(seconds / (other["seconds_per_image"] - own))
                for other in dearer
            }
        }
    return costs | {"break_even": None, "break_even_left_out": reason}


def sentences(rows: Sequence[Row]) -> Iterator[str]:
    """A sentence on the costs of each row that was trained, as Markdown."""
    for row in rows:
        seconds, name = row.get("training_seconds", 0.0), f"`{row['explainer']}`"
        if seconds == 0:
            continue
        took = f"{name} took {Training(seconds, row.get('training_device', ''))} to train"
        if row["break_even"] is None:
            took = f"{name}: " if seconds is None else f"{took}; "
            yield f"{took}no break-even, as {row['break_even_left_out']}."
        elif row["break_even"]:
            counts = sorted(row["break_even"].items(), key=lambda item: item[1])
            against = ", ".join(f"{images:,} against `{other}`" for other, images in counts)
            yield f"{took}; images after which that is paid for: {against}."
        else:
            yield f"{took}; no row costs more an image."


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


@contextmanager
def counted(classifier: nn.Module) -> Iterator[list[int]]:
    """Count the images that enter a classifier, whichever of its methods they are given to.

    Where it has no weights, as one that asks a server, those that it is called with.
    """
    count = [0]
    leaves = (part for part in classifier.modules() if part._parameters and not part._modules)
    first = next(leaves, classifier)

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        count[0] += len(inputs[0])

    hook = first.register_forward_pre_hook(add)
    try:
        yield count
    finally:
        hook.remove()
