"""`explainers explain` as a user meets it: files, exit codes and one-line messages."""

import numpy as np
import pytest
import torch
from PIL import Image

from explainers import PTAME
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.evaluation.evaluator import CONFIDENCE_METRICS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("cli")
    torch.save(
        PTAME(*[{"model": "test_resnet", "pretrained": False}] * 2).classifier.model.state_dict(),
        folder / "weights.pth",
    )
    source = {"model": "test_resnet", "weights": str(folder / "weights.pth")}
    row = {"explainer": "ptame"} | dict.fromkeys(CONFIDENCE_METRICS, 0.0)
    return save_bundle(PTAME(source, source), folder / "bundle", {}, [row], torch.rand(3, 4, 4))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    values = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def explain(bundle, output, *images, more=()):
    arguments = ["explain", "--checkpoint", str(bundle), "--output", str(output)]
    return main([*arguments, "--image", *map(str, images), *more])


def one_line(capsys):
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def test_explain_writes_picture_and_arrays(bundle, photo, tmp_path, capsys):
    assert explain(bundle, tmp_path / "out", photo, more=["--target", "243"]) == 0
    assert "bull mastiff" in capsys.readouterr().out
    with np.load(tmp_path / "out/photo.npz") as arrays:
        assert arrays["map"].shape == (40, 60)
        assert arrays["map"].dtype == np.float32
        assert 0 <= arrays["map"].min() <= arrays["map"].max() <= 1
        assert arrays["target"] == 243
        assert 0 <= arrays["probability"] <= 1
    assert (tmp_path / "out/photo.png").is_file()


def test_uncertainty_is_told_and_saved_when_asked_for(bundle, photo, tmp_path, capsys):
    assert explain(bundle, tmp_path / "out", photo, more=["--uncertainty"]) == 0
    with np.load(tmp_path / "out/photo.npz") as arrays:
        assert arrays["uncertainty"].shape == (40, 60)
        mean = arrays["uncertainty"].mean()
    assert 0 < mean < 0.5
    assert f"uncertainty {mean:.3f}" in capsys.readouterr().out
    assert explain(bundle, tmp_path / "plain", photo) == 0
    with np.load(tmp_path / "plain/photo.npz") as arrays:
        assert "uncertainty" not in arrays


@pytest.mark.parametrize(
    ("target", "message"),
    [("1000", "target 1000 is outside the classes"), ("-1", "target -1 is outside the classes")],
)
def test_target_outside_the_classes(bundle, photo, tmp_path, capsys, target, message):
    assert explain(bundle, tmp_path / "out", photo, more=["--target", target]) == 2
    assert message in one_line(capsys)


def test_missing_image(bundle, tmp_path, capsys):
    assert explain(bundle, tmp_path / "out", tmp_path / "nowhere.jpg") == 2
    assert "nowhere.jpg" in one_line(capsys)


