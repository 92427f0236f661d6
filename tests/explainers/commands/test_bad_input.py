"""Bad input of the commands: one line that names value, rule and way out, and exit code 2."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from explainers import PTAME, FrozenClassifier
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.errors import InputError

ROOT = Path(__file__).parents[3]
RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
COMPARISON = {
    "classifier": RANDOM,
    "data": {
        "class_path": "datamodules.ShapesDataModule",
        "init_args": {"length": 2, "size": 32, "batch_size": 2},
    },
    "methods": {"am": {"class_path": "explainers.ActivationMap"}},
    "metrics": ["average_drop"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of a bundle, an image, a folder of images, and a config; tests do not change it."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    state = FrozenClassifier.of(RANDOM).model.state_dict()
    torch.save(state, folder / "weights.pth")
    source = {"model": "test_resnet", "weights": str(folder / "weights.pth")}
    save_bundle(PTAME(source, source), folder / "bundle", {}, [], None)
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images/photo.jpg")
    model = {"class_path": "explainers.ActivationMap", "init_args": {"classifier": RANDOM}}
    (folder / "untrained.yaml").write_text(yaml.safe_dump({"model": model}))
    (folder / "compare.yaml").write_text(yaml.safe_dump(COMPARISON))
    return folder


def refused(capsys, *arguments):
    """The one line on stderr with which a command ends that exits with 2."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2, printed
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert "Errno" not in line
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "99999999999999999999"], "target 99999999999999999999 is outside .* 0 to 3"),
        (["--target", "-1"], "target -1 is outside the classes"),
        (["--target", "cat"], "invalid int value: 'cat'"),
        (["--output", ""], "the name is empty; name a file or a folder"),
        (["--output", "FOLDER/compare.yaml"], "is a file; name a folder"),
        (["--output", "FOLDER/compare.yaml/out"], "through a file as if it were a folder"),
        (["--image", "FOLDER/images"], "is a folder; give it as --images"),
        (["--image", "FOLDER/nowhere.jpg"], "no image file at"),
        (["--image", "FOLDER/compare.yaml"], "its format is unknown"),
        (["--checkpoint", "/etc/hostname"], "no bundle at /etc/hostname"),
        (["--checkpoint", "/proc/x"], "no bundle at /proc/x"),
        (["--checkpoint", ""], "the name is empty"),
    ],
)
def test_bad_option_of_explain(made, tmp_path, capsys, options, message):
    options = [option.replace("FOLDER", str(made)) for option in options]
    given = {"--checkpoint": made / "bundle", "--image": made / "images/photo.jpg"}
    given |= {"--output": tmp_path / "out", options[0]: options[1]}
    line = refused(capsys, "explain", *(part for pair in given.items() for part in pair))
    assert_says(line, message)
    assert not (tmp_path / "out").exists()


def assert_says(line, message):
    with pytest.raises(InputError, match=message):
        raise InputError(line)


def test_image_file_as_images_is_told_the_other_option(made, tmp_path, capsys):
    photo = made / "images/photo.jpg"
    chosen = ["--checkpoint", made / "bundle", "--output", tmp_path / "out"]
    line = refused(capsys, "explain", *chosen, "--images", photo)
    assert_says(line, rf"--images {photo} is one image; give it as --image {photo}")


@pytest.mark.parametrize("opset", [-1, 0, 1, 17, 999])
def test_opset_outside_the_exporters_range_is_refused_before_anything_is_written(
    made, tmp_path, capsys, opset
):
    output = tmp_path / "out" / "x.onnx"
    chosen = ["--checkpoint", made / "bundle", "--format", "onnx", "--output", output]
    line = refused(capsys, "export", *chosen, "--opset", opset)
    assert_says(line, f"--opset must be a whole number from 18 to 23, got {opset}")
    assert not output.parent.exists()


@pytest.mark.parametrize("option", [["--tolerance", "nan"], ["--tolerance", "-1"]])
def test_tolerance_without_sense_is_refused(made, tmp_path, capsys, option):
    chosen = ["--checkpoint", made / "bundle", "--format", "torch"]
    line = refused(capsys, "export", *chosen, "--output", tmp_path / "x.pt2", *option)
    assert "--tolerance must be a finite number of at least 0" in line


