"""Boxes around maps, and how many are right, against boxes and counts by hand."""

import pytest
import torch

from explainers.metrics.box_accuracy import BoxIoU, MaxBoxAccuracy, best_iou
from explainers.metrics.parts.boxes import boxes_of

METRICS = [MaxBoxAccuracy, lambda: MaxBoxAccuracy(every_component=True), BoxIoU]


def _picture(text):
    """A map (1 1 h w) of one digit a pixel, divided by 9."""
    return torch.tensor([[[[int(digit) / 9 for digit in line] for line in text.split()]]])


# Two components from 5 upwards: 4 pixels, and 3 of which two touch by a corner only.
PICTURE = _picture("""
    05500000
    05500080
    00000800
    00000900
""")


@pytest.fixture
def batch():
    """Maps (21 1 7 11), wider than high, with two boxes each, of which some are not there."""
    scores = torch.nn.functional.interpolate(torch.rand(21, 1, 4, 6), (7, 11), mode="bilinear")
    start = torch.randint(0, 5, (21, 2, 2))
    boxes = torch.cat([start, start + torch.randint(1, 7, (21, 2, 2))], dim=2)
    boxes[::3, 1] = 0
    return scores, boxes


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("box", [[5, 1, 9, 3], [0, 0, 3, 4], [2, 3, 8, 4]])
def test_a_perfect_map_of_an_image_wider_than_high_scores_100(metric, box):
    x1, y1, x2, y2 = box
    masks = torch.zeros(1, 1, 4, 9, dtype=torch.bool)
    masks[..., y1:y2, x1:x2] = True
    metric = metric()
    metric.update(masks.float(), torch.tensor([[box]]))
    metric.update(masks.float(), boxes_of(masks))
    assert metric.compute() == 100


@pytest.mark.parametrize(
    ("threshold", "found"),
    [
        (0.0, [0, 0, 8, 4]),
        (5 / 9, [1, 0, 3, 2]),  # 4 pixels against 3
        (0.6, [5, 1, 7, 4]),  # the 5s are gone; the corner joins what is left
        (1.0, [5, 3, 6, 4]),
    ],
)
def test_the_largest_component_is_boxed(threshold, found):
    metric = BoxIoU(threshold)
    metric.update(PICTURE, torch.tensor([[found]]))
    assert metric.compute() == 100


def test_of_equal_components_the_first_is_boxed():
    scores = _picture("00009 99009 99000 00000")  # 2 pixels right above, then 4 left
    scores[..., 0:2, 3] = 1  # now 4 right, and first
    metric = BoxIoU()
    metric.update(scores, torch.tensor([[[3, 0, 5, 2]]]))
    assert metric.compute() == 100


def test_the_best_of_the_object_boxes_counts():
    boxes = torch.tensor([[[0, 0, 0, 0], [1, 0, 3, 1], [6, 2, 8, 4]]])
    # Of 2 x 2 pixels the second box covers 2; the first is no box, and the third is elsewhere.
    assert best_iou(PICTURE, boxes, torch.tensor([0.5])).tolist() == [[0.5]]


def test_every_component_finds_what_the_largest_misses():
    boxes, thresholds = torch.tensor([[[5, 1, 7, 4]]]), torch.tensor([0.5, 0.7])
    assert best_iou(PICTURE, boxes, thresholds).tolist() == [[0, 1]]
    assert best_iou(PICTURE, boxes, thresholds, every_component=True).tolist() == [[1, 1]]


def test_neither_scale_nor_offset_nor_mirroring_matters(batch):
    scores, boxes = batch
    thresholds = torch.linspace(0.03, 0.97, 11)
    expected = best_iou(scores, boxes, thresholds)
    torch.testing.assert_close(best_iou(3 * scores - 5, boxes, thresholds), expected)
    mirrored = boxes[..., [1, 0, 3, 2]]
    every = best_iou(scores, boxes, thresholds, every_component=True)
    torch.testing.assert_close(best_iou(scores.mT, mirrored, thresholds, True), every)


def test_the_threshold_is_chosen_once_for_all_images():
    # The first image is right from 5/9 down to just above 0, the second above 5/9 only: no
    # threshold serves both. The third is right at any above 0.
    narrow = torch.zeros(1, 1, 4, 8)
    narrow[..., 0:2, 1:3] = 1
    scores = torch.cat([PICTURE, PICTURE, narrow])
    boxes = torch.tensor([[[1, 0, 3, 2]], [[5, 1, 7, 4]], [[1, 0, 3, 2]]])
    metric = MaxBoxAccuracy()
    metric.update(scores, boxes)
    assert metric.compute() == pytest.approx(200 / 3)
    # With all from 5/9 raised to 1, the first is right wherever the second is.
    scores[0] = (scores[0] * 9 / 5).clamp(max=1)
    metric.reset()
    metric.update(scores, boxes)
    assert metric.compute() == 100


