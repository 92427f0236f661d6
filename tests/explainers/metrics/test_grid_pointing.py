"""Grid pointing, on maps small enough to add up by hand."""

import pytest
import torch

from explainers.metrics import GridPointing


def cells(side, pixels=4):
    """The masks (side * side 1 h w) of all cells of a mosaic."""
    masks = torch.zeros(side**2, 1, side * pixels, side * pixels, dtype=torch.bool)
    for cell in range(side**2):
        top, left = (pixels * place for place in divmod(cell, side))
        masks[cell, :, top : top + pixels, left : left + pixels] = True
    return masks


def scored(scores, masks):
    metric = GridPointing()
    metric.update(scores, masks)
    return metric.values[0].tolist()


@pytest.mark.parametrize(("side", "chance"), [(2, 25), (3, 100 / 9)])
def test_lighting_the_right_cell_scores_100_and_all_cells_the_chance_level(side, chance):
    masks = cells(side)
    assert scored(masks.float(), masks) == [100] * side**2
    assert scored(masks.float(), masks.roll(1, dims=0)) == [0] * side**2
    assert scored(torch.ones(masks.shape), masks) == pytest.approx([chance] * side**2)


def test_known_value():
    # Positive: 3 + 1 in the first cell, 2 in the second, 4 in the third, none in the last: 10.
    scores = torch.tensor([[3.0, -9, 2, 0], [1, 0, 0, -1], [4, 0, -2, 0], [0, 0, 0, 0]])
    maps = scores.expand(4, 1, 4, 4)
    assert scored(maps, cells(2, pixels=2)) == pytest.approx([40, 20, 40, 0])


@pytest.mark.parametrize("side", [2, 3])
def test_map_that_does_not_depend_on_the_class_scores_the_chance_level(side):
    metric = GridPointing()
    masks = cells(side)
    metric.update(torch.randn(1, *masks.shape[1:]).expand(masks.shape), masks)
    assert metric.compute() == pytest.approx(100 / side**2, rel=1e-5)


def test_value_is_that_of_a_slow_loop():
    masks = cells(3, pixels=3)
    scores = torch.randn(masks.shape)
    expected = []
    for cell in range(9):
        inside = total = 0.0
        for row in range(9):
            for column in range(9):
                energy = max(0.0, scores[cell, 0, row, column].item())
                total += energy
                inside += energy if (row // 3, column // 3) == divmod(cell, 3) else 0
        expected.append(100 * inside / total)
    assert scored(scores, masks) == pytest.approx(expected, rel=1e-5)


def test_map_without_positive_scores_is_undefined():
    metric = GridPointing()
    metric.update(-torch.ones(4, 1, 8, 8), cells(2))
    assert metric.values[0].isnan().all()
