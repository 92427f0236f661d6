"""The ImageNet-Segmentation protocol, against counts by hand and a literal average precision."""

import pytest
import torch

from explainers.metrics.segmentation import (
    MeanAveragePrecision,
    MeanIoU,
    PixelAccuracy,
    average_precision,
    confusion,
)

METRICS = [PixelAccuracy, MeanIoU, MeanAveragePrecision]
# Mean 2, so 3, 5 and 4 are taken for foreground: of the 2 pixels of the object, one (5).
SCORES = torch.tensor([[[[3.0, 0.0, 4.0], [0.0, 0.0, 5.0]]]])
MASKS = torch.tensor([[[[False, False, False], [True, False, True]]]])


@pytest.fixture
def batch():
    """Maps and masks (21 1 5 8), wider than high, in which many pixels are equal."""
    scores = torch.randint(-3, 4, (21, 1, 5, 8)).float()
    masks = torch.rand(21, 1, 5, 8) > torch.rand(21, 1, 1, 1) * 0.8
    masks[..., 0, 0], masks[..., 4, 7] = True, False
    return scores, masks


def test_known_counts():
    # Background: 2 recognised, 2 (3 and 4) taken for the object. Object: 1 missed, 1 found.
    assert confusion(SCORES, MASKS).tolist() == [[[2, 2], [1, 1]]]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # (2 + 1) of 6 pixels.
        (PixelAccuracy, 50.0),
        # Background 2 / (2 + 2 + 1), object 1 / (1 + 1 + 2): (40 % + 25 %) / 2.
        (MeanIoU, 32.5),
        # In order 5 (in), 4, 3, then the three zeros at once (one in): (1 / 1 + 2 / 6) / 2.
        (MeanAveragePrecision, 100 * 2 / 3),
    ],
)
def test_known_value(metric, expected):
    metric = metric()
    metric.update(SCORES, MASKS)
    assert metric.compute() == pytest.approx(expected, rel=1e-6)


def test_counts_are_those_of_a_slow_loop(batch):
    scores, masks = batch
    expected = torch.zeros(21, 2, 2, dtype=torch.int64)
    for image in range(21):
        pixels = scores[image].flatten().tolist()
        for score, inside in zip(pixels, masks[image].flatten().tolist(), strict=True):
            expected[image, int(inside), int(score > sum(pixels) / 40)] += 1
    assert torch.equal(confusion(scores, masks), expected)


def test_counts_are_summed_over_the_data_set():
    # A second image of which all is right adds 6 + 6: (3 + 6) / 12; IoU (2 + 4) / (5 + 4) and
    # (1 + 2) / (4 + 2). Means of the two images would be 75, and (32.5 + 100) / 2 = 66.25.
    scores, masks = torch.cat([SCORES, MASKS.float()]), torch.cat([MASKS, MASKS])
    accuracy, iou = PixelAccuracy(), MeanIoU()
    accuracy.update(scores, masks)
    iou.update(scores, masks)
    assert accuracy.compute() == 75
    assert iou.compute() == pytest.approx(100 * (6 / 9 + 3 / 6) / 2)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_map_scores_100(metric, batch):
    _, masks = batch
    metric = metric()
    metric.update(masks.float(), masks)
    assert metric.compute() == 100


@pytest.mark.parametrize("metric", METRICS)
def test_scale_offset_and_order_of_pixels_do_not_matter(metric, batch):
    scores, masks = batch
    plain, changed = metric(), metric()
    plain.update(scores, masks)
    changed.update(4 * scores.mT.flip(2) - 8, masks.mT.flip(2))
    torch.testing.assert_close(changed.compute(), plain.compute())


def _slow_average_precision(scores, masks):
    """Sum of the precisions, each times the recall that its threshold adds."""
    pixels = list(zip(scores.flatten().tolist(), masks.flatten().tolist(), strict=True))
    positives = sum(inside for _, inside in pixels)
    precision_times_gain = 0.0
    recall = 0.0
    for threshold in sorted({score for score, _ in pixels}, reverse=True):
        taken = [inside for score, inside in pixels if score >= threshold]
        precision_times_gain += (sum(taken) / positives - recall) * sum(taken) / len(taken)
        recall = sum(taken) / positives
    return 100 * precision_times_gain


def test_average_precision_is_the_area_under_precision_and_recall(batch):
    scores, masks = batch
    expected = [_slow_average_precision(s, m) for s, m in zip(scores, masks, strict=True)]
    torch.testing.assert_close(average_precision(scores, masks), torch.tensor(expected))


def test_average_precision_of_both_classes_ranks_them_together(batch):
    _, masks = batch
    scores = torch.randint(0, 5, (21, 1, 5, 8)) / 4  # quarters, so that 1 - s is exact
    scores[..., 0, 0], scores[..., 4, 7] = 0, 1
    both = torch.cat([scores, 1 - scores], dim=1), torch.cat([masks, ~masks], dim=1)
    expected = [_slow_average_precision(s, m) for s, m in zip(*both, strict=True)]
    metric = MeanAveragePrecision(both_classes=True)
    metric.update(12 * scores - 4, masks)
    assert metric.compute() == pytest.approx(sum(expected) / len(expected), rel=1e-5)


def test_of_a_constant_map_nothing_is_foreground():
    # The mean of seventy 0.1 in float32 is below 0.1 for many orders of summation.
    masks = torch.zeros(1, 1, 7, 10, dtype=torch.bool)
    masks[..., 1:3, 2:9] = True  # 14 of 70
    scores = torch.full((1, 1, 7, 10), 0.1)
    assert confusion(scores, masks).tolist() == [[[56, 0], [14, 0]]]
    assert average_precision(scores, masks).item() == pytest.approx(20)
    both = MeanAveragePrecision(both_classes=True)
    both.update(scores, masks)
    assert both.compute() == pytest.approx(50)  # each pixel is right for one of two classes


def test_empty_masks_and_maps_with_nan_are_left_out(batch):
    scores, masks = batch
    nothing, hole = torch.zeros_like(masks[:1]), scores[:1].clone()
    hole[0, 0, 0, 0] = torch.nan
    more = torch.cat([scores, scores[:1], hole]), torch.cat([masks, nothing, masks[:1]])
    assert average_precision(*more)[-2:].isnan().all()
    for metric in METRICS:
        with_them, without = metric(), metric()
        with_them.update(*more)
        without.update(scores, masks)
        assert with_them.compute() == without.compute()
    counts = PixelAccuracy()
    counts.update(*more)
    assert counts.left_out == 2


def test_transposed_masks_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 1, 3, 2\)"):
        PixelAccuracy().update(SCORES, MASKS.mT)
