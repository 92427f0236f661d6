"""EVAL-X by hand, and on masks that give the class away by their shape."""

import json

import pytest
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.errors import InputError
from explainers.evaluation.evaluator import Evaluator
from explainers.metrics.judged import Shown
from explainers.training.masked_surrogate import MaskedSurrogate, load_surrogate, random_subsets

METRICS = ["average_drop", "evalx_accuracy_15", "evalx_probability_15", "evalx_accuracy_50"]


class TwoClues(nn.Module):
    """Reads the colour of the middle, which shows the class, the tint of all, and the sides.

    On whole images of noise both sides are alike. Where one is masked, that decides: a clue that
    masks give, and images do not. The tint is slight, and has nothing to do with the class.
    """

    def __init__(self):
        super().__init__()
        self.colour, self.side = nn.Parameter(torch.tensor(9.0)), nn.Parameter(torch.tensor(9.0))

    def forward(self, images):
        middle = images[:, :, 12:20, 12:20].mean((2, 3))
        left, right = (half.mean((1, 2, 3)) for half in images.split(16, dim=3))
        tint = images.mean((2, 3))
        evidence = self.colour * (middle[:, 0] - middle[:, 1] + 3 * (tint[:, 0] - tint[:, 1]))
        evidence = evidence + self.side * (left - right)
        return torch.stack([evidence, -evidence], dim=1)


def scenes(count, seed):
    """Images (b 3 32 32) of noise with a red or green middle."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 + 0.2 * torch.rand(count, 3, 32, 32, generator=generator)
    images[:, 0] += 0.1 * torch.rand(count, 1, 1, generator=generator) - 0.05
    red = torch.rand(count, generator=generator) < 0.5
    images[:, 0, 12:20, 12:20] = torch.where(red, 0.9, 0.1)[:, None, None]
    images[:, 1, 12:20, 12:20] = torch.where(red, 0.1, 0.9)[:, None, None]
    return images


def honest(images, labels):
    """The middle, whatever the class."""
    maps = torch.zeros_like(images[:, :1])
    maps[:, :, 12:20, 12:20] = 1
    return maps


def leaking(images, labels):
    """Noise of the left for one class, of the right for the other; nothing of the middle."""
    maps = torch.zeros_like(images[:, :1])
    maps[labels == 0, :, :, :11] = 1
    maps[labels == 1, :, :, 21:] = 1
    return maps


@pytest.fixture(scope="module")
def classifier():
    preparation = {"mean": [0.0] * 3, "std": [1.0] * 3, "size": [32, 32]}
    return FrozenClassifier(TwoClues(), **preparation)


@pytest.fixture(scope="module")
def surrogate(classifier):
    torch.manual_seed(0)
    surrogate = MaskedSurrogate(classifier, cells=8)
    optimizer = torch.optim.Adam(surrogate.network.parameters(), 0.3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 300)
    for step in range(300):
        loss = surrogate.divergence(scenes(128, step), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    return surrogate


def test_leak_scores_by_average_drop_and_not_before_a_judge(classifier, surrogate):
    images = scenes(200, 10**6)
    evaluator = Evaluator(
        classifier, ["honest", "leaking"], METRICS, judge=surrogate.network.requires_grad_(False)
    )
    labels, known = evaluator.unmasked(images)
    figures = {}
    for method in (honest, leaking):
        batch, name = {"image": images}, method.__name__
        records = evaluator.update(name, method, batch, labels, method(images, labels), known)
        figures[name] = evaluator.figures(name, records)
    assert figures["leaking"]["average_drop"] < 10  # the classifier falls for it
    assert figures["honest"]["average_drop"] < 10
    assert 35 < figures["leaking"]["evalx_accuracy_15"] < 65  # chance is 50
    assert 40 < figures["leaking"]["evalx_probability_15"] < 60
    assert figures["honest"]["evalx_accuracy_15"] > 95
    assert figures["honest"]["evalx_probability_15"] > 80


def test_judge_learns_and_the_classifier_does_not_change(classifier, surrogate):
    assert abs(surrogate.network.model.side.item()) < 1.0
    assert classifier.model.side.item() == surrogate.classifier.model.side.item() == 9.0
    held_out = scenes(100, 10**7)
    with torch.no_grad():
        after = surrogate.divergence(held_out, 5)
        before = MaskedSurrogate(classifier, cells=8).divergence(held_out, 5)
    assert after < before


def test_highest_pixels_are_shown_whole():
    images, maps = torch.rand(2, 3, 10, 10), torch.rand(2, 1, 10, 10)
    (shown,) = Shown(15)(images, maps)
    for image, one, result in zip(images, maps, shown, strict=True):
        kept = one.flatten() >= one.flatten().sort(descending=True).values[14]
        expected = image.flatten(1) * kept
        torch.testing.assert_close(result.flatten(1), expected)


def test_subsets_keep_a_uniform_share_of_patches():
    subsets = random_subsets(4000, (4, 4), torch.Generator().manual_seed(0))
    shares = subsets.float().mean((1, 2))
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / 12 + 1 / 96, abs=0.01)  # and 1/16 of p (1 - p)


def test_metrics_without_a_judge_are_refused(classifier):
    evaluator = Evaluator(classifier, ["honest"], ["evalx_accuracy_5"])
    images = scenes(2, 0)
    labels = torch.zeros(2, dtype=torch.int64)
    batch, scores = {"image": images}, torch.rand(2, 1, 32, 32)
    with pytest.raises(InputError, match="metrics of EVAL-X need a judge; train one with"):
        evaluator.update("honest", honest, batch, labels, scores)


def test_surrogate_is_saved_and_loaded_for_its_classifier_alone(classifier, surrogate, tmp_path):
    surrogate.save(tmp_path / "judge", {"steps": 3})
    loaded = load_surrogate(tmp_path / "judge", classifier)
    images = scenes(3, 4)
    torch.testing.assert_close(loaded(images), surrogate(images))
    assert not any(weight.requires_grad for weight in loaded.parameters())
    other = FrozenClassifier("test_resnet", pretrained=False)
    with pytest.raises(InputError, match="was trained for other weights than those of test_resnet"):
        load_surrogate(tmp_path / "judge", other)
    with pytest.raises(
        InputError, match=r"no masked-input surrogate in .*nowhere; `explainers judge`"
    ):
        load_surrogate(tmp_path / "nowhere", classifier)


def test_surrogate_that_names_no_removal_is_for_black_pixels(classifier, surrogate, tmp_path):
    config = surrogate.save(tmp_path / "judge", {}) / "config.json"
    config.write_text(
        json.dumps({k: v for k, v in json.loads(config.read_text()).items() if k != "removal"})
    )
    load_surrogate(tmp_path / "judge", classifier)
    with pytest.raises(InputError, match="was trained for removal black, and here it is tokens"):
        load_surrogate(tmp_path / "judge", classifier, "tokens")