CLASSIFIERS = [
    (None, "classifier must be a model's name"),
    (3, "classifier must be a model's name"),
    (["resnet50"], "classifier must be a model's name"),
    ("", "must be a name, as resnet50"),
    ({"size": 0}, "size must be a list of height and width"),
    ({"size": -3}, "size must be a list of height and width"),
    ({"size": [-3, 8]}, "each side of size must be a whole number from 1 to 4096, got -3"),
    ({"size": [1000000, 1000000]}, "each side of size must be .* 4096, got 1000000"),
    ({"size": [4097, 4096]}, "4097"),
    ({"size": [64, 64, 64]}, "size must be a list of height and width"),
    ({"model": "test_convnext", "size": [7, 7]}, r"\[7, 7\] is too small .* at least \[32, 32\]"),
    ({"mean": "x"}, "mean must be a list of three numbers"),
    ({"mean": [0.5, 0.5, float("nan")]}, "each mean must be a finite number, got nan"),
    ({"std": 0}, "std must be a list of three numbers"),
    ({"std": [0.5, 0.5, 0]}, "each std must be a finite number above 0, got 0"),
    ({"num_classes": -1}, "num_classes must be a whole number from 0 to 1000000, got -1"),
    ({"num_classes": 10**12}, "num_classes must be a whole number from 0 to 1000000"),
    ({"num_classes": "many"}, "num_classes must be a whole number"),
    ({"num_classes": 4.0}, "num_classes must be a whole number"),
    ({"pretrained": "maybe"}, "pretrained must be true or false, got 'maybe'"),
    ({"weights": 3}, "weights must be the path of a file, got 3"),
    ({"class_names": "cat"}, "class_names must be a list of names, got 'cat'"),
    ({"model": 3}, "model must be a name"),
    ({"model": None}, "model must be a name, as resnet50"),
    ({"modle": "resnet50"}, "unknown classifier option 'modle'; did you mean model"),
]


@pytest.mark.parametrize(("classifier", "message"), CLASSIFIERS)
@pytest.mark.parametrize("command", ["explain", "compare", "bundle"])
def test_bad_classifier(made, tmp_path, capsys, command, classifier, message):
    if isinstance(classifier, dict):
        classifier = RANDOM | classifier
    output = ["--output", tmp_path / "out"]
    photo = ["--image", made / "images/photo.jpg"]
    if command == "compare":
        text = yaml.safe_dump(COMPARISON | {"classifier": classifier})
        (tmp_path / "config.yaml").write_text(text)
        chosen = ["compare", "--config", tmp_path / "config.yaml"]
        if classifier is None:
            message = "missing 'classifier'"
    elif command == "explain":
        init_args = {"classifier": classifier}
        model = {"class_path": "explainers.ActivationMap", "init_args": init_args}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": model}))
        chosen = ["explain", "--config", tmp_path / "config.yaml", *photo]
    else:
        bundle = changed(
            made, tmp_path, lambda config: config["hyperparameters"].update(classifier=classifier)
        )
        chosen = ["explain", "--checkpoint", bundle, *photo]
    line = refused(capsys, *chosen, *output)
    if command != "compare" and isinstance(classifier, int | list):
        message = r"classifier must be str \| dict"
    assert_says(line, message)
    assert not (tmp_path / "out").exists()


