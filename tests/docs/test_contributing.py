"""The method that CONTRIBUTING.md adds is added to a copy of the project as it says, and tested."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = [
    "tests/explainers/test_contract.py",
    "tests/explainers/methods/test_descriptions.py",
    "tests/explainers/methods/test_input_gradient.py",
]
COPIED = [
    "explainers",
    "datamodules",
    "configs",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/explainers/conftest.py",
    *TESTS[:2],
]


def blocks():
    """The contents of the files of CONTRIBUTING.md by their paths."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', text, re.DOTALL | re.MULTILINE))


def register(path, lines):
    """Add an import for type checkers, and the file of the class."""
    text = path.read_text()
    for line, heading in zip(
        lines.splitlines(), ("if TYPE_CHECKING:", "_MODULES = {"), strict=True
    ):
        assert f"\n{heading}\n" in text
        text = text.replace(f"\n{heading}\n", f"\n{heading}\n{line}\n", 1)
    path.write_text(text)


@pytest.fixture
def project(tmp_path):
    """A copy of the project with the new method."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for name, content in blocks().items():
        path = tmp_path / name
        if path.exists():
            register(path, content)
        else:
            path.write_text(content)
    return tmp_path


def run(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_files_have_the_form_of_the_project(project):
    pytest.importorskip("ruff")
    new = [str(project / name) for name in blocks() if not name.endswith(("__init__.py", ".yaml"))]
    run(project, "ruff", "check", *new)
    run(project, "ruff", "format", "--check", *new)
    listed = run(project, "explainers.cli", "list")
    assert "InputGradient" in listed


@pytest.mark.slow
def test_the_method_passes_the_contract_suite_and_its_own_test(project):
    chosen = (
        "input_gradient or (InputGradient and not (own or torchvision or open_clip or convnext))"
    )
    printed = run(project, "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *TESTS)
    assert int(re.search(r"(\d+) passed", printed)[1]) > 30
