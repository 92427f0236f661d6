"""Boxes by hand, and components as a flood fill finds them one pixel at a time."""

import pytest
import torch

from explainers.metrics.parts.boxes import box_iou, boxes_of, components


def test_box_of_a_mask_ends_after_its_last_pixel():
    masks = torch.zeros(2, 1, 4, 9, dtype=torch.bool)
    masks[0, 0, 1:3, 5:9] = True
    masks[1, 0, 3, 0] = masks[1, 0, 0, 1] = True
    assert boxes_of(masks).tolist() == [[[5, 1, 9, 3]], [[0, 0, 2, 4]]]


def test_box_of_an_empty_mask_is_zeros():
    assert boxes_of(torch.zeros(1, 1, 4, 9, dtype=torch.bool)).tolist() == [[[0, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        ([0, 0, 4, 3], [0, 0, 4, 3], 1),
        ([0, 0, 4, 3], [2, 1, 6, 4], 4 / 20),  # 2 x 2 in common, of 12 + 12 - 4
        ([0, 0, 4, 3], [4, 0, 6, 3], 0),  # side by side
        ([0, 0, 4, 3], [5, 4, 6, 5], 0),  # apart both ways, which must not multiply to an overlap
        ([0, 0, 4, 3], [0, 0, 0, 0], 0),
        ([0.5, 0.0, 1.5, 2.0], [0.0, 0.0, 1.0, 1.0], 0.5 / 2.5),
    ],
)
def test_iou_of_two_boxes(box, other, expected):
    box, other = torch.tensor(box), torch.tensor(other)
    assert box_iou(box, other).item() == pytest.approx(expected)
    assert box_iou(other, box).item() == pytest.approx(expected)


def _areas(mask):
    """How many pixels each component of a mask [h][w] has, in reading order of their first."""
    places = [(y, x) for y, row in enumerate(mask) for x, inside in enumerate(row) if inside]
    areas, seen = [], set()
    for start in places:
        waiting, area = [start], 0
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            area += 1
            waiting += [
                other
                for other in places
                if max(abs(other[0] - place[0]), abs(other[1] - place[1])) == 1
            ]
        if area:
            areas.append(area)
    return areas


def test_components_are_counted_as_by_a_flood_fill():
    levels = torch.randint(-1, 3, (2, 1, 9, 13))
    for level, (areas, _) in zip((2, 1, 0), components(levels, 3), strict=True):
        for image in range(2):
            expected = _areas((levels[image, 0] >= level).tolist())
            assert areas[image][areas[image] > 0].tolist() == expected
