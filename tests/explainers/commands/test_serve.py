import argparse
import logging
import warnings
from pathlib import Path

import pytest

from explainers.cli import main
from explainers.commands import serve
from explainers.errors import InputError
from explainers.shipped import shipped_bundles


def end_with(monkeypatch, end):
    def serve_page(*arguments, **options):
        raise end

    monkeypatch.setattr(serve, "serve_page", serve_page)


def test_the_options_reach_the_server(monkeypatch):
    calls = []
    monkeypatch.setattr(serve, "serve_page", lambda *given, **more: calls.append((given, more)))
    words = "serve --checkpoint a b --classifier-weights w.pth --host ::1 --port 81 --allowed-host box.example c.example"
    assert main(words.split()) == 0
    given = (["a", "b"], [], "::1", 81, ["box.example", "c.example"])
    assert calls == [(given, {"classifier_weights": Path("w.pth")})]


def test_bundles_of_the_package_are_served_where_there_are_no_others(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(serve, "serve_page", lambda *arguments, **options: calls.append(arguments))
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 0
    assert calls.pop()[0] == list(shipped_bundles())
    (tmp_path / "checkpoints/mine").mkdir(parents=True)
    assert main(["serve"]) == 0
    assert calls.pop()[0] == list(shipped_bundles())
    (tmp_path / "checkpoints/mine/config.json").touch()
    assert main(["serve"]) == 0
    assert calls.pop()[0] == []


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, ""),
        (InputError("port 7860 is taken"), 2, "error: port 7860 is taken\n"),
    ],
)
def test_each_end_has_its_exit_code_and_one_line_at_most(monkeypatch, capsys, end, code, line):
    end_with(monkeypatch, end)
    assert main(["serve"]) == code
    assert capsys.readouterr().err == line


def test_only_warnings_of_ours_are_shown_and_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.warnoptions", [])
    level = logging.getLogger().level

    def serve_page(*arguments, **options):
        for module in ("gradio.blocks", "torch", "explainers.app.workbenches"):
            warnings.warn_explicit(f"of\n{module}", UserWarning, "file.py", 1, module)
        logging.getLogger("httpx").warning("an advertisement")

    monkeypatch.setattr(serve, "serve_page", serve_page)
    assert main(["serve"]) == 0
    assert capsys.readouterr().err == "warning: of explainers.app.workbenches\n"
    assert logging.getLogger().level == level


def test_python_w_brings_all_warnings_back(monkeypatch):
    monkeypatch.setattr("sys.warnoptions", ["default"])
    monkeypatch.setattr(serve, "serve_page", lambda *_, **__: warnings.warn("theirs", stacklevel=1))
    options = {"checkpoint": [], "config": [], "classifier_weights": None, "allowed_host": []}
    with pytest.warns(UserWarning, match="theirs"):
        serve.run(argparse.Namespace(**options, host="", port=1))


def test_ctrl_c_outside_the_server_has_its_exit_code_too(monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("explainers.commands.list.run", interrupted)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "\nstopped\n"
