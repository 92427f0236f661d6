import pytest
import torch

from explainers.metrics.max_sensitivity import MaxSensitivity, max_sensitivity


def _brightness(images, target):
    """Scores that follow the pixels, weighed with the target."""
    return images.mean(dim=1, keepdim=True) * target.view(-1, 1, 1, 1)


def test_largest_of_the_copies_counts():
    images = torch.full((1, 3, 1, 4), 0.5)
    # An offset each time: the norm of (d d d d) over that of (2 2 2 2) is |d| / 2.
    answers = iter([2.0, 2.1, 1.4, 2.5])

    def explain(images, target):
        return torch.full_like(images[:, :1], next(answers))

    value = max_sensitivity(explain, images, torch.tensor([0]), count=3)
    torch.testing.assert_close(value, torch.tensor([0.3]))


def test_value_is_that_of_a_slow_loop(images, labels):
    generator = torch.Generator().manual_seed(3)
    expected = torch.zeros(3)
    for _ in range(4):
        noise = torch.rand(3, 96, 128, generator=generator) * 0.2 - 0.1
        for index, image in enumerate(images):
            before = image.mean(dim=0)
            change = (image + noise).mean(dim=0) - before
            relative = change.square().sum().sqrt() / before.square().sum().sqrt()
            expected[index] = max(expected[index], relative)
    actual = max_sensitivity(_brightness, images, labels + 1, radius=0.1, count=4, seed=3)
    torch.testing.assert_close(actual, expected)


def test_noise_has_the_radius_and_is_not_clamped():
    seen = []

    def explain(images, target):
        seen.append(images)
        return images[:, :1]

    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 40, 40)
    max_sensitivity(explain, images, torch.tensor([0, 0]), radius=0.02)
    assert len(seen) == 11
    noise = torch.stack(seen[1:]) - images
    torch.testing.assert_close(noise[:, 0], noise[:, 1], rtol=0, atol=1e-6)
    assert noise.abs().max() <= 0.02 + 1e-6
    assert noise.abs().max() > 0.019
    assert noise.mean().abs() < 1e-3
    assert not torch.allclose(noise[0], noise[1])


def test_value_does_not_depend_on_batch_mates(images, labels):
    together = max_sensitivity(_brightness, images, labels + 1)
    alone = [max_sensitivity(_brightness, images[i : i + 1], labels[i : i + 1] + 1) for i in (0, 1)]
    torch.testing.assert_close(together[:2], torch.cat(alone))


def test_seed_decides(images, labels):
    values = [max_sensitivity(_brightness, images, labels + 1, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


def test_scale_of_the_scores_does_not_count(images, labels):
    def louder(images, target):
        return 1000 * _brightness(images, target)

    torch.testing.assert_close(
        max_sensitivity(louder, images, labels + 1),
        max_sensitivity(_brightness, images, labels + 1),
    )


def test_map_that_ignores_the_image_does_not_move(images, labels):
    def explain(images, target):
        return torch.ones_like(images[:, :1])

    assert max_sensitivity(explain, images, labels).tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
def test_map_of_zeros_or_without_numbers_is_undefined(images, value):
    def explain(images, target):
        scores = images[:, :1].clone()
        scores[1] = value
        return scores

    values = max_sensitivity(explain, images, torch.tensor([0, 0, 0]))
    assert values.isnan().tolist() == [False, True, False]


def test_metric_is_the_mean_over_the_images_that_have_a_value():
    metric = MaxSensitivity()
    metric.update(torch.tensor([0.1, torch.nan]))
    metric.update(torch.tensor([0.4]))
    assert metric.compute() == pytest.approx(0.25)  # of 0.1 and 0.4


def test_radius_and_number_of_copies_can_be_those_of_quantus(images, labels):
    generator = torch.Generator().manual_seed(0)
    largest = torch.zeros(3, dtype=torch.float64)
    before = images.double().mean(dim=1).flatten(1)
    for _ in range(200):
        noise = torch.rand(3, 96, 128, generator=generator).double() * 0.4 - 0.2
        change = noise.mean(dim=0).flatten()
        largest = torch.maximum(largest, change.norm() / before.norm(dim=1))
    values = max_sensitivity(_brightness, images, labels + 1, radius=0.2, count=200)
    torch.testing.assert_close(values.double(), largest, rtol=1e-5, atol=0)
