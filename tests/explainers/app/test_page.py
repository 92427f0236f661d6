"""Steps on the web page, and the files that strangers send, without the page itself."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import ActivationMap, FrozenClassifier, OptiCAM
from explainers.app import uploads
from explainers.app.page import NO_CLASSES, Page
from explainers.app.uploads import read_upload
from explainers.app.view import BEGIN
from explainers.app.workbench import Workbench
from explainers.errors import InputError
from explainers.images.drawing_style import DrawingStyle
from explainers.methods.similarity_grad_cam import SimilarityGradCAM

METHODS = ["ours", "blind"]


@pytest.fixture(scope="module")
def benches():
    torch.manual_seed(0)
    classifier = FrozenClassifier("test_resnet", pretrained=False, num_classes=6)
    torch.nn.init.normal_(classifier.model.get_classifier().weight)
    methods = {
        "ours": OptiCAM(classifier, steps=2),
        "blind": ActivationMap(classifier),
        "pairs": SimilarityGradCAM(classifier),
    }
    other = FrozenClassifier("test_resnet", pretrained=False, num_classes=4)
    return {"first": Workbench(methods), "second": Workbench({"flat": ActivationMap(other)})}


@pytest.fixture
def page(benches, tmp_path):
    (tmp_path / "files").mkdir()
    return Page(benches, tmp_path / "files")


@pytest.fixture
def files(tmp_path):
    paths = []
    for seed, size in enumerate([(90, 60), (50, 70)]):
        noise = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        paths.append(str(tmp_path / f"photo{seed}.png"))
        Image.fromarray(noise).save(paths[-1])
    return paths


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "letter.jpg"
    path.write_text("this is no photograph")
    return str(path)


def array(view, key="map"):
    with np.load(view.files.npz) as arrays:
        return arrays[key]


def test_opened_photograph_is_ranked_and_explained(page, files):
    assert page.start().hint == BEGIN
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    assert view.label == view.ranked[0].label
    assert (view.error, view.hint) == ("", "")
    assert [text.partition(" · ")[0] for _, text in view.files.overlays] == ["ours"]
    assert array(view).shape == (60, 90)
    assert array(view, "target") == view.label


def test_another_class_has_another_map(page, files):
    first = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    second = page.ask(first, first.ranked[1].label, ["ours"], DrawingStyle())
    assert second.label == first.ranked[1].label
    assert not np.allclose(array(first), array(second))
    assert second.ranked == first.ranked


def test_method_added_later_joins_what_was_answered_already(page, files):
    first = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    both = page.ask_more(first, METHODS, DrawingStyle())
    assert both.answers[0] is first.answers[0]
    assert [one.method for one in both.answers] == METHODS
    assert [one.method for one in page.ask_more(both, ["blind"], DrawingStyle()).answers] == [
        "blind"
    ]
    assert "no method is chosen" in page.ask_more(both, [], DrawingStyle()).error
    other = page.ask(first, first.ranked[1].label, ["ours"], DrawingStyle())
    assert other.answers[0] is not first.answers[0]


def test_two_visitors_do_not_mix(page, files):
    one = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    two = page.open(page.start(), files[1], ["ours"], DrawingStyle())
    one_again = page.ask(one, one.ranked[1].label, ["ours"], DrawingStyle())
    assert array(one_again).shape == (60, 90)
    assert array(two).shape == (70, 50)
    assert len({one.files.png, two.files.png, one_again.files.png}) == 3


def test_concept_and_comparison(page, files, text):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    concept = page.show_concept(view, files[1:], ["ours"], DrawingStyle())
    assert (concept.label, concept.error) == (None, "")
    assert np.isnan(array(concept, "probability"))
    assert concept.answers[0].explanation.captions == ["concept"]
    assert page.ask_more(concept, METHODS, DrawingStyle()) is concept
    pair = page.compare(view, files[1], ["pairs"], DrawingStyle())
    assert len(pair.files.overlays) == 2
    style = DrawingStyle()
    for failed, message, field in (
        (page.show_concept(view, None, ["ours"], style), "at least one image", "concept"),
        (page.show_concept(view, [text], ["ours"], style), "letter.jpg cannot be read", "concept"),
        (page.show_concept(view, files[1:], [], style), "no method is chosen", "of-concepts"),
        (page.compare(view, None, ["pairs"], style), "no image to compare with", "partner"),
        (page.compare(view, text, ["pairs"], style), "letter.jpg cannot be read", "partner"),
        (page.compare(view, files[1], ["ours"], style), "unknown method 'ours'", "of-pairs"),
        (page.ask_more(view, [], style), "no method is chosen", "of-classes"),
        (page.compare(page.start(), files[1], ["pairs"], style), "no photograph", "photo"),
    ):
        assert message in failed.error
        assert failed.field == field
        if failed.image is not None:
            assert failed.answers is view.answers
        assert not page.ask(failed, 1, ["ours"], style).error or failed.image is None


def test_redrawing_changes_the_picture_and_nothing_else(page, files):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    again = page.redraw(view, DrawingStyle(opacity=0.2))
    assert again.answers is view.answers
    assert again.files.png.read_bytes() != view.files.png.read_bytes()
    np.testing.assert_array_equal(array(again), array(view))
    assert page.redraw(page.start(), DrawingStyle()) == page.start()


def test_another_classifier_sees_the_same_photograph(page, files):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    other = page.switch(view, "second", DrawingStyle())
    assert other.image is view.image
    assert len(other.ranked) == 4
    assert [one.method for one in other.answers] == ["flat"]
    assert page.switch(page.start(), "second", DrawingStyle()).hint == BEGIN


def test_bad_file_leaves_one_message_and_nothing_of_the_photograph_before(page, files, text):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    failed = page.open(view, text, ["ours"], DrawingStyle())
    assert failed.error.startswith("letter.jpg cannot be read as an image")
    assert failed.field == "photo"
    assert (failed.image, failed.answers, failed.files) == (None, (), None)
    assert "no photograph" in page.ask(failed, 0, ["ours"], DrawingStyle()).error
    assert page.open(view, None, ["ours"], DrawingStyle()) == page.start()


def test_downloads_are_named_after_the_picture_and_what_is_asked(page, files):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    assert view.files.png.name == f"photo0-class-{view.label}.png"
    assert view.files.npz.name == f"photo0-class-{view.label}.npz"
    concept = page.show_concept(view, files[1:], ["ours"], DrawingStyle())
    assert concept.files.png.name == "photo0-concept.png"
    pair = page.compare(view, files[1], ["pairs"], DrawingStyle())
    assert pair.files.png.name == "photo0-photo1.png"


def test_emptied_class_changes_nothing(page, files):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    assert page.ask(view, None, ["ours"], DrawingStyle()) is view


def test_network_without_classes_asks_for_a_concept(files, tmp_path):
    network = FrozenClassifier("test_resnet", pretrained=False, num_classes=0)
    page = Page({"none": Workbench({"pairs": SimilarityGradCAM(network)})}, tmp_path)
    view = page.open(page.start(), files[0], [], DrawingStyle())
    assert (view.hint, view.error) == (NO_CLASSES, "")
    assert page.compare(view, files[1], ["pairs"], DrawingStyle()).error == ""


def test_answers_that_made_room_for_others_are_told_and_asked_for_again(benches, page, files):
    small = Page(benches, page.folder, answers_kept=1)
    one = small.open(small.start(), files[0], ["ours"], DrawingStyle())
    two = small.open(small.start(), files[1], ["ours"], DrawingStyle())
    assert (len(one.answers), len(two.answers)) == (0, 1)
    redrawn = small.redraw(one, DrawingStyle(opacity=0.2))
    assert redrawn.error.startswith("These maps made room for those of other visitors")
    assert redrawn.files == one.files
    again = small.ask(redrawn, one.label, ["ours"], DrawingStyle())
    assert again.error == ""
    np.testing.assert_array_equal(array(again), array(one))


def test_nothing_is_written_once_the_folder_is_deleted(page, files):
    view = page.open(page.start(), files[0], ["ours"], DrawingStyle())
    shutil.rmtree(page.folder)
    with pytest.raises(FileNotFoundError):
        page.redraw(view, DrawingStyle())
    assert not page.folder.exists()


def test_photographs_are_reduced_to_what_a_page_shows(tmp_path):
    Image.new("RGB", (1536, 900)).save(tmp_path / "large.jpg")
    assert read_upload(tmp_path / "large.jpg").size == (768, 450)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")  # 400 million pixels in 50 kB
    with pytest.raises(InputError, match=r"bomb\.png has too many pixels, .* 50 million"):
        read_upload(tmp_path / "bomb.png")
    Image.new("1", (7100, 7100)).save(tmp_path / "large.png")
    monkeypatch.setattr(uploads, "open_image", None)
    with pytest.raises(InputError, match=r"large\.png has too many pixels"):
        read_upload(tmp_path / "large.png")


def test_a_file_of_too_many_bytes_is_refused(tmp_path):
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(uploads.MAX_BYTES + 1)
    with pytest.raises(InputError, match=r"long\.png has 20 MB, and the page takes up to 20"):
        read_upload(tmp_path / "long.png")


@pytest.mark.parametrize("head", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_no_safe_reader_knows_is_refused_in_words_without_paths(tmp_path, head):
    (tmp_path / "bad.png").write_bytes(head)
    with pytest.raises(InputError) as refused:
        read_upload(tmp_path / "bad.png")
    assert str(refused.value).startswith("bad.png cannot be read")
    assert str(tmp_path) not in str(refused.value)


def test_file_that_was_deleted_meanwhile_is_asked_for_again(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png is no longer here; choose it again"):
        read_upload(tmp_path / "gone.png")


def test_truncated_photograph_is_refused(tmp_path, files):
    data = Path(files[0]).read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.png cannot be read"):
        read_upload(tmp_path / "cut.png")