def test_accuracy_is_that_of_a_slow_loop(batch):
    scores, boxes = batch
    metric = MaxBoxAccuracy(step=0.05)
    metric.update(scores, boxes)
    ious = best_iou(scores, boxes, torch.linspace(0, 1, 21)).tolist()
    expected = {}
    for limit in (0.3, 0.5, 0.7):
        right = [sum(image[t] >= limit for image in ious) for t in range(21)]
        expected[limit] = 100 * max(right) / 21
    assert {limit: value.item() for limit, value in metric.each().items()} == pytest.approx(
        expected
    )
    assert metric.compute() == pytest.approx(sum(expected.values()) / 3)


def test_each_iou_has_its_own_accuracy():
    # The box found is 2 x 2 at any threshold above 0, of 4 pixels; objects of 4, 8 and 10
    # around it have IoU 1, 0.5 and 0.4; all three are at least 0.3, two 0.5 and one 0.7.
    scores = torch.zeros(3, 1, 6, 9)
    scores[..., 2:4, 3:5] = 1
    boxes = torch.tensor([[[3, 2, 5, 4]], [[3, 2, 7, 4]], [[3, 2, 8, 4]]])
    metric = MaxBoxAccuracy()
    metric.update(scores, boxes)
    each = metric.each()
    assert list(each) == [0.3, 0.5, 0.7]
    torch.testing.assert_close(torch.stack(list(each.values())), torch.tensor([3, 2, 1]) * 100 / 3)
    assert metric.compute() == pytest.approx(200 / 3)


def test_an_iou_of_exactly_the_limit_is_right():
    scores = torch.zeros(1, 1, 4, 12)
    scores[..., 0, :3] = 1
    metric = MaxBoxAccuracy(ious=(0.3,))
    metric.update(scores, torch.tensor([[[0, 0, 10, 1]]]))  # 3 of 10
    assert metric.compute() == 100


def test_constant_maps_and_images_without_boxes_are_undefined(batch):
    scores, boxes = (part[:4].clone() for part in batch)
    scores[0], scores[1, 0, 2, 3] = 0.5, torch.nan
    boxes[2] = 0
    assert best_iou(scores, boxes, torch.tensor([0.0, 0.5]))[:3].isnan().all()
    for metric in METRICS:
        with_them, without = metric(), metric()
        with_them.update(scores, boxes)
        without.update(scores[3:], boxes[3:])
        assert with_them.compute() == without.compute()
    accuracy = MaxBoxAccuracy()
    accuracy.update(scores, boxes)
    assert (accuracy.images, accuracy.left_out) == (1, 3)


@pytest.mark.parametrize(
    ("boxes", "match"),
    [
        (torch.ones(1, 1, 4, 8), r"must be \(1 n 4\), got \(1, 1, 4, 8\)"),
        (torch.ones(2, 1, 4), r"got \(2, 1, 4\)"),
        (torch.tensor([[[5, 1, 2, 3]]]), "ends before it starts"),
    ],
)
def test_what_are_no_boxes_is_refused(boxes, match):
    with pytest.raises(ValueError, match=match):
        best_iou(PICTURE, boxes, torch.tensor([0.5]))


@pytest.mark.parametrize("settings", [{"ious": (30, 50, 70)}, {"step": 0}])
def test_limits_in_percent_and_no_step_are_refused(settings):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\], got"):
        MaxBoxAccuracy(**settings)


def test_a_threshold_in_percent_is_refused():
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 50"):
        BoxIoU(50)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_each_is_that_of_all_processes_and_leaves_the_figure_alone(batch, in_two_processes):
    scores, boxes = batch
    whole = MaxBoxAccuracy()
    whole.update(scores, boxes)

    def work(rank):
        metric = MaxBoxAccuracy()
        part = slice(0, 20) if rank == 0 else slice(20, None)
        metric.update(scores[part], boxes[part])
        return [*metric.each().values(), metric.compute()]

    for answer in in_two_processes(work):
        assert answer == [*whole.each().values(), whole.compute()]
