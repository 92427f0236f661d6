"""Visitors' own texts as classes of a network that compares texts."""

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import TAME, ActivationMap, FrozenClassifier
from explainers.app import page as steps
from explainers.app.page import Page
from explainers.app.workbench import EXAMPLE_TEXTS, Workbench
from explainers.classifier.text_tower import NEUTRAL_TEXT
from explainers.images.drawing_style import DrawingStyle

STYLE = DrawingStyle()
LEARNED = ["a cat", "a dog"]


@pytest.fixture(scope="module")
def source(clip_folder):
    return {"model": f"open_clip:local-dir:{clip_folder('ViT')}"}


@pytest.fixture(scope="module")
def bench(source):
    return Workbench({"map": ActivationMap(FrozenClassifier.of(source))})


@pytest.fixture
def page(bench, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "coffee.png")
    (tmp_path / "files").mkdir()
    return Page({"clip": bench}, tmp_path / "files", [tmp_path / "coffee.png"])


@pytest.fixture
def view(page):
    return page.open(page.start(), str(page.examples["coffee"]), ["map"], STYLE)


def names(view):
    return {one.name for one in view.ranked}


def test_a_network_without_classes_begins_with_examples(bench, view):
    assert bench.texts == EXAMPLE_TEXTS
    assert names(view) == set(EXAMPLE_TEXTS)
    assert view.subject == view.ranked[0].name


def test_own_texts_take_the_place_of_the_classes(page, view):
    found = page.tell_apart(view, "a red car\n\n  the sea \nthe sea\n", ["map"], STYLE)
    assert found.texts == ("a red car", "the sea")
    assert names(found) == {"a red car", "the sea"}
    assert found.subject == found.ranked[0].name
    again = page.open(found, str(page.examples["coffee"]), ["map"], STYLE)
    assert again.texts == found.texts
    back = page.tell_apart(again, "", ["map"], STYLE)
    assert names(back) == set(EXAMPLE_TEXTS)


def test_a_single_text_is_explained_beside_any_photo(page, view):
    found = page.tell_apart(view, "a red car", ["map"], STYLE)
    assert names(found) == {"a red car", NEUTRAL_TEXT}
    assert (found.label, found.subject) == (0, "a red car")
    assert found.files.png.name == "coffee-a-red-car.png"


def test_visitors_do_not_change_each_others_texts(page, view):
    other = page.tell_apart(view, "a red car\nthe sea", ["map"], STYLE)
    again = page.open(page.start(), str(page.examples["coffee"]), ["map"], STYLE)
    assert again.ranked == view.ranked
    torch.testing.assert_close(
        again.answers[0].explanation.scores, view.answers[0].explanation.scores
    )
    asked = page.ask(other, 1 - other.label, ["map"], STYLE)
    assert asked.answers[0].explanation.captions == [asked.subject]


def test_a_link_holds_the_texts(page, view):
    found = page.tell_apart(view, "a red car\nthe sea", ["map"], STYLE)
    assert page.link(found).endswith("text=a+red+car%0Athe+sea")
    query = {"image": "coffee", "class": "the sea", "text": "a red car\nthe sea"}
    assert page.follow(page.start(), query, STYLE).label == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("\n".join(map(str, range(steps.MOST_TEXTS + 1))), "101 texts are too many"),
        ("x" * (steps.LONGEST_TEXT + 1), "a text has 301 characters"),
    ],
)
def test_too_much_is_refused_beside_the_texts(page, view, lines, message):
    failed = page.tell_apart(view, lines, ["map"], STYLE)
    assert message in failed.error
    assert (failed.field, failed.texts, failed.files) == ("texts", (), view.files)


def test_texts_that_wait_for_a_photograph(page):
    waiting = page.tell_apart(page.start(), "a red car\nthe sea", ["map"], STYLE)
    assert waiting.error == ""
    found = page.open(waiting, str(page.examples["coffee"]), ["map"], STYLE)
    assert names(found) == {"a red car", "the sea"}


def test_a_head_that_learned_its_classes_refuses_others(source, page):
    classifier = FrozenClassifier.of(source | {"classes": LEARNED})
    bench = Workbench({"learned": TAME(classifier).eval(), "map": ActivationMap(classifier)})
    page = Page({"clip": bench}, page.folder, list(page.examples.values()))
    view = page.open(page.start(), str(page.examples["coffee"]), ["learned"], STYLE)
    assert names(view) == set(LEARNED)
    failed = page.tell_apart(view, "a red car\nthe sea", ["learned"], STYLE)
    assert "TAME has learned maps of its 2 classes" in failed.error
    assert failed.field == "of-classes"
    assert page.tell_apart(failed, "a red car\nthe sea", ["map"], STYLE).error == ""
    assert page.ask(view, 1, ["learned"], STYLE).error == ""
