"""Links to what the page shows, and the page that they lead to."""

from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import ActivationMap, FrozenClassifier
from explainers.app.page import Page
from explainers.app.workbench import Workbench
from explainers.images.drawing_style import DrawingStyle

STYLE = DrawingStyle()


@pytest.fixture(scope="module")
def benches():
    torch.manual_seed(0)
    benches = {}
    for name, classes in {"first": ["cat", "dog, hound", "cup"], "second": ["a", "b"]}.items():
        classifier = FrozenClassifier(
            "test_resnet", pretrained=False, num_classes=len(classes), class_names=classes
        )
        torch.nn.init.normal_(classifier.model.get_classifier().weight)
        methods = {one: ActivationMap(classifier) for one in ("map", "map, again")}
        benches[name] = Workbench(methods)
    return benches


@pytest.fixture
def files(tmp_path):
    paths = []
    for name in ("tea time", "coffee"):
        noise = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(noise).save(paths[-1])
    return paths


@pytest.fixture
def page(benches, files, tmp_path):
    (tmp_path / "files").mkdir()
    return Page(benches, tmp_path / "files", files)


def query(link):
    assert link.startswith("?")
    return dict(parse_qsl(link[1:]))


@pytest.mark.parametrize("bench", ["first", "second"])
def test_a_link_leads_to_what_it_was_taken_from(page, files, bench):
    view = page.switch(page.start(), bench, STYLE)
    view = page.open(view, str(files[0]), ["map, again", "map"], STYLE)
    view = page.ask(view, 1, ["map, again", "map"], STYLE)
    found = page.follow(page.start(), query(page.link(view)), STYLE)
    for name in ("bench", "name", "label", "subject", "probability", "ranked"):
        assert getattr(found, name) == getattr(view, name)
    assert found.files.methods == ("map, again", "map")
    assert page.link(found) == page.link(view)


def test_only_an_example_is_linked_to(page, files, tmp_path):
    assert page.link(page.start()) == ""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    copy = files[0].rename(uploads / files[0].name)
    view = page.open(page.start(), str(copy), ["map"], STYLE)
    assert view.name == "tea time"
    assert page.link(view) == ""


def test_one_classifier_need_not_be_named(benches, files, tmp_path):
    page = Page({"first": benches["first"]}, tmp_path, files)
    view = page.open(page.start(), str(files[1]), ["map"], STYLE)
    assert query(page.link(view)) == {
        "image": "coffee",
        "class": str(view.label),
        "method": "map",
    }


@pytest.mark.parametrize(("given", "label"), [("cup", 2), ("hound", 1), ("0", 0)])
def test_class_by_number_or_name(page, given, label):
    view = page.follow(page.start(), {"image": "coffee", "class": given}, STYLE)
    assert (view.label, view.files.methods) == (label, ("map",))


def test_the_likeliest_class_is_shown_without_another(page):
    view = page.follow(page.start(), {"image": "coffee"}, STYLE)
    assert view.label == view.ranked[0].label


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"image": "tee time"}, "unknown image 'tee time'; did you mean tea time?"),
        ({"image": "../coffee"}, "unknown image"),
        ({"image": "coffee", "model": "third"}, "unknown model 'third'"),
        ({"image": "coffee", "method": "map;mop"}, "unknown method 'mop'"),
        ({"image": "coffee", "class": "3"}, "class 3 is none of 0 to 2"),
        ({"image": "coffee", "class": "9" * 5000}, "is none of 0 to 2"),
        ({"image": "coffee", "class": "cap"}, "no class is called 'cap'; did you mean cup"),
        ({"image": "coffee", "text": "a\nb"}, "first takes no texts"),
    ],
)
def test_a_link_that_names_something_unknown_says_so(page, query, message):
    view = page.follow(page.start(), query, STYLE)
    assert message in view.error
    assert view.files is None


def test_other_queries_change_nothing(page):
    start = page.start()
    assert page.follow(start, {"__theme": "dark"}, STYLE) is start
