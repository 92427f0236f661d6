"""Figures of tiles: sizes, margins, words and files."""

import pytest
import torch
from matplotlib.text import Text

from explainers.images.drawing_choices import FORMATS
from explainers.images.figure import figure_of, rendered, save_figure
from explainers.images.tiles import ColourBar, Tile

RED = torch.tensor([1.0, 0.0, 0.0])[:, None, None]


def red(height, width):
    return RED.expand(3, height, width)


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("size", [(128, 128), (400, 600), (1000, 1500), (600, 100)])
def test_type_is_readable_and_margins_are_even_whatever_the_size(size):
    figure = figure_of([[Tile(red(*size), "cat", "12.3 %")]])
    drawn = rendered(figure)
    found = (drawn - RED).abs().amax(dim=0) < 0.01
    rows, columns = (found.any(dim=dim).nonzero().flatten() for dim in (1, 0))
    left, right = int(columns[0]), drawn.shape[2] - 1 - int(columns[-1])
    bottom = drawn.shape[1] - 1 - int(rows[-1])
    assert abs(left - right) <= 2
    assert bottom == pytest.approx(0.12 * figure.dpi, abs=2)
    assert figure.dpi >= 144  # of type of 8 points and more
    assert len(columns) >= min(size[1], 4000) - 1  # no pixel is lost
    assert len(columns) / len(rows) == pytest.approx(size[1] / size[0], rel=0.02)


def test_picture_of_its_own_resolution_is_drawn_pixel_by_pixel():
    picture = torch.rand(3, 900, 900)
    drawn = rendered(figure_of([[Tile(picture)]]))
    top = left = round(0.12 * 900 / 4.5)
    inside = drawn[:, top : top + 900, left : left + 900]
    torch.testing.assert_close(inside, picture, rtol=0, atol=1.01 / 255)


def test_long_title_is_cut_and_its_value_is_not():
    long = "a very long name of a class that does not fit above the picture at all, at any size"
    shown = words(figure_of([[Tile(red(200, 200), long, "12.3 %", "note $1$")]]))
    assert "12.3 %" in shown
    assert "note $1$" in shown
    (cut,) = (text for text in shown if text.endswith("…"))
    assert long.startswith(cut[:-1])


def test_tiles_stand_in_a_grid_above_the_scale():
    bar = ColourBar(torch.rand(3, 256), ["0", "0.5", "1"], "importance")
    rows = [[Tile(red(20, 30), str(3 * row + column)) for column in range(3)] for row in range(2)]
    figure = figure_of(rows, [bar], "dark")
    assert words(figure) == ["0", "1", "2", "3", "4", "5", "importance", "0", "0.5", "1"]
    assert rendered(figure)[:, 0, 0].amax() < 0.2
    assert len(figure.axes[0].images) == 7


@pytest.mark.parametrize("kind", FORMATS)
def test_same_figure_gives_the_same_file(tmp_path, kind):
    paths = [
        save_figure(figure_of([[Tile(red(20, 30), "cat")]]), tmp_path / f"new/{name}.{kind}")
        for name in "ab"
    ]
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith(
        {"png": b"\x89PNG", "jpg": b"\xff\xd8", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    )
