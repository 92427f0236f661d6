"""Bad configs of comparisons: one line that names value, rule and way out, and exit code 2."""

import pytest
import yaml

from explainers.cli import main
from explainers.errors import InputError

RANDOM = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


def assert_says(line, message):
    with pytest.raises(InputError, match=message):
        raise InputError(line)


@pytest.fixture
def compare(refused):
    """Run a comparison that is refused as it has a bad config, and return its line on stderr."""

    def run(tmp_path, capsys, text, *more):
        (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        chosen = ["--config", tmp_path / "config.yaml", "--output", tmp_path / "out"]
        line = refused(capsys, "compare", *chosen, *more)
        assert not (tmp_path / "out/results.json").exists()
        return line

    return run


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
def test_config_that_is_no_config(tmp_path, capsys, content, message, refused, compare):
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
def test_bad_entry_of_a_comparison(tmp_path, capsys, entries, message, comparison, compare):
    assert message in compare(tmp_path, capsys, yaml.safe_dump(comparison | entries))


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
def test_bad_hyperparameter_of_a_method(
    tmp_path, capsys, method, init_args, message, comparison, compare
):
    described = {"class_path": f"explainers.{method}", "init_args": init_args}
    text = yaml.safe_dump(comparison | {"methods": {"x": described}})
    assert_says(compare(tmp_path, capsys, text), message)


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
def test_rows_that_would_overwrite_each_other_are_refused(
    tmp_path, capsys, names, message, comparison, compare
):
    methods = dict.fromkeys(names, comparison["methods"]["am"])
    assert message in compare(tmp_path, capsys, yaml.safe_dump(comparison | {"methods": methods}))


def test_bundles_of_one_name_are_refused(tmp_path, capsys, comparison, compare):
    bundles = ["--checkpoint", "a/x", "b/X/"]
    line = compare(tmp_path, capsys, yaml.safe_dump(comparison), *bundles)
    assert "the row 'X' has the name of another row, 'x'" in line


def test_comparison_into_no_folder_or_a_file_is_refused(made, tmp_path, capsys, refused):
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


def test_empty_test_split_is_an_error_and_no_table(made, tmp_path, capsys, comparison, compare):
    (tmp_path / "empty").mkdir()
    data = {
        "class_path": "datamodules.FolderDataModule",
        "init_args": dict.fromkeys(("train", "val", "test"), str(tmp_path / "empty")),
    }
    line = compare(tmp_path, capsys, yaml.safe_dump(comparison | {"data": data}))
    assert "empty" in line


def test_bundle_of_another_classifier_is_named_with_the_way_out(
    tmp_path, capsys, comparison, compare, made
):
    bundle = made / "bundle"
    other = comparison | {"classifier": RANDOM | {"redraw_seed": 1}}
    line = compare(tmp_path, capsys, yaml.safe_dump(other), "--checkpoint", bundle)
    assert f"{bundle} explains another classifier than test_resnet" in line
    assert "--classifier" in line
