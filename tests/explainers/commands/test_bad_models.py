"""Bad classifiers and bundles: one line that names value, rule and way out, and exit code 2."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from explainers import PTAME
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.errors import InputError

RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


def assert_says(line, message):
    with pytest.raises(InputError, match=message):
        raise InputError(line)


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
    ({"class_names": "cat"}, "no file of class names at .*cat; write one name a line"),
    ({"class_names": ["cat", 3]}, r"class_names must be a list of names, got \['cat', 3\]"),
    ({"model": 3}, "model must be a name"),
    ({"model": None}, "model must be a name, as resnet50"),
    ({"modle": "resnet50"}, "unknown classifier option 'modle'; did you mean model"),
]


@pytest.mark.parametrize(("classifier", "message"), CLASSIFIERS)
@pytest.mark.parametrize("command", ["explain", "compare", "bundle"])
def test_bad_classifier(made, tmp_path, capsys, command, classifier, message, refused, comparison):
    if isinstance(classifier, dict):
        classifier = RANDOM | classifier
    output = ["--output", tmp_path / "out"]
    photo = ["--image", made / "images/photo.jpg"]
    if command == "compare":
        text = yaml.safe_dump(comparison | {"classifier": classifier})
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
def test_bad_hyperparameter_of_a_bundle(made, tmp_path, capsys, hyperparameters, message, refused):
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
def test_bad_entry_of_a_bundle(made, tmp_path, capsys, entries, message, refused):
    bundle = changed(made, tmp_path, lambda config: config.update(entries))
    chosen = ["--checkpoint", bundle, "--image", made / "images/photo.jpg"]
    assert_says(refused(capsys, "explain", *chosen, "--output", tmp_path / "out"), message)


def test_bundle_with_one_of_two_fingerprints_is_refused_unless_allowed(
    made, tmp_path, capsys, refused
):
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
def test_bad_weights_of_a_bundle(made, tmp_path, capsys, change, message, refused):
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
