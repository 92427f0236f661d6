"""Detection of mask collapse: all, nothing, constant, or the same for all classes.

Keeping everything and keeping nothing both lower the objective for a while, so the loss does not
tell.
"""

from collections.abc import Mapping

from torch import Tensor

from explainers.training.losses import mean_areas

# Mean mask value of the target. Objects fill 5 to 60 % of most photographs: a mean over a hundred
# batches outside of this band is no longer about objects.
LEAST_AREA, GREATEST_AREA = 0.02, 0.9
GREATEST_CONSTANT_SHARE = 0.5
# A mask whose values differ by less shows nothing: two grey levels of 255.
CONSTANT_RANGE = 2 / 255


def constant_share(masks: Tensor) -> Tensor:
    """Share of the images whose mask (b _ _) for its own class is the same everywhere."""
    values = masks.flatten(1)
    return ((values.amax(dim=1) - values.amin(dim=1)) < CONSTANT_RANGE).float().mean()


def mask_statistics(masks: Tensor, labels: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Values that a `CollapseDetector` takes; `off_target_area` is NaN where there is none.

    Args:
        masks: (b n _ _).
        labels: each image's own class (b).
        classes: of the masks, (b n) or (1 n).
    """
    on_target, off_target = mean_areas(masks, labels, classes)
    own = masks[(classes == labels[:, None]).expand(masks.shape[:2])]  # (_ h w)
    state = {"target_area": on_target, "constant_share": constant_share(own)}
    return state | {"off_target_area": off_target}


class CollapseDetector:
    """Averages what a fit logs over windows of steps, and warns once of what left its band.

    The bands: target area 0.02 to 0.9, off-target area not above the target's, and at most half
    of the images with a constant mask. The first window counts like any other: a fit that has
    made nothing of its masks by then is worth a look.

    Args:
        window: steps to average over, so that no single batch warns.
    """

    def __init__(self, window: int = 100) -> None:
        self.window = window
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._steps = 0
        self._warned: set[str] = set()

    def update(self, values: Mapping[str, Tensor | float]) -> list[str]:
        """Add a step, and return the warnings that the window it ends gives rise to.

        Tensors are read at the end of a window only, so that no step waits for the device.

        Args:
            values: `target_area`, `constant_share` and, where the batch has any,
                `off_target_area`, each in [0, 1].
        """
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._steps += 1
        if self._steps < self.window:
            return []
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts, self._steps = {}, {}, 0
        messages = _outside(means)
        new = [message for name, message in messages.items() if name not in self._warned]
        self._warned |= messages.keys()
        return new


def _outside(means: Mapping[str, float]) -> dict[str, str]:
    """Warnings by name for the means that are outside of their bands."""
    target, constant = means["target_area"], means["constant_share"]
    off_target = means.get("off_target_area", 0.0)
    messages = {}
    if target < LEAST_AREA:
        messages["nothing"] = (
            f"masks keep next to nothing: mean target area {target:.3f}, under {LEAST_AREA}; "
            "lower area_weight or lr"
        )
    if target > GREATEST_AREA:
        messages["everything"] = (
            f"masks keep next to everything: mean target area {target:.3f}, over {GREATEST_AREA}; "
            "raise area_weight"
        )
    if off_target > target:
        messages["off target"] = (
            f"masks are larger for classes that an image does not show ({off_target:.3f}) than for "
            f"its own ({target:.3f}): they do not depend on the class as they should"
        )
    if constant > GREATEST_CONSTANT_SHARE:
        messages["constant"] = (
            f"the masks of {100 * constant:.0f} % of the images are the same everywhere; lower "
            "variation_weight or lr"
        )
    return messages
