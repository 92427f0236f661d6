import pytest
import torch

from explainers.metrics import EnergyOnOther, EnergyPointing, RightObject


@pytest.fixture
def scene():
    """Scores of four maps; the object asked for is the left column, the other one the middle."""
    scores = torch.tensor([[3.0, 1, 0], [1, 2, 1], [2, 2, 4], [-1, -1, -1]]).view(4, 1, 1, 3)
    mask = torch.tensor([True, False, False]).expand(4, 1, 1, 3)
    other = torch.tensor([False, True, False]).expand(4, 1, 1, 3)
    return scores, mask, other


def test_known_values(scene):
    scores, mask, other = scene
    metric = RightObject()
    metric.update(scores, mask, other)
    # Right, wrong, as much on both; and nothing positive, which is left out.
    assert metric.values[0][:3].tolist() == [100, 0, 50]
    assert metric.values[0][3].isnan()
    assert metric.compute() == 50


def test_energy_on_the_other_object(scene):
    scores, mask, other = scene
    right, wrong = EnergyPointing(), EnergyOnOther()
    right.update(scores[:1], mask[:1])
    wrong.update(scores[:1], other[:1])
    assert right.compute() == 75
    assert wrong.compute() == 25


def test_map_that_does_not_depend_on_the_object_is_right_half_of_the_time(scene):
    scores, mask, other = scene
    metric = RightObject()
    metric.update(scores[:3], mask[:3], other[:3])
    metric.update(scores[:3], other[:3], mask[:3])
    assert metric.compute() == 50
