"""Interpolation of removed pixels, against a direct solver in float64."""

import pytest
import torch
import torch.nn.functional as F

from explainers.images.interpolation import interpolate


def solved(image, removed):
    """What interpolation should make of image (3 h w) without removed (h w): in float64, densely."""
    height, width = removed.shape
    places = removed.nonzero().tolist()
    index = {tuple(place): number for number, place in enumerate(places)}
    matrix = torch.zeros(len(places), len(places), dtype=torch.float64)
    right = torch.zeros(len(places), 3, dtype=torch.float64)
    for (row, column), number in index.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = (row + down, column + across)
                inside = 0 <= other[0] < height and 0 <= other[1] < width
                if (down, across) == (0, 0) or not inside:
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[number, number] += weight
                if other in index:
                    matrix[number, index[other]] -= weight
                else:
                    right[number] += weight * image[:, other[0], other[1]]
    filled = image.double()
    filled[:, removed] = torch.linalg.solve(matrix, right).T
    return filled


def scattered(height, width):
    return torch.rand(height, width)


def contiguous(height, width):
    return torch.linspace(-1, 1, height)[:, None] ** 2 + torch.linspace(-1, 1, width) ** 2


def constant(height, width):
    return torch.zeros(height, width)


def removal(maps, percent):
    """Where (b 1 h w) the highest percent of maps (b 1 h w) are, of equals the first."""
    pixels = maps.flatten(1)
    order = pixels.argsort(dim=1, descending=True, stable=True)
    gone = torch.zeros_like(pixels, dtype=torch.bool)
    gone.scatter_(1, order[:, : int(pixels.shape[1] * percent / 100)], True)
    return gone.view_as(maps)


def test_a_pixel_becomes_the_weighted_mean_of_its_eight_neighbours():
    images = torch.arange(9.0).view(1, 1, 3, 3).repeat(1, 3, 1, 1) ** 2 / 64
    removed = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    removed[..., 1, 1] = True
    # Sides 1, 9, 25, 49 weigh 1/6, corners 0, 4, 36, 64 weigh 1/12: 84/6 + 104/12 = 68 / 3.
    assert interpolate(images, removed)[0, :, 1, 1].tolist() == pytest.approx([68 / 192] * 3)


def test_a_pixel_in_a_corner_has_three_neighbours():
    images = torch.tensor([[0.0, 0.4], [0.6, 0.5]]).expand(1, 3, 2, 2)
    removed = torch.tensor([[[[True, False], [False, False]]]])
    # Twice .4, twice .6 and once .5, over 5.
    assert interpolate(images, removed)[0, 0, 0, 0].item() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [scattered, contiguous, constant])
@pytest.mark.parametrize(("size", "percent"), [((9, 14), 90), ((32, 45), 90), ((64, 64), 50)])
def test_agrees_with_a_direct_solver(kind, size, percent):
    images, maps = torch.rand(1, 3, *size), kind(*size)[None, None]
    removed = removal(maps, percent)
    actual = interpolate(images, removed)
    expected = solved(images[0], removed[0, 0])
    torch.testing.assert_close(actual[0].double(), expected, atol=1e-3, rtol=0)
    assert torch.equal(actual[0][:, ~removed[0, 0]], images[0][:, ~removed[0, 0]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [scattered, contiguous, constant])
def test_agrees_with_a_direct_solver_at_90_percent_of_64_pixels_a_side(kind):
    images, removed = torch.rand(1, 3, 64, 64), removal(kind(64, 64)[None, None], 90)
    expected = solved(images[0], removed[0, 0])
    torch.testing.assert_close(
        interpolate(images, removed)[0].double(), expected, atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("percent", [10, 30, 50, 70])
@pytest.mark.parametrize("kind", [scattered, contiguous])
def test_shares_that_p_tame_reports_are_imputed_as_published_on_smooth_images(kind, percent):
    images = F.interpolate(torch.rand(1, 3, 12, 12), (48, 48), mode="bilinear")
    removed = removal(kind(48, 48)[None, None], percent)
    expected = solved(images[0], removed[0, 0])
    actual = interpolate(images, removed)[0].double()
    torch.testing.assert_close(actual, expected, atol=3e-4, rtol=0)


def test_linear_ramps_are_restored():
    rows, columns = torch.linspace(0, 0.5, 96)[:, None], torch.linspace(0, 0.4, 128)
    images = (rows + columns).expand(1, 3, 96, 128)
    removed = torch.zeros(1, 1, 96, 128, dtype=torch.bool)
    removed[..., 5:91, 3:120] = True
    torch.testing.assert_close(interpolate(images, removed), images, atol=1e-3, rtol=0)


def test_a_constant_image_stays():
    images, removed = torch.full((1, 3, 40, 56), 0.3), removal(torch.rand(1, 1, 40, 56), 90)
    torch.testing.assert_close(interpolate(images, removed), images)


def test_batch_mates_do_not_matter():
    images = torch.rand(4, 3, 48, 64)
    maps = torch.stack([kind(48, 64) for kind in (contiguous, scattered, constant, scattered)])
    removed = removal(maps[:, None], 70)
    together = interpolate(images, removed)
    alone = torch.cat([interpolate(images[i : i + 1], removed[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
