"""Boxes around maps, against a flood fill one pixel at a time."""

import pytest
import torch

from explainers.metrics.box_accuracy import best_iou


def _picture(text):
    """A map (1 1 h w) of one digit a pixel, divided by 9."""
    return torch.tensor([[[[int(digit) / 9 for digit in line] for line in text.split()]]])


def _flood(mask):
    """Components of a mask [h][w], each as its pixels, in reading order of their first."""
    height, width = len(mask), len(mask[0])
    seen, found = set(), []
    for start in ((y, x) for y in range(height) for x in range(width)):
        if start in seen or not mask[start[0]][start[1]]:
            continue
        seen.add(start)
        component, waiting = [], [start]
        while waiting:
            y, x = waiting.pop()
            component.append((y, x))
            for near in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and near not in seen and mask[near[0]][near[1]]:
                    seen.add(near)
                    waiting.append(near)
        found.append(component)
    return found


def _slow_box(component):
    rows, columns = [y for y, _ in component], [x for _, x in component]
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def _slow_iou(box, other):
    pixels, others = (
        {(x, y) for x in range(x1, x2) for y in range(y1, y2)} for x1, y1, x2, y2 in (box, other)
    )
    return len(pixels & others) / len(pixels | others)


def _maps(kind):
    noise = torch.rand(4, 1, 12, 17)
    if kind == "smooth":
        return torch.nn.functional.interpolate(noise[..., :4, :5], (12, 17), mode="bicubic")
    # A spiral and a comb: long ways round, which take many rounds to join.
    winding = _picture("""
        99999999999999999
        00000000000000009
        99999999999999909
        90000000000000909
        90999999999990909
        90900000000090909
        90999999999090909
        90000000000090909
        99999999999990909
        00000000000000009
        90909090909090909
        99999999999999999
    """)
    return {"noise": noise, "plateaus": (noise * 3).round(), "winding": winding + noise * 0.3}[kind]


@pytest.mark.parametrize("kind", ["noise", "smooth", "plateaus", "winding"])
@pytest.mark.parametrize("every_component", [False, True])
def test_boxes_are_those_of_a_flood_fill(kind, every_component):
    scores, thresholds = _maps(kind), torch.linspace(0, 1, 21)
    boxes = torch.tensor([[[2, 1, 9, 6], [8, 3, 17, 12]]]).expand(4, -1, -1)
    low, high = scores.amin((2, 3), keepdim=True), scores.amax((2, 3), keepdim=True)
    stretched = (scores - low) / (high - low)
    expected = torch.zeros(4, 21)
    for image in range(4):
        for index, threshold in enumerate(thresholds):
            found = _flood((stretched[image, 0] >= threshold).tolist())
            found = found if every_component else [max(found, key=len)]
            expected[image, index] = max(
                _slow_iou(_slow_box(component), box)
                for component in found
                for box in boxes[image].tolist()
            )
    actual = best_iou(scores, boxes, thresholds, every_component)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=0)
