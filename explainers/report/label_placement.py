"""Placement of labels in a plot, so that none covers a point or another label."""

from collections.abc import Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from explainers.report.svg import SOFT

RADIUS = 5  # of a point, in points
# Places of a label around its point, in points: right, left, above, below, then the corners.
BESIDE = ((8, 0, "left"), (-8, 0, "right"), (0, 12, "center"), (0, -12, "center"))
CORNERS = tuple(
    (side * 8, rise, "left" if side > 0 else "right")
    for rise, side in product((10, -10, 20, -20), (1, -1))
)


class LabelPlacement:
    """Adds labels to axes whose limits and layout are final, and keeps track of what is covered.

    Args:
        axes: what they are added to.
        points: (x, y) of what they must not cover.
    """

    def __init__(self, axes: Axes, points: Sequence[tuple[float, float]]) -> None:
        self.axes = axes
        self.covered = [
            Bbox.from_extents(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)
            for x, y in axes.transData.transform(points)
        ]

    def add_to_point(self, name: str, x: float, y: float, gid: str) -> None:
        """Write a name beside its point; leave it out where no place is free."""
        frame = self.axes.get_window_extent()
        for right, up, side in (*BESIDE, *CORNERS):
            text = self.axes.annotate(
                name, (x, y), (right, up), "data", "offset points", ha=side, va="center", gid=gid
            )
            box = text.get_window_extent()
            inside = frame.containsx(box.x0) and frame.containsx(box.x1)
            inside = inside and frame.containsy(box.y0) and frame.containsy(box.y1)
            if inside and not box.count_overlaps(self.covered):
                self.covered.append(box)
                return
            text.remove()

    def add_to_level(self, name: str, y: float) -> None:
        """Write a name at that end of a horizontal line which has most room."""
        texts = [
            self.axes.annotate(
                name, (end, y), (4 - 8 * end, rise), ("axes fraction", "data"), "offset points",
                ha="right" if end else "left", va=side, color=SOFT,
            )
            for rise, side in ((4, "baseline"), (-4, "top"))
            for end in (1, 0)
        ]  # fmt: skip
        overlaps = [text.get_window_extent().count_overlaps(self.covered) for text in texts]
        chosen = texts.pop(overlaps.index(min(overlaps)))
        self.covered.append(chosen.get_window_extent())
        for text in texts:
            text.remove()
