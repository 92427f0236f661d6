import pytest
import torch

from explainers.images.pixel_removal import black, blur, delete, keep, mean, noise


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
