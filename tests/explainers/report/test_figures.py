"""Plots as SVG: their axes, labels, colours, and what they leave untouched."""

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from explainers.report.figures import (
    Curve,
    Point,
    curve_plot,
    powers_of_ten,
    round_ticks,
    scatter_plot,
)
from explainers.report.row_styles import GREY, row_styles

STYLES = row_styles(["a<b", "ones"], ["ones"])
LINES = [
    Curve(name, [0, 0.5, 1], [0.1, 0.4, 0.8], [0, 0.3, 0.7], [0.2, 0.5, 0.9]) for name in STYLES
]


def texts(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize("values", [[0.0, 100.0], [-3.2, 4.1], [0.2, 0.2], [18.0, 81.0, 99.5]])
def test_ticks_enclose_their_values_in_few_steps(values):
    ticks = round_ticks(values)
    assert ticks[0] <= min(values) <= max(values) <= ticks[-1]
    assert 2 <= len(ticks) <= 8


def test_ticks_are_round_numbers():
    assert round_ticks([0.1, 0.93]) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_logarithmic_ticks_end_at_powers_of_ten():
    assert powers_of_ten([0.02, 30.0]) == pytest.approx([0.01, 0.1, 1.0, 10.0, 100.0])
    assert len(powers_of_ten([1.0])) == 2


def test_logarithmic_axis_is_labelled_in_plain_numbers():
    points = [Point("ones", 0.02, 1.0, None)]
    assert {"0.01", "0.1"} <= set(texts(scatter_plot("", points, "", "", STYLES, logarithmic=True)))


def test_labels_that_find_no_room_are_left_out_and_the_points_are_not():
    points = [Point(f"method_{index:02d}", 1.0, 1.0, (0.5, 1.5)) for index in range(40)]
    styles = row_styles([point.name for point in points], [])
    svg = scatter_plot("", points, "x", "y", styles, x_values=(0, 2))
    assert svg.count("<use ") == 40
    assert 1 <= len([text for text in texts(svg) if text.startswith("method_")]) < 40
    assert set(re.findall(r"<title>(.*?)</title>", svg)) == {
        f"{point.name}: 1, 1" for point in points
    }


def test_label_of_a_lone_point_is_beside_it():
    svg = scatter_plot("", [Point("ones", 1.0, 1.0, None)], "x", "y", STYLES)
    assert "ones" in texts(svg)


def test_level_is_named_and_within_the_axis():
    points = [Point("a<b", 1.0, 1.0, None)]
    svg = scatter_plot("", points, "x", "y", STYLES, level=("best: ones", 9.0))
    assert {"best: ones", "a<b", "9"} <= set(texts(svg)) | {"9"}
    heights = [float(text.replace("\u2212", "-")) for text in texts(svg) if text[-1].isdigit()]
    assert max(heights) >= 9


def test_methods_have_bands_and_baselines_have_none():
    svg = ElementTree.fromstring(curve_plot("", LINES, "y", STYLES))
    parts = {"row-0": [], "row-1": []}
    for group in svg.iter("g"):
        if group.get("data-row"):
            parts[group.get("data-row")].append(group)
    assert [len(groups) for groups in parts.values()] == [2, 1]
    (baseline,) = parts["row-1"]
    style = baseline.find("path").get("style")
    assert f"stroke: {GREY}" in style
    assert "stroke-dasharray: 1,2" in style


def test_figure_follows_the_colours_of_its_page():
    svg = curve_plot("Curves of insertion", LINES, "y", STYLES)
    assert 'aria-label="Curves of insertion"' in svg
    assert "fill: currentColor" in svg
    assert "var(--line)" in svg
    assert not re.search(r"#(000000|ffffff|01020\d)", svg)
    assert "clip-path" not in svg


def test_names_are_text_whatever_is_in_them():
    name = '$x_1$ <script> & "q"'
    svg = scatter_plot("", [Point(name, 1.0, 1.0, None)], "x", "y", row_styles([name], []))
    assert name in texts(svg)


def test_settings_of_matplotlib_are_as_before():
    before = dict(mpl.rcParams)
    curve_plot("", LINES, "y", STYLES)
    scatter_plot("", [Point("ones", 1.0, 1.0, None)], "x", "y", STYLES)
    assert dict(mpl.rcParams) == before
