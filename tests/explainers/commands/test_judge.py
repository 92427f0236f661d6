"""`explainers judge` trains a judge once, goes on where it was stopped, and scores methods by it."""

import json
import signal

import pytest
import yaml

from explainers.cli import main
from explainers.training.masked_surrogate import MaskedSurrogate

pytestmark = pytest.mark.filterwarnings("default")  # Lightning warns about its own dependencies


@pytest.fixture
def command(comparison, made, tmp_path):
    """The command on a small comparison, with a judge of a few steps."""
    source = {"model": "test_resnet", "weights": str(made / "weights.pth")}
    data = comparison["data"] | {"init_args": {"length": 4, "size": 64, "batch_size": 2}}
    settings = comparison | {"classifier": source, "data": data}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))

    def words(*options, steps=6):
        config = ["--config", str(tmp_path / "config.yaml"), "--output", str(tmp_path / "out")]
        return ["judge", *config, "--steps", str(steps), *options]

    return words


def test_judge_is_trained_once_and_scores_every_method(command, tmp_path, capsys, monkeypatch):
    assert main(command()) == 0
    assert (
        "the judge's divergence from the classifier under random masks" in capsys.readouterr().out
    )
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["rows"][0]["explainer"] == "am"
    assert len(results["rows"]) > 4
    for row in results["rows"]:
        for percent in (5, 15, 50):
            assert 0 <= row[f"evalx_accuracy_{percent}"] <= 100
            assert 0 <= row[f"evalx_probability_{percent}"] <= 100
    trained = (tmp_path / "out/judge/model.safetensors").read_bytes()
    monkeypatch.setattr(MaskedSurrogate, "training_step", None)  # would fail
    assert main(command()) == 0
    assert (tmp_path / "out/judge/model.safetensors").read_bytes() == trained
    assert results["protocol"]["judge"]
    compared = ["compare", *command()[1:5], "--judge", str(tmp_path / "out/judge")]
    compared += ["--metrics", "[evalx_accuracy_15]", "--output", str(tmp_path / "compared")]
    assert main(compared) == 0
    again = json.loads((tmp_path / "compared/results.json").read_text())
    assert again["rows"][0]["evalx_accuracy_15"] == results["rows"][0]["evalx_accuracy_15"]


def test_stopped_training_goes_on_and_other_settings_are_refused(
    command, tmp_path, capsys, monkeypatch
):
    step = MaskedSurrogate.training_step

    def stopping(self, batch, batch_idx):
        if self.global_step == 4:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(MaskedSurrogate, "training_step", stopping)
        with pytest.raises(SystemExit) as stop:
            main(command())
    assert stop.value.code == 130
    assert "interrupted; go on with the same command" in capsys.readouterr().out
    assert main(command(steps=7)) == 2
    assert "holds a surrogate of other settings: steps was 6, and is 7" in capsys.readouterr().err
    seen = []

    def counting(self, batch, batch_idx):
        seen.append(self.global_step)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(MaskedSurrogate, "training_step", counting)
    assert main(command()) == 0
    assert seen == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps must be a whole number from 1"),
        (["--cells", "1"], "cells must be a whole number from 2"),
        (["--lr", "0"], "lr must be a finite number above 0"),
        (["--judge", "nowhere"], "no masked-input surrogate in"),
    ],
)
def test_bad_value_is_one_line(command, options, message, capsys):
    assert main(command(*options)) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
