import pytest
import torch

from explainers.images.pixel_removal import (
    FILLS,
    REMOVALS,
    black,
    blur,
    delete,
    in_fill,
    keep,
    mean,
    noise,
    other_image,
)


@pytest.fixture
def half():
    """Maps (1 1 8 8) that keep the left half."""
    maps = torch.zeros(1, 1, 8, 8)
    maps[..., :4] = 1
    return maps


@pytest.mark.parametrize("fill", [black, mean, blur, noise])
def test_kept_pixels_stay_and_the_others_are_filled(half, fill):
    images = torch.rand(2, 3, 8, 8)
    kept = keep(images, half, fill)
    filled = fill(images).expand_as(images)
    torch.testing.assert_close(kept[..., :4], images[..., :4])
    torch.testing.assert_close(kept[..., 4:], filled[..., 4:])


@pytest.mark.parametrize("fill", [black, mean, blur, noise])
def test_keeping_and_deleting_add_up_to_image_and_fill(half, fill):
    images = torch.rand(2, 3, 8, 8)
    together = keep(images, half, fill) + delete(images, half, fill)
    torch.testing.assert_close(together, images + fill(images))


def test_black_is_pixel_value_zero():
    assert keep(torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)).abs().max() == 0


def test_mean_colour_is_that_of_each_image():
    images = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.8)])
    torch.testing.assert_close(mean(images)[:, 0, 0, 0], torch.tensor([0.2, 0.8]))


def test_noise_is_the_same_for_every_call():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(noise(images), noise(images.flip(0)))


def test_blur_leaves_a_constant_image_alone():
    images = torch.full((1, 3, 32, 32), 0.4)
    torch.testing.assert_close(blur(images), images)


def test_other_image_is_the_one_before_in_the_batch(half):
    images = torch.rand(3, 3, 8, 8)
    kept = keep(images, half, other_image)
    torch.testing.assert_close(kept[1, :, :, 4:], images[0, :, :, 4:])
    torch.testing.assert_close(kept[0, :, :, 4:], images[2, :, :, 4:])


def test_in_fill_restores_a_ramp_and_takes_the_mean_where_nothing_is_kept():
    ramp = torch.linspace(0, 0.6, 32).expand(2, 3, 32, 32)
    maps = torch.ones(2, 1, 32, 32)
    maps[0, :, 6:26, 6:26] = 0
    maps[1] = 0
    filled = in_fill(ramp, maps)
    torch.testing.assert_close(filled[0], ramp[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(filled[1], torch.full((3, 32, 32), 0.3))


@pytest.mark.parametrize("name", REMOVALS)
def test_removal_keeps_what_is_kept_and_passes_gradients_to_the_map(name, half):
    images = torch.rand(2, 3, 8, 8)
    maps = half.repeat(2, 1, 1, 1).requires_grad_()
    kept = REMOVALS[name](images, maps)
    torch.testing.assert_close(kept[..., :4], images[..., :4])
    (gradient,) = torch.autograd.grad(kept.sum(), maps)
    assert gradient.abs().sum() > 0


def test_fills_of_metrics_do_not_depend_on_batch_mates():
    images = torch.rand(3, 3, 16, 16)
    for fill in FILLS.values():
        alone = fill(images[:1]).expand(1, 3, 16, 16)
        torch.testing.assert_close(fill(images).expand_as(images)[:1], alone)
