"""The pages of docs/ say what is so: their snippets run, and the commands are those there are."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from webdataset import TarWriter

from explainers.cli import main
from explainers.evaluation.records import write_records
from explainers.metrics import CHOICES

ROOT = Path(__file__).parents[1]
TINY = {
    '"resnet50.tv_in1k"': '{"model": "test_resnet", "pretrained": False}',
    '"resnet50"': '{"model": "test_resnet", "pretrained": False}',
    '"vit_base_patch16_224"': '{"model": "test_vit", "pretrained": False}',
}


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text()


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
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves its tar files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "name",
    ["maps", "measuring", "reproduce", pytest.param("troubleshooting", marks=pytest.mark.slow)],
)
def test_snippets_run(name, folder):
    snippets = re.findall(r"^```python\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)
    assert snippets
    names: dict[str, object] = {}
    for snippet in snippets:
        for model, tiny in TINY.items():
            snippet = snippet.replace(model, tiny)
        exec(snippet, names)  # noqa: S102  our own


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_files_that_commands_and_links_name_are_there(path):
    text = path.read_text()
    for name in re.findall(r"(?:configs|benchmarks|checkpoints)/[\w./-]*\w", text):
        assert list(ROOT.glob(f"{name}*")), f"{path.name} names {name}"
    for target in re.findall(r"\]\(([\w./-]+\.md)\)", text):
        assert (path.parent / target).is_file(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.stem)
def test_options_of_explain_and_compare_are_those_there_are(path, capsys):
    for command in re.findall(
        r"^explainers (?:explain|compare) .*$", path.read_text(), re.MULTILINE
    ):
        words = shlex.split(re.sub(r"\[[^]]*\]", "", command))[1:]
        with pytest.raises(SystemExit) as stop:
            main([words[0], "--help"])
        assert stop.value.code == 0
        known = capsys.readouterr().out
        for word in words:
            assert not word.startswith("--") or word in known, f"{path.name}: {word}"


def test_metrics_that_the_page_explains_are_those_there_are():
    table = page("measuring").partition("| metric |")[2].partition("## Traps")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line[:70])}
    assert named
    assert named <= CHOICES.keys()
