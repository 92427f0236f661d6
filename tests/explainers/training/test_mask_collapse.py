import pytest
import torch

from explainers.training.mask_collapse import CollapseDetector, constant_share

SANE = {"target_area": 0.3, "off_target_area": 0.1, "constant_share": 0.0}


def fed(values, steps, alarms=None):
    """What rings while the same values come for so many steps."""
    alarms = alarms or CollapseDetector(window=10)
    return [message for _ in range(steps) for message in alarms.update(values)]


def test_share_of_constant_masks():
    masks = torch.rand(4, 6, 6)
    masks[1] = 0.7
    masks[3] = 0.2
    masks[3, 0, 0] += 1 / 255
    assert constant_share(masks) == 0.5


def test_sane_values_never_ring():
    assert fed(SANE, 1000) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target_area": 0.01, "off_target_area": 0.0}, "next to nothing: mean target area 0.010"),
        ({"target_area": 0.95}, "next to everything: mean target area 0.950"),
        ({"off_target_area": 0.4}, "does not show (0.400) than for its own (0.300)"),
        ({"constant_share": 0.75}, "the masks of 75 % of the images are the same everywhere"),
    ],
)
def test_each_band_rings_once_at_the_end_of_a_window(values, message):
    alarms = CollapseDetector(window=10)
    assert fed(SANE | values, 9, alarms) == []
    (rung,) = fed(SANE | values, 1, alarms)
    assert message in rung
    assert fed(SANE | values, 100, alarms) == []


def test_one_batch_does_not_ring():
    alarms = CollapseDetector(window=10)
    assert fed(SANE | {"target_area": 0.0}, 1, alarms) == []
    assert fed(SANE, 99, alarms) == []


def test_batches_of_one_class_have_no_off_target_area():
    alarms = CollapseDetector(window=4)
    alone = {name: SANE[name] for name in ("target_area", "constant_share")}
    assert fed(alone, 8, alarms) == []
    fed(alone, 3, alarms)
    # The only step that has one counts alone, not as a fourth.
    (rung,) = fed(alone | {"off_target_area": 0.5}, 1, alarms)
    assert "(0.500)" in rung


def test_tensors_are_taken_too():
    (rung,) = fed({name: torch.tensor(v) for name, v in (SANE | {"target_area": 0.95}).items()}, 10)
    assert "0.950" in rung
