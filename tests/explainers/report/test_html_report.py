"""The page of a comparison: whole by itself, and right where something is missing."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import torch

from explainers.evaluation.comparison_results import Pictured
from explainers.images.labelled_maps import LabelledMap
from explainers.report.html_report import report

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


BASELINE = row(
    "ones", average_drop=0.0, average_drop_interval=[0.0, 0.0], insertion=30.0,
    insertion_interval=[25.0, 35.0], map_area=100.0, classifier_passes_per_image=0.0,
)  # fmt: skip


class Page(HTMLParser):
    """The addresses, tags, ids and words of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.open, self.tags, self.ids, self.words = [], [], [], [], []
        self.feed(text)
        self.said = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.note(tag, attrs)
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.note(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def note(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]


def pictured(*names, count=1, side=8, **more):
    """Images with maps of these methods."""
    found = []
    for index in range(count):
        image, values = torch.rand(3, side, side), torch.rand(1, side, side)
        maps = {
            name: LabelledMap(image, values, values - 0.5, "cat", 0.25, name, **more)
            for name in names
        }
        found.append(Pictured(f"image{index}", image, maps))
    return found


def page(*rows, pictures=(), records=()):
    text = report(results(*rows), pictures, records)
    parsed = Page(text)
    assert not parsed.open
    assert len(parsed.ids) == len(set(parsed.ids))
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    return text, parsed


def test_page_needs_nothing_else():
    pictures = pictured("grad_cam", count=2, side=300)
    text, parsed = page(row("grad_cam"), BASELINE, pictures=pictures)
    outside = [link for link in parsed.links if link.removeprefix("#") not in parsed.ids]
    assert len(outside) == 4
    assert all(link.startswith("data:image/jpeg;base64,") for link in outside)
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
    _, parsed = page(bad, row("good"), BASELINE)
    assert "bad failed on 8 images" in parsed.said
    assert "RuntimeError: <b>no & no</b>" in parsed.said
    page(bad)  # alone too


def test_a_training_device_is_text_whatever_is_in_it():
    costs = {"training_seconds": 90.0, "training_device": "<b>`GPU`</b>", "break_even": {"a": 7}}
    text, parsed = page(
        row("ours", **costs), BASELINE | {"training_seconds": 0.0, "break_even": {}}
    )
    scores = text.partition("<h2>Scores")[2].partition("</ul>")[0]
    assert "<b>" not in scores.partition("</table>")[2]
    assert "ours took 90 s on <b>GPU</b> to train" in parsed.said
    assert "7 against a." in parsed.said


def test_names_are_text_whatever_is_in_them():
    name = "<script>alert('1')</script>\"&"
    text, parsed = page(row(name), BASELINE, pictures=pictured(name))
    assert parsed.tags.count("script") == 1
    assert parsed.said.count(name) >= 3
    assert "<script>alert" not in text


def test_costs_are_drawn_against_a_metric_that_no_baseline_wins():
    better = BASELINE | {"insertion": 60.0}
    gain = [row("a", average_gain=9.0), better | {"average_gain": 1.0}]
    text, _ = page(*gain)
    assert "average gain against seconds" in text
    assert "best uninformative baseline: ones" in text


def test_legend_entry_and_every_part_of_a_row_in_a_figure_have_one_key():
    text, _ = page(row("a$b"), BASELINE, row("c"))
    keys = dict(
        re.findall(r'<button aria-pressed="true" data-row="(row-\d)">.*?</svg>(.*?)<', text)
    )
    assert keys == {"row-0": "a$b", "row-1": "ones", "row-2": "c"}
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    titles = [set(re.findall(r'<g data-row="(row-\d)"><title>(.*?)[:<]', one)) for one in figures]
    assert titles[0] == set(keys.items())  # the curve
    assert titles[1] == set(keys.items())  # average drop against area
    assert titles[2] == titles[3] == {("row-0", "a$b"), ("row-2", "c")}  # baselines cost nothing
    assert "part.dataset.row === button.dataset.row" in text


def test_cells_sort_by_their_exact_values_and_the_unknown_comes_last():
    text, _ = page(row("a", insertion=0.1 + 0.2), row("b", insertion=None))
    assert '<td data-value="0.30000000000000004" class="best">' in text
    assert '<td data-value="">-</td>' in text
    assert 'data-first="descending"' in text  # insertion: higher is better


def test_best_of_a_column_is_bold_and_baselines_are_marked():
    text, parsed = page(row("a"), BASELINE)
    assert '<td data-value="0.0" class="best"><b>0</b><small>0 … 0</small></td>' in text
    assert '<tr class="uninformative">\n<th scope="row" data-value="ones">ones</th>' in text
    assert "1 method and 1 uninformative baseline, 8 images; target: the prediction" in parsed.said


def test_maps_that_were_not_scored_are_told():
    _, parsed = page(row("grad_cam", maps_left_out=3))
    assert "3 maps of grad_cam were not scored: they were constant, or not finite." in parsed.said


def test_same_results_give_the_same_page():
    assert page(row("a"), BASELINE)[0] == page(row("a"), BASELINE)[0]


def test_maps_carry_class_probability_and_scores_and_baselines_are_folded_away():
    records = [
        {"key": "image0", "explainer": name, "insertion": value, "average_drop": float("nan")}
        for name, value in (("a", 0.5), ("ones", 0.25))
    ]
    pictures = pictured("a", "ones", signed=True)
    text, parsed = page(row("a"), BASELINE, pictures=pictures, records=records)
    assert "cat 25.0 % image0" in parsed.said
    assert "insertion 0.50" in parsed.said
    assert '<figure class="uninformative" data-name="ones"' in text
    assert '<input type="checkbox" id="baselines">' in text
    scores = re.search(r'class="strip" data-scores="(.*?)"', text)[1].replace("&#34;", '"')
    assert json.loads(scores) == {"a": {"insertion": 0.5}, "ones": {"insertion": 0.25}}
    assert '<option value="average_drop" data-lower="yes">' in text


def test_class_that_is_ruled_out_has_a_caveat():
    (one,) = pictured("a")
    maps = {"a": dataclasses.replace(one.maps["a"], probability=1e-5)}
    _, parsed = page(row("a"), pictures=[dataclasses.replace(one, maps=maps)])
    assert "the network rules this class out" in parsed.said
