"""Every metric gives the same figure however the images are parted, also among processes.

All metrics but three are an `ImageMean`: a list of one value an image, and their mean. The three
keep counts instead. So what batches, processes, NaN, precision and `reset` do to a figure is tested
once for each of these accumulators, and of every metric only what makes that suffice: that it has
the states and the `compute` of an `ImageMean`, and that the value of an image is the same in every
batch.
"""

import math

import pytest
import torch
from torchmetrics.utilities import dim_zero_cat

from explainers.metrics import CHOICES, MaxBoxAccuracy, MeanIoU, PixelAccuracy
from explainers.metrics.parts.boxes import boxes_of
from explainers.metrics.parts.image_mean import ImageMean
from explainers.metrics.parts.perturbations import Kept, Whole

COUNT = 5
PARTS = {"uneven": (3, 2), "one image, first": (1, 0), "one image, second": (0, 1)}


class MeanOfValues(ImageMean):
    """Mean of the values that it is given."""

    takes = ("sensitivity",)
    per_image = staticmethod(lambda values: values)


COUNTING = {
    MaxBoxAccuracy: "max_box_accuracy",
    PixelAccuracy: "pixel_accuracy",
    MeanIoU: "mean_iou",
}
ACCUMULATORS = [MeanOfValues, *COUNTING]
MEANS = [name for name in CHOICES if name not in COUNTING.values()]


