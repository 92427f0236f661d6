"""Comparisons of classes as their YAML files and options describe them."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from explainers import PTAME, FrozenClassifier
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.evaluation.costs import device_name
from explainers.evaluation.uninformative import UNINFORMATIVE

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("compare_*.yaml"))

RANDOM_RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
CONFIG = """
classifier: {model: test_resnet, pretrained: false, num_classes: 4}
data: {class_path: datamodules.ShapesDataModule, init_args: {length: 5, size: 64, batch_size: 2}}
methods:
  ptame:
    class_path: explainers.PTAME
    init_args: {auxiliary: {model: test_resnet, pretrained: false}}
metrics: [average_drop, average_gain]
"""


def test_command_compares_what_a_file_describes(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG)
    output = tmp_path / "out"
    assert (
        main(["compare", "--config", str(tmp_path / "config.yaml"), "--output", str(output)]) == 0
    )
    printed = capsys.readouterr().out
    for row in ("ptame", *UNINFORMATIVE):
        assert f"| {row}" in printed
    rows = json.loads((output / "results.json").read_text())["rows"]
    assert rows[1]["explainer"] == "ones"
    assert rows[1]["average_drop"] == 0


def test_limit_takes_images_spread_over_the_split(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    output = tmp_path / "out"
    arguments = ["compare", "--config", tmp_path / "config.yaml", "--output", output]
    assert main([*map(str, arguments), "--limit", "2"]) == 0
    found = json.loads((output / "results.json").read_text())
    assert [row["images"] for row in found["rows"]] == [2] * len(found["rows"])
    assert found["protocol"]["limit"] == 2
    (line,) = (line for line in (output / "table.md").read_text().splitlines() if "| ptame" in line)
    assert "[" in line  # the intervals


@pytest.mark.slow
@pytest.mark.skipif(find_spec("captum") is None, reason="needs captum, of the extra compare")
def test_table_of_transformers_is_filled_in(tmp_path, built):
    (config,) = (path for path in CONFIGS if path.stem == "compare_vit")
    described = yaml.safe_load(config.read_text())
    described["classifier"] = {"model": "test_vit", "pretrained": False, "num_classes": 4}
    described["data"] = {
        "class_path": "datamodules.ShapesDataModule",
        "init_args": {"length": 2, "size": 64},
    }
    del described["metrics"][2:4]  # squares of other sizes: slow, and one as large as the images
    for method in described["methods"].values():
        for option in ("noisy_copies", "samples", "steps"):
            if option in method.get("init_args", {}):
                method["init_args"][option] = 2
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    rows = built(tmp_path).run().rows
    assert [row["explainer"] for row in rows] == [*described["methods"], *UNINFORMATIVE]
    for row in rows[: len(described["methods"])]:
        assert row["failed"] == []
        assert all(math.isfinite(row[metric]) for metric in described["metrics"]), row
    agnostic = next(row for row in rows if row["explainer"] == "attention_map")
    assert agnostic["class_sensitivity_second"] == pytest.approx(1)
    assert agnostic["classifier_passes_per_image"] == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metrics: [average_drop,", "metrics: [averagedrop,", "did you mean average_drop"),
        ("metrics:", "metric:", "unknown key 'metric'"),
        ("explainers.PTAME", "os.system", "must be a class of explainers or datamodules"),
        ("explainers.PTAME", "explainers.PTAM", "explainers.PTAM cannot be built"),
        ("explainers.PTAME", "explainers.PTAM", "did you mean PTAME"),
        ("explainers.PTAME", "datamodules.ShapesDataModule", "is no subclass of Explainer"),
        ("explainers.PTAME", "explainers.Explainer", "is no subclass of Explainer"),
        ("datamodules.Shapes", "datamodules.Shape", "did you mean ShapesDataModule"),
        ("datamodules.ShapesDataModule", "explainers.PTAME", "is no subclass of ImageDataModule"),
        ("{auxiliary:", "{auxiliar:", "did you mean auxiliary"),
        ("{auxiliary:", "{lr: fast, auxiliary:", "lr must be float, got 'fast'"),
        ("{auxiliary:", "{classifier: x, auxiliary:", "is given 'classifier' by the command"),
        ("length: 5", "length: five", "length must be int, got 'five'"),
        ("{auxiliary:", "{auxiliar:", "cannot be built: PTAME"),
        ("classifier: {model: test_resnet", "classifier: {model: tst_resnet", "did you mean"),
    ],
)
def test_bad_config_is_one_line_and_exit_code_two(tmp_path, capsys, old, new, message):
    (tmp_path / "config.yaml").write_text(CONFIG.replace(old, new, 1))
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("chunk_size", 0, "chunk_size must be a whole number of at least 1, up to 1000000, got 0"),
        (
            "chunk_size",
            "many",
            "chunk_size must be a whole number of at least 1, up to 1000000, got 'many'",
        ),
        (
            "panel_images",
            -1,
            "panel_images must be a whole number of at least 0, up to 1000000, got -1",
        ),
        ("map_normalisation", "raw", "map_normalisation must be minmax or answered, got 'raw'"),
        ("references", "far", "references must be nearest, or left out, got 'far'"),
        ("metrics", 3, "metrics must be a list of names, as [average_drop, insertion], got 3"),
        ("classifier", 3, "classifier must be a model's name, or the arguments"),
        ("data", "photos", "data must be a class_path and, optionally, init_args, got 'photos'"),
        ("data", {"class_pat": "X"}, "(missing required keys: {'class_path'})"),
        ("methods", {"x": {"class_path": "X", "args": {}}}, "(unexpected keys: {'args'})"),
        ("metrics", None, "missing 'metrics'; give --metrics or add it to the --config file"),
        ("panel_image", 3, "did you mean panel_images"),
    ],
)
def test_wrong_value_names_the_rule_and_nothing_is_built(
    tmp_path, capsys, monkeypatch, key, value, message
):
    monkeypatch.setattr(FrozenClassifier, "__init__", None)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(yaml.safe_load(CONFIG) | {key: value}))
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--chunk_size", "0"],
            "chunk_size must be a whole number of at least 1, up to 1000000, got 0",
        ),
        (["--chunk_sizes", "3"], "unknown option --chunk_sizes; did you mean --chunk_size"),
        (["--metrics", "[averagedrop]"], "did you mean average_drop"),
        (["--config", "nowhere.yaml"], "no config at"),
    ],
)
def test_bad_option_is_one_line_and_exit_code_two(tmp_path, capsys, more, message):
    (tmp_path / "config.yaml").write_text(CONFIG)
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_output_has_to_be_named(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert main(["compare", "--config", str(tmp_path / "config.yaml")]) == 2
    assert capsys.readouterr().err == "error: missing 'output'; give --output\n"


def test_print_config_gives_a_complete_file_that_is_accepted_again(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(CONFIG)
    data = yaml.safe_load(CONFIG)["data"] | {"init_args": {"size": 160}}
    more = ["--chunk_size", "16", "--metrics", "[average_drop]", "--data", json.dumps(data)]
    for name in ("config.yaml", "printed.yaml"):
        with pytest.raises(SystemExit) as stop:
            main(["compare", "--config", str(tmp_path / name), "--print_config", *more])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        (tmp_path / "printed.yaml").write_text(printed)
        defaults = {"panel_images": 6, "references": None, "map_normalisation": "minmax"}
        defaults |= {"fills": None, "baseline": None, "judge": None, "limit": None}
        changed = {"chunk_size": 16, "metrics": ["average_drop"], "data": data}
        assert yaml.safe_load(printed) == yaml.safe_load(CONFIG) | defaults | changed


def test_options_after_the_file_replace_its_values_and_old_class_paths_are_found(tmp_path):
    (tmp_path / "config.yaml").write_text(
        CONFIG.replace("explainers.PTAME", "explainers.ptame.PTAME")
    )
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    more = ["--metrics", "[average_gain]", "--map_normalisation", "answered", "--panel_images", "1"]
    assert main(["compare", *arguments, *more]) == 0
    protocol = json.loads((tmp_path / "out/results.json").read_text())["protocol"]
    assert protocol["metrics"] == ["average_gain"]
    assert protocol["map"] == "as the explainer answers, in [0, 1]"
    assert protocol["explainers"]["ptame"]["class"] == "PTAME"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_config_of_the_project_fits_the_types(config, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "--config", str(config), "--print_config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["map_normalisation"] == "minmax"
    assert yaml.safe_load(config.read_text()).items() <= printed.items()


def test_command_tells_the_training_of_bundles_and_of_what_is_started_from_one(tmp_path, capsys):
    torch.manual_seed(1)
    torch.save(FrozenClassifier.of(RANDOM_RESNET).model.state_dict(), tmp_path / "weights.pth")
    source = {"model": "test_resnet", "num_classes": 4, "weights": str(tmp_path / "weights.pth")}
    spent = {"seconds": 50.0, "device": device_name(torch.device("cpu"))}
    bundle = save_bundle(PTAME(source, source), tmp_path / "bundle", spent, [], None)
    config = yaml.safe_load(CONFIG)
    config["classifier"] = config["methods"]["ptame"]["init_args"]["auxiliary"] = source
    started = {"auxiliary": source, "init_from": str(bundle)}
    config["methods"]["started"] = {"class_path": "explainers.PTAME", "init_args": started}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments, "--checkpoint", str(bundle)]) == 0
    rows = json.loads((tmp_path / "out/results.json").read_text())["rows"]
    seconds = {row["explainer"]: row["training_seconds"] for row in rows}
    assert seconds == {"bundle": 50, "started": 50, "ptame": 0} | dict.fromkeys(UNINFORMATIVE, 0)
    assert "`bundle` took 50 s on CPU, 1 thread to train" in capsys.readouterr().out
