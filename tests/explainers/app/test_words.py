"""What the page says about an answer."""

from pathlib import Path

import pytest

from explainers.app.answers import Files, file_name
from explainers.app.overlays import legend_of
from explainers.app.view import View
from explainers.app.words import error_of, heading_of, hint_of
from explainers.app.workbench import Ranked
from explainers.images.drawing_style import DrawingStyle

PATH = Path("a.png")
RANKED = [Ranked(1, "espresso, coffee", 0.9), Ranked(0, "cup", 0.1)]


RIVALS = "evidence for the class rather than its rivals"


def answered(probability=0.1, meanings=(RIVALS,), methods=("ours",)):
    legend = legend_of(False, DrawingStyle())
    files = Files([], PATH, methods, meanings, False, False, [legend], PATH, PATH)
    return View(
        "bench", subject="cup", ranked=RANKED, label=0, probability=probability, files=files
    )


def test_a_class_is_told_from_its_rival():
    text = heading_of(answered())
    assert "cup <span>10.0 %</span>" in text
    assert f"<p>{RIVALS}: <b>cup</b>, not <b>espresso</b></p>" in text
    assert "rules this class out" not in text


def test_of_several_methods_those_that_say_what_they_measure_are_named():
    text = heading_of(answered(meanings=(RIVALS, "importance", "a & b"), methods=("x", "y", "z")))
    assert "<p>x: evidence" in text
    assert "y: " not in text
    assert "<p>z: a &amp; b</p>" in text


@pytest.mark.parametrize(("probability", "warned"), [(0.0004, True), (0.0006, False)])
def test_a_class_shown_as_zero_gets_a_caveat(probability, warned):
    assert ("rules this class out" in heading_of(answered(probability))) == warned
    assert ("0.0 %" in heading_of(answered(probability))) == warned


def test_markup_of_names_is_text():
    view = View("b", error="<b>bad</b>", field="photo", hint="<i>")
    assert "&lt;b&gt;bad" in error_of(view, "photo")
    assert error_of(view, "partner") == ""
    assert hint_of(view) == "<p>&lt;i&gt;</p>"


def test_nothing_is_said_of_nothing():
    assert heading_of(View("bench")) == ""


@pytest.mark.parametrize(
    ("signed", "style", "low", "high"),
    [
        (False, DrawingStyle(), "low", "high"),
        (True, DrawingStyle(), "against", "for"),
        (True, DrawingStyle(sign="negative"), "low", "against"),
    ],
)
def test_legend_has_the_colours_of_the_overlay(signed, style, low, high):
    legend = legend_of(signed, style)
    assert (legend.low, legend.high) == (low, high)
    grey = "#808080"
    diverging = signed and style.sign == "signed"
    assert (legend.colours[0] == grey) != diverging
    assert (legend.colours[len(legend.colours) // 2] == grey) == diverging


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("coffee", "espresso, coffee"), "coffee-espresso"),
        (("my photo (1)", "a red car!"), "my-photo-1-a-red-car"),
        (("../../etc", "пример"), "etc-пример"),
        (("", "?"), "explanation"),
        (("a" * 200, "b"), "a" * 80),
    ],
)
def test_names_of_files(words, name):
    assert file_name(*words) == name