def _examples():
    """What metrics are fed of five images (64 x 80), by the names that they ask for it."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(COUNT, 1, 8, 10, generator=generator)
    scores = torch.nn.functional.interpolate(coarse, (64, 80), mode="bicubic")
    mask = torch.zeros(COUNT, 1, 64, 80, dtype=torch.bool)
    for image, side in enumerate((60, 30, 50, 0, 4)):  # the fourth has no object
        mask[image, :, 2 : 2 + side, 5 : 5 + side] = True
    scores[1, 0, 5, 6] = torch.nan
    examples = {"scores": scores, "maps": scores, "mask": mask, "boxes": boxes_of(mask)}
    examples["other_mask"] = mask.flip(-1)
    examples["other_mask"][4] = True  # more energy is on this one
    examples["images"] = torch.rand(COUNT, 3, 64, 80, generator=generator)
    examples["labels"] = torch.rand(COUNT, 3, generator=generator)  # references, for `embed`
    examples["embed"] = lambda images: images.mean(dim=(2, 3))
    examples["sensitivity"] = torch.tensor([0.3, torch.nan, 0.1, 0.7, 2.0])
    for other in ("second", "random", "least_likely"):
        examples[f"scores_of_{other}_class"] = torch.rand(scores.shape, generator=generator)
    examples["randomised_scores"] = torch.rand(COUNT, 3, 64, 80, generator=generator)
    examples["responses"] = torch.rand(COUNT, 100, generator=generator)
    return examples


EXAMPLES = _examples()


def arguments_of(metric):
    """What `update` takes, for the five images: responses, and what it takes besides."""
    responses = []
    for index, need in enumerate(getattr(metric, "needs", ())):
        versions = 1 if isinstance(need, Whole | Kept) else EXAMPLES["responses"].shape[1]
        responses.append(EXAMPLES["responses"].roll(index, dims=0)[:, :versions])
    return responses + [EXAMPLES[name] for name in getattr(metric, "takes", ())]


def of_images(arguments, part):
    """What belongs to some of the images; functions belong to all of them."""
    return [one if callable(one) else one[part] for one in arguments]


def updated(metric, *parts):
    """A metric after batches, each a slice of the five images; without images, after none."""
    for part in parts:
        if range(COUNT)[part]:
            metric.update(*of_images(arguments_of(metric), part))
    return metric


def scored(kind, *parts):
    """The figure of a metric after batches, each a slice of the five images."""
    return float(updated(kind(), *parts).compute())


@pytest.fixture(scope="module")
def figures_of_two(in_two_processes):
    """What each of two processes says of each metric, by parts; all in one pair of processes."""

    def work(rank):
        return {
            parts: {
                kind.__name__: scored(
                    kind, slice(0, first) if rank == 0 else slice(first, first + second)
                )
                for kind in ACCUMULATORS
            }
            for parts, (first, second) in PARTS.items()
        }

    return in_two_processes(work)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_two_processes_give_exactly_the_figure_of_one(kind, parts, figures_of_two):
    expected = scored(kind, slice(0, sum(PARTS[parts])))
    assert math.isfinite(expected)
    assert [figures[parts][kind.__name__] for figures in figures_of_two] == [expected, expected]


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_neither_batches_nor_their_order_matter(kind):
    expected = scored(kind, slice(0, COUNT))
    assert scored(kind, slice(0, 4), slice(4, COUNT)) == expected
    assert scored(kind, slice(0, 1), slice(1, COUNT)) == expected
    assert scored(kind, *(slice(i, i + 1) for i in reversed(range(COUNT)))) == expected
    assert len({scored(kind, slice(i, i + 1)) for i in (0, 2, 4)}) > 1  # the parts do differ


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_reset_forgets(kind):
    metric = updated(kind(), slice(3))
    metric.reset()
    assert float(updated(metric, slice(4, None)).compute()) == scored(kind, slice(4, COUNT))


@pytest.mark.parametrize("kind", ACCUMULATORS)
def test_precision_of_the_caller_does_not_matter(kind):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        figure = scored(kind, slice(0, 3), slice(3, COUNT))
    assert figure == scored(kind, slice(0, COUNT))


def test_mean_is_that_of_the_values_for_which_it_is_defined():
    metric = updated(MeanOfValues(), slice(0, 3), slice(3, COUNT))
    assert metric.compute() == pytest.approx((0.3 + 0.1 + 0.7 + 2.0) / 4, rel=1e-6)
    metric.reset()
    metric.update(torch.tensor([2.0**30, 1, -(2.0**30)]))  # in float32, the 1 is lost
    assert metric.compute() == pytest.approx(1 / 3)


def test_values_in_half_precision_are_averaged_in_full():
    metric = MeanOfValues()
    metric.update(torch.tensor([256.0, 1], dtype=torch.bfloat16))  # of which the sum would be 256
    assert metric.compute() == 128.5


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_mean_of_nothing_and_of_what_is_not_defined_is_nan():
    metric = MeanOfValues()
    assert metric.compute().isnan()
    metric.update(torch.tensor([torch.nan, torch.nan]))
    assert metric.compute().isnan()


@pytest.mark.parametrize("kind", COUNTING)
def test_counts_leave_out_images_for_which_they_are_not_defined(kind):
    metric = updated(kind(), slice(0, COUNT))
    assert metric.left_out == 2
    assert float(metric.compute()) == scored(kind, slice(0, 1), slice(2, 3), slice(4, 5))


@pytest.mark.parametrize("name", MEANS)
def test_metric_is_a_mean_of_values_that_do_not_depend_on_the_batch(name):
    whole = updated(CHOICES[name](), slice(0, COUNT))
    assert isinstance(whole, ImageMean)
    assert type(whole).compute is ImageMean.compute
    assert whole._defaults == {"values": []}
    (values,) = whole.values
    assert values.shape == (COUNT,)
    assert values.dtype == torch.float32
    # Responses are numbers for every image; it is what else the metric takes that is not.
    assert values.isnan().any() == bool(whole.takes)
    parts = updated(CHOICES[name](), slice(0, 1), slice(1, COUNT))
    torch.testing.assert_close(dim_zero_cat(parts.values), values, rtol=0, atol=0, equal_nan=True)


def test_every_metric_says_which_way_is_better():
    assert all(isinstance(kind().higher_is_better, bool) for kind in CHOICES.values())


def test_metrics_that_count_are_the_three_named_here():
    assert {kind: name for name, kind in CHOICES.items() if name not in MEANS} == COUNTING
