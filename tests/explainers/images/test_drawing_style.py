import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import CDAM
from explainers.errors import InputError
from explainers.images.drawing import overlay
from explainers.images.drawing_style import DrawingStyle

IMAGE = torch.linspace(0, 1, 3 * 40 * 60).view(3, 40, 60)
SCORES = torch.linspace(-1, 2, 40 * 60).view(1, 40, 60)
MAP = torch.linspace(0, 1, 40 * 60).view(1, 40, 60)


def middle(style, signed=True):
    """A picture without its caption and legend."""
    return style.draw(IMAGE, MAP, SCORES, signed, "cat")[:, 22:-22]


@pytest.mark.parametrize(
    ("sign", "shown"),
    [
        ("positive", SCORES.clamp(min=0)),
        ("negative", (-SCORES).clamp(min=0)),
        ("absolute", SCORES.abs()),
    ],
)
def test_one_side_of_signed_scores_is_drawn_from_zero_up(sign, shown):
    shown = (shown / np.quantile(shown.numpy(), 0.99)).clamp(0, 1).float()
    expected = overlay(IMAGE[None], shown[None], colour_map="inferno")[0]
    torch.testing.assert_close(middle(DrawingStyle(sign=sign)), expected)


def test_scores_without_sign_are_drawn_as_the_map_whatever_the_sign_asked_for():
    expected = overlay(IMAGE[None], MAP[None], 0.4, "viridis")[0]
    for sign in ("signed", "negative"):
        style = DrawingStyle(opacity=0.4, colour_map="viridis", sign=sign)
        torch.testing.assert_close(middle(style, signed=False), expected)


def test_scores_of_one_sign_leave_the_other_side_bare():
    bare = DrawingStyle(sign="negative").draw(IMAGE, MAP, SCORES.abs(), True, "")[:, 22:-22]
    torch.testing.assert_close(bare, overlay(IMAGE[None], torch.zeros(1, 1, 40, 60))[0])


def test_image_stands_beside_in_its_own_colours():
    drawn = middle(DrawingStyle(beside=True))
    torch.testing.assert_close(drawn[..., :60], IMAGE)
    torch.testing.assert_close(drawn[..., -60:], middle(DrawingStyle()))
    assert torch.equal(drawn[..., 60:-60], torch.ones(3, 40, 2))


@pytest.mark.parametrize(("width", "strip"), [(60, 22), (1040, 40)])
def test_strips_grow_with_the_picture(width, strip):
    image, one_map, scores = (torch.rand(channels, 40, width) for channels in (3, 1, 1))
    assert DrawingStyle().draw(image, one_map, scores, False, "cat").shape == (
        3,
        40 + 2 * strip,
        width,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opacity": 1.5}, r"opacity must be in \[0, 1\], got 1.5"),
        ({"colour_map": "jet"}, "unknown colour map 'jet'"),
        ({"sign": "both"}, "unknown sign 'both'"),
    ],
)
def test_unknown_styles_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DrawingStyle(**options)


def test_explanation_is_saved_with_the_style_asked_for(tmp_path):
    explanation = CDAM({"model": "test_vit", "pretrained": False, "num_classes": 4}).explain(
        torch.rand(2, 3, 48, 64), 1
    )
    style = DrawingStyle(opacity=0.5, colour_map="cividis", beside=True)
    files = explanation.save(tmp_path, style)
    for file, picture in zip(files, explanation.pictures(style), strict=True):
        with Image.open(file) as image:
            saved = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        torch.testing.assert_close(saved, picture, rtol=0, atol=1 / 255)
    without = dataclasses.replace(explanation, probabilities=torch.full((2,), torch.nan))
    assert not torch.equal(without.pictures()[0][:, :22], explanation.pictures()[0][:, :22])
