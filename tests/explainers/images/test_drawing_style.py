"""What a style makes of a map: values, colours, scale."""

import numpy as np
import pytest
import torch

from explainers.errors import InputError
from explainers.images.drawing import overlay
from explainers.images.drawing_style import FAINT, DrawingStyle

IMAGE = torch.rand(3, 40, 60)
# No grid was enlarged to these: they are drawn as they are.
SCORES = torch.rand(1, 40, 60) * 3 - 1
MAP = torch.rand(1, 40, 60)


def drawn(style, signed=True, scores=SCORES):
    return style.tile(IMAGE, style.drawable(MAP, scores, signed)).picture


def reach(scores):
    return float(np.abs(np.quantile(scores.numpy(), [0.01, 0.99])).max())


@pytest.mark.parametrize(
    ("sign", "side"),
    [
        ("positive", SCORES.clamp(min=0)),
        ("negative", (-SCORES).clamp(min=0)),
        ("absolute", SCORES.abs()),
    ],
)
def test_one_side_of_signed_scores_is_drawn_from_zero_up(sign, side):
    style = DrawingStyle(sign=sign)
    one = style.drawable(MAP, SCORES, True)
    torch.testing.assert_close(one.values, (side / reach(side)).clamp(0, 1))
    assert one.ends == (0.0, pytest.approx(reach(side)))
    expected = overlay(IMAGE[None], one.values[None], colour_map="inferno")[0]
    torch.testing.assert_close(drawn(style), expected)


def test_signed_scores_are_centred_at_zero_and_clipped_at_their_quantiles():
    scores = torch.linspace(-1, 3, 401)[torch.randperm(401)].view(1, 1, 401)
    one = DrawingStyle().drawable(scores, scores, True)
    # The 1 % and 99 % quantiles are -0.96 and 2.96, and 2.96 is stretched to 1.
    assert one.ends == (pytest.approx(-2.96), pytest.approx(2.96))
    expected = 0.5 + 0.5 * scores.clamp(-0.96, 2.96) / 2.96
    torch.testing.assert_close(one.values, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        DrawingStyle().drawable(scores, 10 * scores, True).values, one.values
    )


def test_scores_of_zero_are_the_centre_and_one_sign_stays_on_its_side():
    style = DrawingStyle()
    zero = torch.zeros(1, 20, 20)
    assert torch.equal(style.drawable(zero, zero, True).values, torch.full((1, 20, 20), 0.5))
    assert style.drawable(zero, torch.rand(1, 20, 20) + 5, True).values.amin() > 0.9


def test_signed_scores_of_a_large_photograph_are_drawn():
    scores = torch.rand(1, 4100, 4100)
    assert DrawingStyle().drawable(scores, scores, True).values.shape == scores.shape


def test_scores_without_sign_are_drawn_as_the_map_whatever_the_sign_asked_for():
    expected = overlay(IMAGE[None], MAP[None], 0.4, "viridis")[0]
    for sign in ("signed", "negative"):
        style = DrawingStyle(opacity=0.4, colour_map="viridis", sign=sign)
        torch.testing.assert_close(drawn(style, signed=False), expected)


def test_mask_shows_what_is_kept_and_has_no_scale():
    style = DrawingStyle(drawing="mask")
    torch.testing.assert_close(drawn(style, signed=False), IMAGE * MAP)
    assert style.bar(style.drawable(MAP, SCORES, False), "importance") is None


def test_contours_leave_the_image_as_it_is():
    style = DrawingStyle(drawing="contour")
    tile = style.tile(IMAGE, style.drawable(MAP, SCORES, True))
    torch.testing.assert_close(tile.picture, IMAGE)
    assert tile.contours.levels == (0.125, 0.25, 0.375, 0.625, 0.75, 0.875)


def test_faint_map_has_a_share_of_the_opacity():
    style = DrawingStyle(opacity=0.5)
    one = style.drawable(MAP, SCORES, False)
    expected = overlay(IMAGE[None], MAP[None], 0.5 * FAINT)[0]
    torch.testing.assert_close(style.tile(IMAGE, one, faint=True).picture, expected)


@pytest.mark.parametrize("signed", [False, True])
def test_scale_shows_the_colours_of_the_overlay_from_end_to_end(signed):
    style = DrawingStyle(opacity=0.6)
    one = style.drawable(MAP, SCORES, signed)
    bar = style.bar(one, "importance")
    ramp = torch.linspace(0, 1, 512).view(1, 1, 1, 512)
    grey = torch.full((1, 3, 1, 512), 0.5)
    expected = overlay(grey, ramp, 0.6, signed=signed)[0, :, 0]
    torch.testing.assert_close(bar.colours, expected)
    ends = f"{reach(SCORES):.2g}"
    signs = ["\N{MINUS SIGN}" + ends + " against", "0", ends + " for"]
    assert bar.ticks == (signs if signed else ["0", "0.5", "1"])
    shared = style.bar(one, "", numbers=False).ticks
    assert shared == (["against", "0", "for"] if signed else ["0", "0.5", "1"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opacity": 1.5}, r"opacity must be in \[0, 1\], got 1.5"),
        ({"colour_map": "jet"}, "unknown colour map 'jet'"),
        ({"sign": "both"}, "unknown sign 'both'"),
        ({"drawing": "contours"}, "unknown drawing 'contours'"),
        ({"theme": "grey"}, "unknown theme 'grey'"),
    ],
)
def test_unknown_styles_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DrawingStyle(**options)