def test_unreadable_image(bundle, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    assert explain(bundle, tmp_path / "out", tmp_path / "text.jpg") == 2
    assert "text.jpg cannot be read as an image" in one_line(capsys)


def test_bad_image_among_good_ones_is_named_and_the_rest_is_done(bundle, photo, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    assert explain(bundle, tmp_path / "out", tmp_path / "text.jpg", photo) == 2
    assert "text.jpg cannot be read" in capsys.readouterr().err
    assert (tmp_path / "out/photo.png").is_file()


def test_missing_bundle(photo, tmp_path, capsys):
    assert explain(tmp_path / "nothing", tmp_path / "out", photo) == 2
    assert "no bundle at" in one_line(capsys)


def test_truncated_bundle(bundle, photo, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in bundle.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "model.safetensors").write_bytes((bundle / "model.safetensors").read_bytes()[:500])
    assert explain(copy, tmp_path / "out", photo) == 2
    assert "model.safetensors is not a readable weights file" in one_line(capsys)


def test_output_that_cannot_be_written(bundle, photo, capsys):
    assert explain(bundle, photo / "below a file", photo) == 2
    assert "photo.png" in one_line(capsys)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "opticam.yaml"
    path.write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n"
        "    classifier: {model: test_resnet, pretrained: false}\n    steps: 2\n"
    )
    return path


@pytest.fixture
def cdam(tmp_path):
    """A config of CDAM on a tiny transformer of random weights."""
    path = tmp_path / "cdam.yaml"
    path.write_text(
        "model:\n  class_path: explainers.CDAM\n  init_args:\n"
        "    classifier: {model: test_vit, pretrained: false, num_classes: 4}\n"
    )
    return path


def test_explain_with_the_config_of_a_method_without_training(config, photo, tmp_path, capsys):
    arguments = ["explain", "--config", str(config), "--image", str(photo), "--target", "243"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    assert "bull mastiff" in capsys.readouterr().out
    with np.load(tmp_path / "out/photo.npz") as arrays:
        assert arrays["map"].shape == (40, 60)
        assert arrays["map"].std() > 0


@pytest.mark.parametrize(
    ("replaced", "by", "message"),
    [
        ("model:", "models:", "lacks 'model'"),
        ("OptiCAM", "PTAME", "PTAME in"),
        ("OptiCAM", "OptiCamera", "explainers.OptiCamera cannot be built"),
        ("explainers.OptiCAM", "os.system", "must be a class of explainers"),
        ("steps: 2", "step: 2", "unexpected keyword argument 'step'"),
        ("steps: 2", "steps: 0", "steps must be a whole number from 1 to 100000, got 0"),
    ],
)
def test_config_that_cannot_be_used(config, photo, tmp_path, capsys, replaced, by, message):
    text = config.read_text().replace(replaced, by)
    if by == "PTAME":
        text = text.replace("steps: 2", "auxiliary: {model: test_resnet, pretrained: false}")
    config.write_text(text)
    arguments = ["explain", "--config", str(config), "--image", str(photo)]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in one_line(capsys)


def test_explain_takes_either_a_checkpoint_or_a_config(config, bundle, photo, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        explain(bundle, tmp_path / "out", photo, more=["--config", str(config)])
    assert stop.value.code == 2
    assert "not allowed with argument --checkpoint" in one_line(capsys)


def explain_untrained(config, output, photo, *more):
    arguments = ["explain", "--config", str(config), "--output", str(output)]
    return main([*arguments, "--image", str(photo), *map(str, more)])


def test_method_without_training_is_explained_from_its_config(cdam, photo, tmp_path, capsys):
    assert explain_untrained(cdam, tmp_path / "out", photo, "--target", "2") == 0
    assert "class 2 (" in capsys.readouterr().out
    with np.load(tmp_path / "out/photo.npz") as arrays:
        assert arrays["target"] == 2
        assert arrays["scores"].min() < 0 < arrays["scores"].max()


def test_concept_is_the_mean_embedding_of_images(cdam, photo, tmp_path, capsys):
    other = tmp_path / "other.png"
    Image.fromarray(np.full((30, 30, 3), 90, dtype=np.uint8)).save(other)
    assert explain_untrained(cdam, tmp_path / "out", photo, "--concept", photo, other) == 0
    assert capsys.readouterr().out.strip().endswith("photo.png: reference")
    with np.load(tmp_path / "out/photo.npz") as arrays:
        assert arrays["target"].shape == (64,)
        assert np.isnan(arrays["probability"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--concept", "nowhere.png"], "no image file at"),
        (["--target", "4"], "target 4 is outside the classes"),
    ],
)
def test_bad_target_of_a_config(cdam, photo, tmp_path, capsys, more, message):
    assert explain_untrained(cdam, tmp_path / "out", photo, *more) == 2
    assert message in one_line(capsys)


def test_concept_is_refused_by_methods_that_explain_classes(bundle, photo, tmp_path, capsys):
    assert explain(bundle, tmp_path / "out", photo, more=["--concept", str(photo)]) == 2
    assert "PTAME explains class labels (int64), not reference embeddings" in one_line(capsys)


def test_method_for_transformers_refuses_other_networks(cdam, photo, tmp_path, capsys):
    cdam.write_text(cdam.read_text().replace("test_vit", "test_resnet"))
    assert explain_untrained(cdam, tmp_path / "out", photo) == 2
    assert "test_resnet is a ResNet, and this method needs" in one_line(capsys)


@pytest.mark.parametrize("more", [["--checkpoint", "bundle"], ["--target", "1", "--concept", "a"]])
def test_one_explainer_and_one_target(cdam, photo, tmp_path, capsys, more):
    with pytest.raises(SystemExit) as stop:
        explain_untrained(cdam, tmp_path / "out", photo, *more)
    assert stop.value.code == 2
    assert "not allowed with" in one_line(capsys)


def test_unknown_argument(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--image", "photo.png", "--output", "maps", "--speed", "3"])
    assert stop.value.code == 2
    assert "one of the arguments --checkpoint --config is required" in one_line(capsys)


def test_rotated_photograph_gives_the_map_of_the_upright_one(bundle, rotated, tmp_path):
    jpeg, upright = rotated
    assert explain(bundle, tmp_path / "out", jpeg, upright, more=["--target", "3"]) == 0
    with np.load(tmp_path / "out/rotated.npz") as one, np.load(tmp_path / "out/upright.npz") as two:
        assert one["map"].shape == (60, 40)
        np.testing.assert_array_equal(one["map"], two["map"])
        assert one["probability"] == two["probability"]
