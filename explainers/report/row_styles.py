"""Line styles that tell the rows of a comparison apart in its figures."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

# Seen apart without colour vision, and on black as on white.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#c9a227", "#3fa7c9", "#aa3377", "#ee7733", "#009988")
GREY = "#80868f"  # as far from a white page as from a black one
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 3))


@dataclass(frozen=True)
class Style:
    """The style of a row, the same in all figures.

    Attributes:
        colour: hexadecimal.
        dash: lengths of strokes and gaps in points; empty for a solid line.
        uninformative: it is a baseline, drawn thin and without a band.
    """

    colour: str
    dash: tuple[float, ...]
    uninformative: bool

    @property
    def width(self) -> float:
        """Width of its lines, in points."""
        return 1.2 if self.uninformative else 2


def row_styles(names: Sequence[str], uninformative: Collection[str]) -> dict[str, Style]:
    """Colours for methods; grey and dashes for uninformative baselines; in the order of the rows.

    Args:
        names: of the rows, in their order.
        uninformative: those that are baselines.
    """
    baselines = [name for name in names if name in uninformative]
    methods = [name for name in names if name not in uninformative]
    grey = {name: Style(GREY, (1 + index, 2 + index), True) for index, name in enumerate(baselines)}
    coloured = {
        name: Style(
            COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)], False
        )
        for index, name in enumerate(methods)
    }
    found = grey | coloured
    return {name: found[name] for name in names}


def row_key(name: str, names: Iterable[str]) -> str:
    """The identity of a row in all figures of a page: its number, as names may hold anything."""
    return f"row-{list(names).index(name)}"