def changed(made, tmp_path, change):
    """A copy of the bundle, whose config.json `change` has changed."""
    bundle = tmp_path / "changed"
    bundle.mkdir()
    (bundle / "model.safetensors").write_bytes((made / "bundle/model.safetensors").read_bytes())
    config = json.loads((made / "bundle/config.json").read_text())
    change(config)
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"lr": "x"}, "lr must be float, got 'x'"),
        ({"lr": -1}, "lr must be a finite number above 0, got -1"),
        ({"lr": 0}, "lr must be a finite number above 0, got 0"),
        ({"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ({"lr": float("inf")}, "lr must be a finite number above 0, got inf"),
        ({"lr": None}, "lr must be a finite number above 0, got None"),
        ({"weight_decay": -0.1}, "weight_decay must be a finite number of at least 0, got -0.1"),
        ({"area_weight": -1}, "area_weight must be a finite number of at least 0, got -1"),
        ({"area_power": 0}, "area_power must be a finite number above 0, got 0"),
        ({"variation_border": -1}, "variation_border must be a finite number of at least 0"),
        ({"stages": [99]}, "stages must be a whole number from -6 to 5, got 99"),
        ({"stages": []}, r"stages must be a list of at least one stage, got \[\]"),
        ({"stages": [0, 0]}, r"stages must differ, got \[0, 0\]"),
        ({"stages": [0, -6]}, r"stages must differ, got \[0, -6\]"),
        ({"stages": "last"}, "stages must be"),
        ({"cam_start": "perhaps"}, "cam_start must be bool, got 'perhaps'"),
        ({"normalisation": "max"}, "unknown normalisation 'max'"),
    ],
)
def test_bad_hyperparameter_of_a_bundle(made, tmp_path, capsys, hyperparameters, message):
    bundle = changed(made, tmp_path, lambda c: c["hyperparameters"].update(hyperparameters))
    chosen = ["--checkpoint", bundle, "--image", made / "images/photo.jpg"]
    assert_says(refused(capsys, "explain", *chosen, "--output", tmp_path / "out"), message)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"class": ["PTAME"]}, "'class' in .* must be a name"),
        ({"class": "PTAM"}, "did you mean PTAME"),
        ({"hyperparameters": []}, "'hyperparameters' in .* must be a mapping"),
        ({"format": True}, "format True, no number"),
        ({"training": 3}, "'training' in .* must be a mapping"),
        ({"scores": {}}, "'scores' in .* must be a list"),
        ({"fingerprints": None}, "no fingerprint of classifier"),
        ({"fingerprints": {}}, "no fingerprint of classifier"),
        ({"fingerprints": []}, "'fingerprints' in .* must be a mapping"),
        ({"fingerprints": {"classifier": None}}, "no fingerprint of classifier"),
    ],
)
def test_bad_entry_of_a_bundle(made, tmp_path, capsys, entries, message):
    bundle = changed(made, tmp_path, lambda config: config.update(entries))
    chosen = ["--checkpoint", bundle, "--image", made / "images/photo.jpg"]
    assert_says(refused(capsys, "explain", *chosen, "--output", tmp_path / "out"), message)


def test_bundle_with_one_of_two_fingerprints_is_refused_unless_allowed(made, tmp_path, capsys):
    bundle = changed(made, tmp_path, lambda config: config["fingerprints"].pop("network.backbone"))
    chosen = ["--checkpoint", bundle, "--image", made / "images/photo.jpg"]
    chosen += ["--output", tmp_path / "out"]
    assert "no fingerprint of network.backbone" in refused(capsys, "explain", *chosen)
    assert main(["explain", *map(str, chosen), "--allow-other-weights"]) == 0


def _with_nan(state):
    state["head.fuser.weight"][0, 0] = float("nan")


def _in_half(state):
    state["head.fuser.weight"] = state["head.fuser.weight"].half()


def _in_integers(state):
    state["head.fuser.weight"] = state["head.fuser.weight"].int()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with_nan, "head.fuser.weight of this PTAME hold NaN or infinite values"),
        (_in_half, "head.fuser.weight of this PTAME are float16, expected float32"),
        (_in_integers, "head.fuser.weight of this PTAME are int32, expected float32"),
    ],
)
def test_bad_weights_of_a_bundle(made, tmp_path, capsys, change, message):
    bundle = changed(made, tmp_path, lambda config: None)
    state = load_file(bundle / "model.safetensors")
    state = {name.removeprefix("network."): value for name, value in state.items()}
    change(state)
    save_file({f"network.{k}": v for k, v in state.items()}, bundle / "model.safetensors")
    chosen = ["--checkpoint", bundle, "--image", made / "images/photo.jpg"]
    assert message in refused(capsys, "explain", *chosen, "--output", tmp_path / "out")


