"""Comparisons as their YAML files describe them: of classes, of references, of every config."""

import csv
import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from webdataset import TarWriter

from explainers import PTAME, FrozenClassifier
from explainers.bundle.saving import save_bundle
from explainers.cli import main
from explainers.commands.compare import load_comparison
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


PAIRS = """
classifier: {model: test_vit, pretrained: false, num_classes: 4}
data: {class_path: datamodules.PairsDataModule, init_args: {test: SHARD, size: 64, batch_size: 4}}
methods:
  fam: {class_path: explainers.FAM}
  grad_cam: {class_path: explainers.SimilarityGradCAM}
  activation_map: {class_path: explainers.ActivationMap}
  opti_cam: {class_path: explainers.OptiCAM, init_args: {steps: 2}}
  cdam: {class_path: explainers.CDAM}
metrics: [energy_pointing, energy_on_other, right_object, similarity_kept_50]
panel_images: 2
"""


@pytest.fixture
def pairs(tmp_path):
    """A shard of three images of noise, with an object on the left and another on the right."""
    noise = np.random.default_rng(0)
    masks = np.zeros((2, 32, 40), dtype=np.uint8)
    masks[0, :, :15] = masks[1, :, 20:] = 255
    with TarWriter(str(tmp_path / "pairs.tar")) as tar:
        for key in ("x", "y", "z"):
            image, first, second = noise.integers(0, 255, (3, 32, 40, 3), dtype=np.uint8)
            tar.write(
                {
                    "__key__": key,
                    "jpg": image,
                    "mask_a.png": masks[0],
                    "mask_b.png": masks[1],
                    "ref_a.jpg": first,
                    "ref_b.jpg": second,
                }
            )
    return tmp_path / "pairs.tar"


def test_references_are_compared_by_each_methods_own_embedding(pairs, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(PAIRS.replace("SHARD", str(pairs)))
    output = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(output)]
    assert main(["compare", *arguments]) == 0
    results = json.loads((output / "results.json").read_text())
    assert "reference" in results["protocol"]["target"]
    rows = {row["explainer"]: row for row in results["rows"]}
    assert all(row["images"] == 6 for row in rows.values())
    assert rows["ones"]["similarity_kept_50"] < 100  # half the pixels are black
    for blind in ("activation_map", "centre_gaussian"):
        # Asked for both objects, it is right once an image: the interval of the mean is a point.
        assert rows[blind]["right_object"] == 50
        assert rows[blind]["right_object_interval"] == [50, 50]
    with (output / "records.csv").open() as file:
        records = list(csv.DictReader(file))
    assert [record["group"] for record in records[:6]] == ["x", "x", "y", "y", "z", "z"]
    assert {record["target"] for record in records} == {"reference"}


def test_metrics_of_classes_are_refused_for_references(pairs, tmp_path, capsys):
    text = PAIRS.replace("SHARD", str(pairs)).replace("[energy_pointing,", "[average_drop,")
    (tmp_path / "config.yaml").write_text(text)
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    assert "average_drop asks for the probability of a class" in capsys.readouterr().err


TASK = """
classifier: {model: test_resnet, pretrained: false, num_classes: 4}
data: {class_path: datamodules.TASK, init_args: {images: FOLDER, size: 64, batch_size: 4, MORE}}
methods:
  fam: {class_path: explainers.FAM}
metrics: [similarity_kept_15, similarity_insertion, similarity_deletion]
panel_images: 2
"""


@pytest.fixture
def classes(tmp_path):
    """A folder of two classes, red and blue, of two images of noise each."""
    noise = np.random.default_rng(0)
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for index in range(2):
            image = noise.integers(0, 50, (32, 32, 3)) + np.array(colour)
            path = tmp_path / f"classes/{name}/{index}.png"
            Image.fromarray(image.astype(np.uint8)).save(path)
    return tmp_path / "classes"


@pytest.mark.parametrize(
    ("task", "more", "images"),
    [
        ("FewShotDataModule", "ways: 2, shots: 1, queries: 1, episodes: 2", 4),
        ("ViewsDataModule", "seed: 1", 4),
        ("GalleryDataModule", "seed: 1", 4),
    ],
)
def test_tasks_are_scored_and_their_matches_counted(classes, tmp_path, capsys, task, more, images):
    text = TASK.replace("TASK", task).replace("FOLDER", str(classes)).replace("MORE", more)
    if task == "GalleryDataModule":
        text += "references: nearest\n"
    (tmp_path / "config.yaml").write_text(text)
    output = tmp_path / "out"
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(output)]
    assert main(["compare", *arguments]) == 0
    results = json.loads((output / "results.json").read_text())
    assert results["references"]["images"] == images
    low, high = results["references"]["accuracy_interval"]
    accuracy = results["references"]["accuracy"]
    assert 0 <= low <= accuracy <= high <= 100
    if task != "ViewsDataModule":  # red and blue are told apart; a jittered image from others not
        assert accuracy == 100
    assert f"own class for {accuracy:.1f} %" in capsys.readouterr().out
    for row in results["rows"]:
        assert row["failed"] == []
        assert row["images"] == images
        assert math.isfinite(row["similarity_insertion"])
        assert row["similarity_insertion_interval"]
    assert (output / "panel.png").is_file()


def test_references_of_a_config_are_nearest_or_nothing(classes, tmp_path, capsys):
    text = TASK.replace("TASK", "GalleryDataModule").replace("FOLDER", str(classes))
    (tmp_path / "config.yaml").write_text(text.replace("MORE", "seed: 1") + "references: far\n")
    arguments = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main(["compare", *arguments]) == 2
    assert "references must be nearest, or left out, got 'far'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("foolbox", "pytorch_grad_cam", "captum")),
    reason="needs the packages of the extras demo and compare",
)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_of_a_comparison_is_accepted(config, pairs, tmp_path):
    described = yaml.safe_load(config.read_text())
    source = described["classifier"]
    source = {"model": source} if isinstance(source, str) else source
    if not source["model"].startswith("package:"):  # the hub is out of reach
        described["classifier"] = source | {"pretrained": False}
    for split in {"train", "val", "test"} & described["data"]["init_args"].keys():
        described["data"]["init_args"][split] = str(pairs)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    comparison = load_comparison(tmp_path / "config.yaml", [], tmp_path)
    assert list(comparison.methods) == [*described["methods"], *UNINFORMATIVE]
    json.dumps(comparison.protocol)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("captum") is None, reason="needs captum, of the extra compare")
def test_table_of_transformers_is_filled_in(tmp_path):
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
    rows = load_comparison(tmp_path / "config.yaml", [], tmp_path).run().rows
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
    more = ["--chunk_size", "16", "--metrics", "[average_drop]"]
    for name in ("config.yaml", "printed.yaml"):
        with pytest.raises(SystemExit) as stop:
            main(["compare", "--config", str(tmp_path / name), "--print_config", *more])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        (tmp_path / "printed.yaml").write_text(printed)
        defaults = {"panel_images": 6, "references": None, "map_normalisation": "minmax"}
        changed = {"chunk_size": 16, "metrics": ["average_drop"]}
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
