"""Every metric gives the same figure however the images are parted, also among two processes."""

import math

import pytest
import torch

from explainers.metrics import CHOICES
from explainers.metrics.boxes import boxes_of
from explainers.metrics.perturbations import Kept, Whole

COUNT = 5
PARTS = {"uneven": (3, 2), "one image, first": (1, 0), "one image, second": (0, 1)}


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


def scored(name, *parts):
    """The figure of a metric after batches, each a slice of the five images."""
    metric = CHOICES[name]()
    for part in parts:
        if range(COUNT)[part]:
            metric.update(*of_images(arguments_of(metric), part))
    return float(metric.compute())


@pytest.fixture(scope="module")
def figures_of_two(in_two_processes):
    """What each of two processes says of each metric, by parts; all in one pair of processes."""

    def work(rank):
        return {
            parts: {
                name: scored(name, slice(0, first) if rank == 0 else slice(first, first + second))
                for name in CHOICES
            }
            for parts, (first, second) in PARTS.items()
        }

    return in_two_processes(work)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("name", CHOICES)
def test_two_processes_give_exactly_the_figure_of_one(name, parts, figures_of_two):
    expected = scored(name, slice(0, sum(PARTS[parts])))
    assert math.isfinite(expected)
    assert [figures[parts][name] for figures in figures_of_two] == [expected, expected]


@pytest.mark.parametrize("name", CHOICES)
def test_uneven_batches_give_exactly_the_figure_of_one(name):
    expected = scored(name, slice(0, COUNT))
    assert scored(name, slice(0, 4), slice(4, COUNT)) == expected
    assert scored(name, slice(0, 1), slice(1, COUNT)) == expected
    assert len({scored(name, slice(i, i + 1)) for i in (0, 2, 4)}) > 1  # the parts do differ


@pytest.mark.parametrize("name", CHOICES)
def test_order_of_the_images_does_not_matter(name):
    backwards = [slice(i, i + 1) for i in reversed(range(COUNT))]
    assert scored(name, *backwards) == pytest.approx(scored(name, slice(0, COUNT)), rel=1e-6)


@pytest.mark.parametrize("name", CHOICES)
def test_reset_forgets(name):
    metric = CHOICES[name]()
    metric.update(*of_images(arguments_of(metric), slice(3)))
    metric.reset()
    metric.update(*of_images(arguments_of(metric), slice(4, None)))
    assert float(metric.compute()) == scored(name, slice(4, COUNT))


@pytest.mark.parametrize("name", CHOICES)
def test_images_for_which_it_is_not_defined_are_left_out_and_counted(name):
    metric = CHOICES[name]()
    arguments = arguments_of(metric)
    metric.update(*arguments)
    if hasattr(metric, "left_out"):
        undefined = torch.tensor([False, True, False, True, False])
        assert metric.left_out == 2
    else:
        (values,) = metric.values
        undefined = values.isnan()
        assert values.shape == (COUNT,)
        # Responses are numbers for every image; it is what else the metric takes that is not.
        assert undefined.any() == bool(metric.takes)
    kept = CHOICES[name]()
    kept.update(*of_images(arguments, ~undefined))
    assert metric.compute() == kept.compute()


@pytest.mark.parametrize("name", CHOICES)
def test_every_metric_says_which_way_is_better(name):
    assert isinstance(CHOICES[name]().higher_is_better, bool)