def test_bundle_of_half_precision_weights_is_widened_when_it_is_saved(made, tmp_path):
    source = {"model": "test_resnet", "weights": str(made / "weights.pth")}
    explainer = PTAME(source, source)
    explainer.network.head.bfloat16()
    save_bundle(explainer, tmp_path / "half", {}, [], None)
    state = load_file(tmp_path / "half/model.safetensors")
    assert {v.dtype for v in state.values()} == {torch.float32, torch.int64}
    weight = explainer.network.head.fuser.weight
    assert torch.equal(state["network.head.fuser.weight"], weight.float())


def compare(tmp_path, capsys, text, *more):
    (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    chosen = ["--config", tmp_path / "config.yaml", "--output", tmp_path / "out"]
    line = refused(capsys, "compare", *chosen, *more)
    assert not (tmp_path / "out/results.json").exists()
    return line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(range(256)), "is not"),
        ("classifier: caf\u00e9".encode("latin-1"), "is not UTF-8 text"),
        ("[" * 5000, "nested too deep"),
        ("{a: " * 5000, "nested too deep"),
        ("x: " + "9" * 5000, "is not YAML"),
        ("", "must hold keys and values, got NoneType"),
        ("- classifier", "must hold keys and values, got list"),
        ("1: 2", "unknown key 1"),
    ],
)
def test_config_that_is_no_config(tmp_path, capsys, content, message):
    assert message in compare(tmp_path, capsys, content)
    model = tmp_path / "config.yaml"
    photo = ["--image", "x.jpg", "--output", tmp_path / "out"]
    line = refused(capsys, "explain", "--config", model, *photo)
    assert message in line or "lacks 'model'" in line


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"methods": None}, "methods"),
        ({"methods": ["am"]}, "methods must be a class_path"),
        ({"methods": "am"}, "methods must be a class_path"),
        ({"methods": 3}, "methods must be a class_path"),
        ({"methods": {"am": None}}, "methods must be a class_path"),
        ({"metrics": 3}, "metrics must be a list of names"),
        ({"metrics": [3]}, "metrics"),
        (
            {"panel_images": -1},
            "panel_images must be a whole number of at least 0, up to 1000000, got -1",
        ),
        ({"panel_images": "two"}, "panel_images must be a whole number of at least 0"),
        (
            {"chunk_size": 0},
            "chunk_size must be a whole number of at least 1, up to 1000000, got 0",
        ),
        (
            {"chunk_size": -2},
            "chunk_size must be a whole number of at least 1, up to 1000000, got -2",
        ),
        ({"data": {"class_path": 3}}, "data must be a class_path"),
    ],
)
def test_bad_entry_of_a_comparison(tmp_path, capsys, entries, message):
    assert message in compare(tmp_path, capsys, yaml.safe_dump(COMPARISON | entries))


@pytest.mark.parametrize(
    ("method", "init_args", "message"),
    [
        ("OptiCAM", {"stage": 99}, "stage must be a whole number from -6 to 5, got 99"),
        ("OptiCAM", {"steps": 1.5}, "steps must be int"),
        ("OptiCAM", {"steps": 0}, "steps must be a whole number from 1 to 100000, got 0"),
        ("OptiCAM", {"area_weight": -1}, "area_weight must be a finite number of at least 0"),
        ("OptiCAM", {"area_budget": 2}, "area_budget must be a finite number of at least 0"),
        ("OptiCAM", {"lr": float("nan")}, "lr must be a finite number above 0, got nan"),
        ("FAM", {"stage": -9}, "stage must be a whole number from -6 to 5, got -9"),
        ("FAM", {"temperature": float("inf")}, "temperature must be a finite number above 0"),
        ("ActivationMap", {"stage": 6}, "stage must be a whole number from -6 to 5, got 6"),
        ("ActivationMap", {"stage": 10**30}, "stage must be a whole number from -6 to 5"),
        ("ActivationMap", [], "methods must be a class_path and, optionally, init_args"),
        ("PTAMEPlus", {"hidden": 0}, "hidden must be a whole number from 1 to 100000, got 0"),
        ("PTAMEPlus", {"hidden": 10**9}, "hidden must be a whole number from 1 to 100000"),
        ("PTAMEPlus", {"decoder_width": -8}, "decoder_width must be a whole number from 0"),
        ("PTAMEPlus", {"decoder_width": 10**5}, "decoder_width must be .* from 0 to 2048, got"),
        ("PTAMEPlus", {"off_target_weight": -1}, "off_target_weight must be a finite number"),
        ("TAME", {"bias_lr_factor": -1}, "bias_lr_factor must be a finite number of at least 0"),
        ("TAME", {"area_power": -0.3}, "area_power must be a finite number above 0, got -0.3"),
        ("LCAM", {"lr_decay_per_epoch": 0}, "lr_decay_per_epoch must be a finite number above 0"),
    ],
)
def test_bad_hyperparameter_of_a_method(tmp_path, capsys, method, init_args, message):
    described = {"class_path": f"explainers.{method}", "init_args": init_args}
    text = yaml.safe_dump(COMPARISON | {"methods": {"x": described}})
    assert_says(compare(tmp_path, capsys, text), message)


