"""The command line as a whole: its commands, their help, and what is imported for them."""

import re
import subprocess
import sys
from importlib import import_module

import pytest
from lightning.pytorch import Trainer

from datamodules import maps
from explainers.callbacks import MapWriter
from explainers.cli import COMMANDS, _options_of, main, with_short_help
from explainers.commands.options import dataset_maps, export
from explainers.commands.training_cli import OneLineTrainingParser, add_run_options
from explainers.export import onnx_file


def test_help_lists_the_commands_without_importing_torch():
    code = (
        "import sys; from explainers.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print({'torch', 'jsonargparse', 'datamodules'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    *lines, imported = done.stdout.splitlines()
    assert imported == "set()"
    for name, summary in COMMANDS.items():
        assert any(line.split() == [name, *summary.split()] for line in lines)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("explain", "--image "),
        ("compare", "--chunk_size "),
        ("serve", "--port "),
        ("export", "--format "),
        ("list", "--help"),
        ("judge", "masked images (EVAL-X)."),
    ],
)
def test_help_of_a_command_shows_its_options(name, option, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert option in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"list"}))
def test_help_of_a_command_imports_no_torch(command):
    code = (
        f"import sys; from explainers.cli import main\n"
        f"try: main([{command!r}, '--help'])\n"
        f"finally: print({{'torch', 'lightning', 'gradio'}} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_explaining_imports_no_package_that_only_other_metrics_need():
    code = (
        "import sys; from explainers import cli\n"
        "try: cli.main(['explain', '--config', 'none.yaml', '--image', 'a.jpg', '--output', 'o'])\n"
        "finally: print({'scipy', 'transformers', 'matplotlib.pyplot'} & sys.modules.keys())\n"
        "import matplotlib.pyplot, scipy.signal, lightning.pytorch, torchmetrics\n"
        "from importlib.metadata import version\n"
        "print(version('scipy') == scipy.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.splitlines() == ["set()", "True"], done.stderr
    assert "error: no config at" in done.stderr


def test_every_command_is_a_file_with_what_runs_and_one_with_options():
    for name in COMMANDS:
        assert callable(import_module(f"explainers.commands.{name}").run)
        assert callable(import_module(_options_of(name)).add_arguments)


def test_values_written_in_options_are_those_of_the_modules_that_use_them():
    assert list(dataset_maps.PRECISIONS) == list(maps.PRECISIONS)
    assert export.OPSET == onnx_file.OPSET


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["test", "-h"]])
def test_short_help_of_training_fits_a_screen_and_needs_no_parser(words, capsys):
    with pytest.raises(SystemExit) as stop:
        with_short_help("train", words, "python train.py")
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 100
    for option in ("--config", "--model.help", "--data.help", "--help-all"):
        assert any(option in line for line in lines)


def test_options_that_the_short_help_of_training_names_are_there(capsys):
    with pytest.raises(SystemExit):
        with_short_help("train", ["--help"], "python train.py")
    short = capsys.readouterr().out
    words = with_short_help("train", ["fit", "--help-all"], "python train.py")
    assert words == ["fit", "--help"]
    parser = OneLineTrainingParser()
    add_run_options(parser)
    parser.add_lightning_class_args(MapWriter, "maps")
    parser.add_lightning_class_args(Trainer, "trainer")
    known = parser.format_help()
    run = re.search(r"the run:\n(.*?)\n\n", short, re.DOTALL)[1]
    for option in re.findall(r"^  (--[\w.]+)", run, re.MULTILINE):
        if option not in ("--config", "--ckpt_path", "--seed_everything", "--print_config"):
            assert option in known  # the others are Lightning's own
    for option in re.findall(r"--trainer\.\w+", short):
        assert option in known


def test_words_without_a_question_go_to_the_parser_as_they_are():
    words = ["fit", "--config", "configs/demo.yaml", "--model.help", "PTAMEPlus"]
    assert with_short_help("train", words, "python train.py") == words
    assert with_short_help("explain", ["--help"], "explainers explain") == ["--help"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["explian"], "invalid choice: 'explian'"),
        (["list", "--loud"], "unrecognized arguments: --loud; see explainers list --help"),
        (["serve", "--port", "high"], "invalid int value: 'high'"),
    ],
)
def test_bad_command_line_is_one_line_and_exit_code_two(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_error_of_the_system_is_one_line_with_a_way_out(tmp_path, monkeypatch, capsys):
    def fails(*arguments):
        (tmp_path / "file").touch()
        (tmp_path / "file").mkdir()

    monkeypatch.setattr("explainers.commands.list.run", fails)
    assert main(["list"]) == 2
    message = f"error: {tmp_path / 'file'} is there already, and is no folder; name another\n"
    assert capsys.readouterr().err == message


def test_long_bad_argument_is_cut(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["serve", "--port", "9" * 5000])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 400
