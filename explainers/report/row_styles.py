"""How the rows of a comparison are told apart in its figures."""

from collections.abc import Sequence
from dataclasses import dataclass

# Seen apart without colour vision, and on black as on white.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#c9a227", "#3fa7c9", "#aa3377", "#ee7733", "#009988")
DASHES = ("", "7 3", "2 3")


@dataclass(frozen=True)
class Style:
    """How a row is drawn, in all figures alike."""

    colour: str
    dash: str
    trivial: bool

    @property
    def stroke(self) -> str:
        """The attributes of its lines."""
        dash = f' stroke-dasharray="{self.dash}"' if self.dash else ""
        return f'stroke="{self.colour}" stroke-width="{1.2 if self.trivial else 2}"{dash}'


def styles(names: Sequence[str], trivial: Sequence[str]) -> dict[str, Style]:
    """Colours for methods, and the text's own for the maps that explain nothing."""
    found = {}
    counts = {True: 0, False: 0}
    for name in names:
        plain = name in trivial
        count = counts[plain]
        counts[plain] += 1
        found[name] = (
            Style("currentColor", f"{1 + count} {2 + count}", plain)
            if plain
            else Style(
                COLOURS[count % len(COLOURS)], DASHES[count // len(COLOURS) % len(DASHES)], plain
            )
        )
    return found
