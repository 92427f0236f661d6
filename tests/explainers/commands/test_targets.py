"""`explainers explain` for classes, several of them, and texts."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from explainers import FrozenClassifier, PTAMEPlus
from explainers.bundle import save_bundle
from explainers.cli import main

pytestmark = pytest.mark.filterwarnings("default")  # of open_clip's own


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    return str(tmp_path / "photo.jpg")


@pytest.fixture
def explain(photo, tmp_path):
    """Run the command on a method of a classifier, and return the names of the pictures."""

    def run(kind, classifier, *options):
        model = {"class_path": f"explainers.{kind}", "init_args": {"classifier": classifier}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
        words = ["--image", photo, "--output", str(tmp_path / "out"), *options]
        code = main(["explain", "--config", str(tmp_path / "config.yaml"), *words])
        pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
        return code, pictures

    return run


@pytest.fixture
def source(clip_folder):
    return {"model": f"open_clip:local-dir:{clip_folder('ViT')}"}


def test_several_targets_have_a_picture_each(explain):
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    assert explain("CDAM", source | {"model": "test_vit"}, "--target", "3", "0") == (
        0,
        ["photo-0.png", "photo-3.png"],
    )


def test_each_class_that_an_image_shows_has_a_picture(explain, capsys):
    weights = {"model": "test_vit", "pretrained": False, "num_classes": 4}
    found = explain("CDAM", weights | {"activation": "sigmoid", "threshold": 0.01})
    assert found == (0, [f"photo-{label}.png" for label in range(4)])
    assert capsys.readouterr().out.count("photo-") == 4


def test_texts_are_told_apart_from_the_classes(explain, source, capsys, tmp_path):
    classes = ["a photo of a cat", "a photo of a dog"]
    options = ["--text", "a red car", "a photo of a dog"]
    found = explain("CDAM", source | {"classes": classes}, *options)
    assert found == (0, ["photo-1.png", "photo-2.png"])
    printed = capsys.readouterr().out
    with np.load(tmp_path / "out/photo-2.npz") as arrays:
        written = float(arrays["probability"])
    with Image.open(tmp_path / "photo.jpg") as image:
        classifier = FrozenClassifier.of(source | {"classes": [*classes, "a red car"]})
        resized = image.resize((64, 64))  # the way of resizing is another: near is enough
    pixels = torch.from_numpy(np.asarray(resized) / 255).permute(2, 0, 1)[None].float()
    expected = classifier(pixels).softmax(dim=1)[0, 2]
    assert written == pytest.approx(float(expected), abs=0.05)
    assert "a red car" in printed


def test_single_text_is_told_apart_from_a_neutral_one(explain, source, capsys):
    assert explain("CDAM", source, "--text", "a red car") == (0, ["photo.png"])
    assert "a red car (" in capsys.readouterr().out


def test_classes_are_given_on_the_command_line_or_in_a_file(explain, source, capsys, tmp_path):
    code, _ = explain("CDAM", source, "--classes", "a cat", "a dog", "--target", "a dog")
    assert code == 0
    assert "a dog (" in capsys.readouterr().out
    (tmp_path / "texts.txt").write_text("a house\na ship\n")
    code, _ = explain("CDAM", source, "--classes", str(tmp_path / "texts.txt"), "--target", "1")
    assert code == 0
    assert "a ship (" in capsys.readouterr().out


def test_text_is_a_reference_for_methods_that_compare_embeddings(explain, source, capsys):
    assert explain("FAM", source, "--text", "a red car") == (0, ["photo.png"])
    assert "photo.png: a red car" in capsys.readouterr().out


def test_bundle_explains_a_text_that_training_never_met(photo, source, tmp_path, capsys):
    classes = ["a photo of a cat", "a photo of a dog"]
    save_bundle(PTAMEPlus(source | {"classes": classes}), tmp_path / "bundle", {}, [], None)
    words = ["--checkpoint", str(tmp_path / "bundle"), "--image", photo, "--output", str(tmp_path)]
    assert main(["explain", *words, "--text", "a zebra"]) == 0
    assert "a zebra (" in capsys.readouterr().out
    shards = ["--images", str(tmp_path), "--output", str(tmp_path / "maps")]
    assert main(["explain", *words[:2], *shards, "--text", "a zebra"]) == 0


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("CDAM", ["--text", "a car"], "test_vit has no text tower"),
        ("CDAM", ["--classes", "a car", "a bus"], "test_vit has no text tower"),
        ("CDAM", ["--classes", "a car"], "classes must be a list of two texts or more"),
        ("CDAM", ["--target", "1", "9000"], "target 9000 is outside the classes"),
        ("CDAM", ["--target", "1", "--text", "a car"], "not allowed with argument --target"),
        ("FAM", ["--text", "a car"], "test_vit has no text tower"),
    ],
)
def test_bad_target_is_one_line(explain, capsys, kind, options, message):
    try:
        code, _ = explain(kind, {"model": "test_vit", "pretrained": False}, *options)
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr().err
    assert code == 2
    assert message in printed
    assert printed.count("\n") == 1


def test_several_targets_are_refused_for_a_data_set(photo, tmp_path, capsys, source):
    model = {"class_path": "explainers.CDAM", "init_args": {"classifier": source}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    words = ["--config", str(tmp_path / "config.yaml"), "--images", str(tmp_path)]
    words += ["--output", str(tmp_path / "maps"), "--text", "a car", "a bus"]
    assert main(["explain", *words]) == 2
    assert "--images takes one target, got 2" in capsys.readouterr().err
