import pytest
import torch
from PIL import Image

from explainers import PTAME
from explainers.errors import InputError
from explainers.images.drawing import SIGNED_COLOUR_MAP, colourise, overlay, save_picture
from explainers.images.drawing_choices import COLOUR_MAPS
from explainers.report.explanation_panel import explained_panel


def test_colours_grow_brighter_with_the_map():
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256)
    luminance = colourise(ramp).mean(dim=1).flatten()
    assert (luminance.diff() > -0.01).all()
    assert luminance[0] < 0.05
    assert luminance[-1] > 0.8


def by_hand(images, maps, thickness, colour_map):
    """The overlay of one image, pixel by pixel."""
    _, _, height, width = images.shape
    drawn = torch.empty(1, 3, height, width)
    for y in range(height):
        for x in range(width):
            red, green, blue = images[0, :, y, x].tolist()
            grey = 0.299 * red + 0.587 * green + 0.114 * blue
            colour = colourise(maps[:, :, y : y + 1, x : x + 1], colour_map)[0, :, 0, 0]
            share = thickness(float(maps[0, 0, y, x]))
            drawn[0, :, y, x] = (1 - share) * grey + share * colour
    return drawn


def test_overlay_is_as_thick_as_a_pixel_is_important():
    images, maps = torch.rand(1, 3, 5, 7), torch.rand(1, 1, 5, 7)
    expected = by_hand(images, maps, lambda value: 0.7 * value, "viridis")
    torch.testing.assert_close(overlay(images, maps, 0.7, "viridis"), expected)
    expected = by_hand(images, maps, lambda value: 0.7 * abs(2 * value - 1), SIGNED_COLOUR_MAP)
    torch.testing.assert_close(overlay(images, maps, 0.7, signed=True), expected)


def test_what_does_not_matter_stays_a_photograph():
    images = torch.rand(1, 3, 5, 7)
    bare = overlay(images, torch.zeros(1, 1, 5, 7), opacity=1.0)
    torch.testing.assert_close(bare, overlay(images, torch.rand(1, 1, 5, 7), opacity=0.0))
    half = torch.full((1, 1, 5, 7), 0.5)
    torch.testing.assert_close(bare, overlay(images, half, opacity=1.0, signed=True))
    covered = overlay(images, torch.ones(1, 1, 5, 7), opacity=1.0)
    torch.testing.assert_close(covered, colourise(torch.ones(1, 1, 5, 7)))


@pytest.mark.parametrize(("plain", "diverging"), COLOUR_MAPS.items())
def test_colour_maps_order_values_without_hue(plain, diverging):
    ramp = torch.linspace(0, 1, 256).view(1, 1, 1, 256)
    weights = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    luminance = (colourise(ramp, plain) * weights).sum(1).flatten()
    assert (luminance.diff() > -0.005).all()
    luminance = (colourise(ramp, diverging) * weights).sum(1).flatten()
    assert (luminance[:128].diff() > -0.005).all()  # brightest at zero
    assert (luminance[128:].diff() < 0.005).all()


def test_colours_of_signed_scores_are_white_at_zero_red_above_and_blue_below():
    below, zero, above = colourise(torch.tensor([[[[0.1, 0.5, 0.9]]]]), SIGNED_COLOUR_MAP)[
        0, :, 0
    ].T
    assert zero.amin() > 0.95
    assert above[0] > above[2] + 0.3
    assert below[2] > below[0] + 0.3


def test_saved_picture_is_read_back(tmp_path):
    picture = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1).expand(3, 2, 4)
    path = save_picture(picture, tmp_path / "new" / "picture.png")
    with Image.open(path) as image:
        assert image.size == (4, 2)
        assert image.getpixel((3, 1)) == (0, 128, 255)


def test_panel_of_an_explainer_has_a_row_an_image_and_leaves_it_alone(source, images):
    explainer = PTAME(source, source)
    before = explainer.fingerprints()
    drawn = explained_panel(explainer, images)
    assert drawn.shape[0] == 3
    assert 1.2 < drawn.shape[2] / drawn.shape[1] < 2.5  # three rows of five pictures
    assert explainer.fingerprints() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_map_without_a_colour_is_refused(value):
    maps = torch.rand(1, 1, 4, 4)
    maps[0, 0, 1, 2] = value
    with pytest.raises(InputError, match="a map holds NaN or infinite values"):
        colourise(maps)