def test_learned_row_of_a_network_of_one_class_is_refused():
    from explainers import PTAMEPlus

    with pytest.raises(InputError, match="choose a classifier of two classes or more"):
        PTAMEPlus(RANDOM | {"num_classes": 1})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["CAM", "cam"], "the row 'cam' has the name of another row, 'CAM'"),
        (["a/b"], "must be a word without slashes, got 'a/b'"),
        ([""], "must be a word without slashes, got ''"),
        (["ones"], "the row 'ones' has the name of an uninformative baseline"),
        (["Random"], "the row 'Random' has the name of an uninformative baseline"),
    ],
)
def test_rows_that_would_overwrite_each_other_are_refused(tmp_path, capsys, names, message):
    methods = dict.fromkeys(names, COMPARISON["methods"]["am"])
    assert message in compare(tmp_path, capsys, yaml.safe_dump(COMPARISON | {"methods": methods}))


def test_bundles_of_one_name_are_refused(tmp_path, capsys):
    bundles = ["--checkpoint", "a/x", "b/X/"]
    line = compare(tmp_path, capsys, yaml.safe_dump(COMPARISON), *bundles)
    assert "the row 'X' has the name of another row, 'x'" in line


def test_comparison_into_no_folder_or_a_file_is_refused(made, tmp_path, capsys):
    line = refused(capsys, "compare", "--config", made / "compare.yaml", "--output", "")
    assert "the name is empty" in line
    line = refused(
        capsys, "compare", "--config", made / "compare.yaml", "--output", made / "compare.yaml"
    )
    assert "is a file; name a folder" in line


def test_comparison_without_pictures_works(made, tmp_path):
    chosen = ["--config", str(made / "compare.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *chosen, "--panel_images", "0"]) == 0
    assert (tmp_path / "out/report.html").is_file()


def test_empty_test_split_is_an_error_and_no_table(made, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    data = {
        "class_path": "datamodules.FolderDataModule",
        "init_args": dict.fromkeys(("train", "val", "test"), str(tmp_path / "empty")),
    }
    line = compare(tmp_path, capsys, yaml.safe_dump(COMPARISON | {"data": data}))
    assert "empty" in line


@pytest.mark.parametrize("command", ["explain", "compare", "export", "list"])
def test_ctrl_c_is_one_line_and_exit_code_130(command, made, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    module = f"explainers.commands.{command}"
    monkeypatch.setattr(f"{module}.run", interrupted)
    chosen = {
        "explain": ["--checkpoint", "x", "--image", "x", "--output", "x"],
        "compare": ["--config", made / "compare.yaml", "--output", tmp_path / "out"],
        "export": ["--checkpoint", "x", "--format", "onnx", "--output", "x"],
        "list": [],
    }[command]
    assert main([command, *map(str, chosen)]) == 130
    assert capsys.readouterr().err.split() == ["stopped"]


@pytest.mark.slow
def test_ctrl_c_while_torch_is_imported_is_one_line():
    process = subprocess.Popen(
        [sys.executable, "-m", "explainers.cli", "explain", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.7)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.split() == ["stopped"]


def test_bug_is_raised(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr("explainers.commands.list.run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list"])
