"""What was written before modules moved into rooms still loads."""

import importlib
import subprocess
import sys

import pytest
import yaml

from explainers.bundle.untrained import load_untrained
from explainers.moved import MOVED, imported


@pytest.mark.parametrize("old", MOVED)
def test_old_path_names_the_same_object_as_the_new_one(old):
    module, _, name = old.rpartition(".")
    assert getattr(importlib.import_module(module), name) is imported(MOVED[old])


def test_old_module_holds_nothing_else():
    with pytest.raises(ImportError, match="cannot import name 'CAM_GAIN'"):
        from explainers.ptame import CAM_GAIN  # noqa: F401


def test_config_with_an_old_class_path_loads(tmp_path):
    model = {
        "class_path": "explainers.opticam.OptiCAM",
        "init_args": {"classifier": {"model": "test_resnet", "pretrained": False}, "steps": 2},
    }
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump({"model": model}))
    assert type(load_untrained(path)).__module__ == "explainers.methods.opticam"


def test_importing_the_package_loads_neither_torch_nor_lightning():
    code = "import sys, explainers; print({'torch', 'lightning'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_users_import_names_from_the_package():
    import explainers
    from explainers import PTAME, FrozenClassifier, load_explainer

    assert explainers.PTAME is PTAME
    assert explainers.FrozenClassifier is FrozenClassifier
    assert explainers.load_explainer is load_explainer
    assert explainers.__version__
    assert {"PTAME", "load_explainer", "Explanation"} <= set(dir(explainers))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = explainers.Nothing
