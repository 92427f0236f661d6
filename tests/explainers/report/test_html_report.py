"""The page of a comparison: whole by itself, and right where something is missing."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch

from explainers.evaluation.bootstrap import bootstrap_interval
from explainers.evaluation.response_curves import curves_of
from explainers.report.figures import Axis, Point, scatter
from explainers.report.html_report import report
from explainers.report.row_styles import styles
from explainers.report.summary import notes

CURVE = {"share": [0.0, 0.5, 1.0], "mean": [0.1, 0.4, 0.8]}
CURVE |= {"low": [0.0, 0.3, 0.7], "high": [0.2, 0.5, 0.9]}


def row(name, **more):
    figures = {"average_drop": 20.0, "average_drop_interval": [15.0, 25.0], "insertion": 50.0}
    figures |= {"insertion_interval": [45.0, 55.0], "map_area": 30.0, "map_area_interval": [28, 32]}
    figures |= {"seconds_per_image": 0.1, "classifier_passes_per_image": 2.0}
    rest = {"images": 8, "failed": [], "curves": {"insertion": CURVE}}
    return {"explainer": name} | figures | rest | more


def results(*rows):
    return {"protocol": {"target": "the prediction", "metrics": ["average_drop"]}, "rows": rows}


TRIVIAL = row(
    "ones", average_drop=0.0, average_drop_interval=[0.0, 0.0], insertion=30.0,
    insertion_interval=[25.0, 35.0], map_area=100.0, classifier_passes_per_image=0.0,
)  # fmt: skip


class Page(HTMLParser):
    """What a page refers to, says, and leaves open."""

    def __init__(self, text):
        super().__init__()
        self.links, self.open, self.tags, self.said = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "line", "path", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said += data


def page(*rows, pictures=None):
    text = report(results(*rows), pictures or {})
    parsed = Page(re.sub(r"<(line|path|circle)([^>]*)/>", r"<\1\2>", text))
    assert not parsed.open
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    return text, parsed


def test_page_needs_nothing_else():
    pictures = {name: torch.rand(2, 3, 300, 200) for name in ("image", "grad_cam")}
    text, parsed = page(row("grad_cam"), TRIVIAL, pictures=pictures)
    assert len(parsed.links) == 4
    assert all(link.startswith("data:image/jpeg;base64,") for link in parsed.links)
    assert not re.search(r"url\(|@import|fetch\(|<link|<script src", text)
    assert parsed.tags.count("figure") == 4 + 4  # pictures; curve, area, seconds, passes
    assert "20.0" in parsed.said
    assert "15.0 … 25.0" in parsed.said


def test_without_curves_or_average_drop_there_are_no_such_figures():
    one = row("grad_cam")
    for name in ("curves", "average_drop", "average_drop_interval"):
        del one[name]
    text, parsed = page(one)
    assert "Curves" not in parsed.said
    assert "against area" not in text
    assert parsed.tags.count("figure") == 2


def test_method_that_failed_on_all_images_has_no_figures_but_a_reason():
    failed = [{"key": "x", "reason": "RuntimeError: <b>no & no</b>"}] * 8
    nothing = dict.fromkeys(("average_drop", "insertion", "map_area"))
    nothing |= {"average_drop_interval": [None, None], "insertion_interval": [None, None]}
    bad = row("bad", failed=failed, images=0, seconds_per_image=0.0, **nothing)
    bad["classifier_passes_per_image"] = 0.0
    del bad["curves"]
    _, parsed = page(bad, row("good"), TRIVIAL)
    assert "bad failed on 8 images" in parsed.said
    assert "RuntimeError: <b>no & no</b>" in parsed.said
    page(bad)  # alone too


def test_a_training_device_is_text_whatever_is_in_it():
    costs = {"training_seconds": 90.0, "training_device": "<b>`GPU`</b>", "break_even": {"a": 7}}
    text, parsed = page(row("ours", **costs), TRIVIAL | {"training_seconds": 0.0, "break_even": {}})
    assert (
        "<b>" not in text.partition("<h2>Scores")[2].partition("</ul>")[0].partition("</table>")[2]
    )
    assert "ours took 90 s on <b>GPU</b> to train" in parsed.said
    assert "7 against a." in parsed.said


def test_names_are_text_whatever_is_in_them():
    name = "<script>alert('1')</script>\"&"
    pictures = {"image": torch.rand(1, 3, 8, 8), name: torch.rand(1, 3, 8, 8)}
    text, parsed = page(row(name), TRIVIAL, pictures=pictures)
    assert parsed.tags.count("script") == 1
    assert parsed.said.count(name) >= 3
    assert "alert('1')" not in text


def test_metrics_that_a_trivial_map_wins_are_named():
    said = list(notes([row("grad_cam"), TRIVIAL], ["average_drop", "insertion"]))
    assert "reached by a map that explains nothing" in said[0]
    assert "<code>ones</code> 0 [0, 0]" in said[0]
    assert "best <code>grad_cam</code> 50.0 [45.0, 55.0]; the best trivial map" in said[1]
    near = TRIVIAL | {"insertion": 44.0, "insertion_interval": [40.0, 48.0]}
    assert "their intervals meet" in next(notes([row("grad_cam"), near], ["insertion"]))


def test_costs_are_drawn_against_a_metric_that_no_trivial_map_wins():
    better = TRIVIAL | {"insertion": 60.0}
    gain = [row("a", average_gain=9.0), better | {"average_gain": 1.0}]
    text, _ = page(*gain)
    assert "average gain against seconds" in text
    assert "best trivial map: ones" in text


@pytest.mark.parametrize("values", [[0.0, 100.0], [-3.2, 4.1], [0.2, 0.2], [18.0, 81.0, 99.5]])
def test_axis_holds_its_values_between_few_round_ticks(values):
    axis = Axis.linear("", values)
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 2 <= len(axis.ticks) <= 8
    assert axis.share(axis.low) == 0
    assert axis.share(axis.high) == 1


def test_logarithmic_axis_ends_at_powers_of_ten():
    axis = Axis.logarithmic("", [0.02, 30.0])
    assert axis.ticks == pytest.approx([0.01, 0.1, 1.0, 10.0, 100.0])
    assert axis.share(1.0) == pytest.approx(0.5)
    assert len(Axis.logarithmic("", [1.0]).ticks) == 2


def test_labels_that_find_no_room_are_left_out_and_the_points_are_not():
    points = [Point(f"method_{index:02d}", 1.0, 1.0, (0.5, 1.5)) for index in range(40)]
    axis = Axis.linear("", [0, 2])
    text = scatter("", points, axis, axis, styles([point.name for point in points], []))
    assert text.count("<circle") == 40
    assert 1 <= len(re.findall(r">method_\d\d</text>", text)) < 40
    assert text.count("<title>") == 40


def test_mean_curve_is_that_of_the_images_and_its_ends_have_their_intervals():
    torch.manual_seed(0)
    curves = torch.rand(6, 5).double()
    records = [{"key": str(index)} for index in range(7)]
    pairs = [(index, values) for index, values in enumerate(curves)]
    pairs.append((6, torch.full((5,), torch.nan)))  # its map was left out
    found = curves_of({"insertion": pairs}, records)["insertion"]
    assert found["share"] == [0, 0.25, 0.5, 0.75, 1]
    assert found["mean"] == pytest.approx(curves.mean(dim=0).tolist(), abs=1e-5)
    for point in (0, 4):
        interval = (found["low"][point], found["high"][point])
        assert interval == pytest.approx(bootstrap_interval(curves[:, point]), abs=1e-5)


def test_images_of_one_group_are_resampled_together():
    pairs = [(0, torch.zeros(2)), (1, torch.ones(2))]
    records = [{"group": "x"}, {"group": "x"}]
    found = curves_of({"insertion": pairs}, records)["insertion"]
    assert found["low"] == found["high"] == found["mean"] == [0.5, 0.5]


def test_curves_of_images_of_different_sizes_are_averaged_at_the_same_shares():
    pairs = [(0, torch.tensor([0.0, 1.0])), (1, torch.tensor([0.0, 0.0, 1.0]))]
    found = curves_of({"insertion": pairs}, [{}, {}])["insertion"]
    assert found["mean"] == [0, 0.25, 1]  # (0.5 + 0) / 2 in the middle
