import numpy as np
import pytest
import torch
from PIL import Image

from explainers import CDAM, PTAME
from explainers.errors import InputError
from explainers.images.drawing import (
    COLOUR_MAPS,
    SIGNED_COLOUR_MAP,
    captioned,
    centred,
    colourise,
    legend,
    overlay,
    panel,
    save_picture,
)
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


def test_signed_scores_are_centred_at_zero_and_clipped_at_their_quantiles():
    scores = torch.linspace(-1, 3, 401).view(1, 1, 1, 401)
    shown = centred(scores).flatten()
    # The 1 % and 99 % quantiles are -0.96 and 2.96, and 2.96 is stretched to 1.
    assert shown[100] == 0.5
    torch.testing.assert_close(shown[4:397], 0.5 + 0.5 * scores.flatten()[4:397] / 2.96)
    assert (shown[:4] == shown[4]).all()
    assert (shown[397:] == 1).all()
    torch.testing.assert_close(centred(-scores).flatten(), 1 - shown)
    both = centred(torch.cat([scores, 10 * scores]))
    torch.testing.assert_close(both[0], both[1])  # each on its own scale


def test_scores_of_zero_are_the_centre_and_one_sign_stays_on_its_side():
    assert torch.equal(centred(torch.zeros(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 0.5))
    assert centred(torch.rand(1, 1, 20, 20) + 5).amin() > 0.9


def test_signed_scores_of_a_large_photograph_are_drawn():
    assert centred(torch.rand(1, 1, 4100, 4100)).shape == (1, 1, 4100, 4100)


def test_colours_of_signed_scores_are_white_at_zero_red_above_and_blue_below():
    below, zero, above = colourise(torch.tensor([[[[0.1, 0.5, 0.9]]]]), SIGNED_COLOUR_MAP)[
        0, :, 0
    ].T
    assert zero.amin() > 0.95
    assert above[0] > above[2] + 0.3
    assert below[2] > below[0] + 0.3


def test_picture_of_a_signed_method_is_of_its_scores_and_the_arrays_stay_as_they_are(tmp_path):
    explainer = CDAM({"model": "test_vit", "pretrained": False, "num_classes": 4})
    explanation = explainer.explain(torch.rand(1, 3, 64, 64), 1)
    (path,) = explanation.save(tmp_path)
    expected = overlay(explanation.images[0][None], centred(explanation.scores), signed=True)
    with Image.open(path) as image:  # between the caption and the legend
        drawn = torch.from_numpy(np.array(image)).permute(2, 0, 1)[:, 22:-22].float() / 255
    torch.testing.assert_close(drawn, expected[0], rtol=0, atol=1 / 255)
    with np.load(path.with_suffix(".npz")) as arrays:
        np.testing.assert_array_equal(arrays["scores"], explanation.scores[0, 0])
    assert (explanation[0].signed, explanation.scores.amin() < 0) == (True, True)


def test_caption_is_above_the_picture_and_fits_its_width():
    picture = torch.zeros(3, 40, 60)
    for text in ("", "cat", "a very long name of a class that does not fit at all, at any size"):
        drawn = captioned(picture, text, height=20)
        assert drawn.shape == (3, 60, 60)
        assert torch.equal(drawn[:, 20:], picture)
        assert torch.equal(drawn[:, 0], torch.ones(3, 60))
        assert torch.equal(drawn[:, :20, -3:], torch.ones(3, 20, 3))
    assert captioned(picture, "cat")[:, :20].min() < 0.5


@pytest.mark.parametrize("signed", [False, True])
def test_legend_shows_the_colours_of_the_overlay_from_low_to_high(signed):
    strip = legend(400, ("low", "high"), 0.6, signed=signed, height=24)
    assert strip.shape == (3, 24, 400)
    ramp = torch.linspace(0, 1, 8 * 24).view(1, 1, 1, -1)
    expected = overlay(torch.full((1, 3, 1, 8 * 24), 0.5), ramp, 0.6, signed=signed)[0, :, 0]
    row = strip[:, 6]
    start = int((row < 0.9).any(0).nonzero()[0])
    torch.testing.assert_close(row[:, start : start + 192], expected, rtol=0, atol=1 / 255)
    assert strip[:, :, start + 192 :].min() < 0.5  # the word


@pytest.mark.parametrize("width", [1, 20, 50, 90])
def test_legend_of_a_narrow_image_fits(width):
    assert legend(width, ("- against", "+ for"), signed=True).shape == (3, 22, width)


def test_panel_lays_pictures_out_in_rows():
    rows = [[torch.full((3, 2, 3), (3 * y + x) / 10) for x in range(3)] for y in range(2)]
    laid = panel(rows, gap=1)
    assert laid.shape == (3, 2 * 4, 3 * 5)
    torch.testing.assert_close(laid[0, 5, 11], torch.tensor(0.5))
    assert laid[0, 0].min() == 1


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
    assert drawn.shape == (3, 3 * (96 + 22 + 8), 5 * (128 + 8))
    assert explainer.fingerprints() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_map_without_a_colour_is_refused(value):
    maps = torch.rand(1, 1, 4, 4)
    maps[0, 0, 1, 2] = value
    with pytest.raises(InputError, match="a map holds NaN or infinite values"):
        colourise(maps)
