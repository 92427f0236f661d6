"""Bad options of the commands, and what stops them: one line on stderr, and the exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explainers.cli import main
from explainers.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "99999999999999999999"], "target 99999999999999999999 is outside .* 0 to 3"),
        (["--target", "-1"], "target -1 is outside the classes"),
        (["--target", "cat"], "no class is called 'cat'; give a number, 0 to 3"),
        (["--target", "class 9"], r"no class is called 'class 9'; did you mean class 3 \(3\)"),
        (["--target", ""], "no class is called ''"),
        (["--output", ""], "the name is empty; name a file or a folder"),
        (["--output", "FOLDER/compare.yaml"], "is a file; name a folder"),
        (["--output", "FOLDER/compare.yaml/out"], "through a file as if it were a folder"),
        (["--image", "FOLDER/images"], "is a folder; give it as --images"),
        (["--image", "FOLDER/nowhere.jpg"], "no image file at"),
        (["--image", "FOLDER/compare.yaml"], "its format is unknown"),
        (["--checkpoint", "/etc/hostname"], "no bundle at /etc/hostname"),
        (["--checkpoint", "/proc/x"], "no bundle at /proc/x"),
        (["--checkpoint", ""], "the name is empty"),
    ],
)
def test_bad_option_of_explain(made, tmp_path, capsys, options, message, refused):
    options = [option.replace("FOLDER", str(made)) for option in options]
    given = {"--checkpoint": made / "bundle", "--image": made / "images/photo.jpg"}
    given |= {"--output": tmp_path / "out", options[0]: options[1]}
    line = refused(capsys, "explain", *(part for pair in given.items() for part in pair))
    assert_says(line, message)
    assert not (tmp_path / "out").exists()


def assert_says(line, message):
    with pytest.raises(InputError, match=message):
        raise InputError(line)


def test_image_file_as_images_is_told_the_other_option(made, tmp_path, capsys, refused):
    photo = made / "images/photo.jpg"
    chosen = ["--checkpoint", made / "bundle", "--output", tmp_path / "out"]
    line = refused(capsys, "explain", *chosen, "--images", photo)
    assert_says(line, rf"--images {photo} is one image; give it as --image {photo}")


@pytest.mark.parametrize("opset", [-1, 0, 1, 17, 999])
def test_opset_outside_the_exporters_range_is_refused_before_anything_is_written(
    made, tmp_path, capsys, opset, refused
):
    output = tmp_path / "out" / "x.onnx"
    chosen = ["--checkpoint", made / "bundle", "--format", "onnx", "--output", output]
    line = refused(capsys, "export", *chosen, "--opset", opset)
    assert_says(line, f"--opset must be a whole number from 18 to 23, got {opset}")
    assert not output.parent.exists()


@pytest.mark.parametrize("option", [["--tolerance", "nan"], ["--tolerance", "-1"]])
def test_tolerance_without_sense_is_refused(made, tmp_path, capsys, option, refused):
    chosen = ["--checkpoint", made / "bundle", "--format", "torch"]
    line = refused(capsys, "export", *chosen, "--output", tmp_path / "x.pt2", *option)
    assert "--tolerance must be a finite number of at least 0" in line


@pytest.mark.parametrize("command", ["explain", "compare", "export", "list"])
def test_ctrl_c_is_one_line_and_exit_code_130(command, made, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    module = f"explainers.commands.{command}"
    monkeypatch.setattr(f"{module}.run", interrupted)
    chosen = {
        "explain": ["--checkpoint", "x", "--image", "x", "--output", "x"],
        "compare": ["--config", made / "compare.yaml", "--output", tmp_path / "out"],
        "export": ["--checkpoint", "x", "--format", "onnx", "--output", "x"],
        "list": [],
    }[command]
    assert main([command, *map(str, chosen)]) == 130
    assert capsys.readouterr().err.split() == ["stopped"]


@pytest.mark.slow
def test_ctrl_c_while_torch_is_imported_is_one_line():
    words = ["--config", "none.yaml", "--image", "a.jpg", "--output", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "explainers.cli", "explain", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.7)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.split() == ["stopped"]


def test_bug_is_raised(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr("explainers.commands.list.run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list"])
