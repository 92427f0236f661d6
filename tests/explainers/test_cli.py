"""The command line as a whole: its commands, their help, and what is imported for them."""

import subprocess
import sys
from importlib import import_module

import pytest

from explainers.cli import COMMANDS, main


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
    ],
)
def test_help_of_a_command_shows_its_options(name, option, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert option in capsys.readouterr().out


def test_every_command_is_a_file_with_options_and_what_runs():
    for name in COMMANDS:
        module = import_module(f"explainers.commands.{name}")
        assert callable(module.add_arguments)
        assert callable(module.run)


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
