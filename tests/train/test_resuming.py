"""What a fit leaves to go on from: when it is interrupted, and for the next one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from explainers import PTAME
from explainers.bundle.training_record import training_of
from train import main

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs/smoke.yaml"

pytestmark = [
    pytest.mark.usefixtures("no_command_line"),
    # Lightning warns about few workers, few log steps and its own dependencies.
    pytest.mark.filterwarnings("default"),
]


def run(*arguments):
    """Run train.py as a user does."""
    return subprocess.run(
        [sys.executable, ROOT / "train.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def interrupted_fit(monkeypatch, *arguments):
    """Fit and interrupt in the fifth of eight steps of the first epoch; return the checkpoint."""
    step = PTAME.training_step

    def interrupted(self, batch, batch_idx):
        if self.trainer.global_step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(PTAME, "training_step", interrupted)
        with pytest.raises(SystemExit):
            main(["fit", *arguments, "--trainer.logger=false", "--trainer.default_root_dir=cut"])
    return Path("cut/checkpoints/interrupted.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_resumed_in_mid_epoch_ends_with_the_weights_of_an_uninterrupted_run(
    networks, workers, monkeypatch
):
    common = [f"--config={SMOKE}", f"--data.init_args.num_workers={workers}", *networks]
    whole = main(["fit", *common, "--trainer.logger=false", "--trainer.default_root_dir=whole"])

    path = interrupted_fit(monkeypatch, *common)
    assert torch.load(path, weights_only=True)["global_step"] == 5
    resumed = main(
        [
            "fit",
            *common,
            "--trainer.logger=false",
            "--trainer.default_root_dir=cut",
            f"--ckpt_path={path}",
        ]
    )
    assert resumed.trainer.global_step == whole.trainer.global_step == 16
    expected = whole.model.trained_state()
    for name, value in resumed.model.trained_state().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.slow
def test_seconds_of_a_training_add_up_over_its_fits(networks, tmp_path, monkeypatch):
    common = [f"--config={SMOKE}", *networks]
    checkpoint = torch.load(interrupted_fit(monkeypatch, *common), weights_only=True)
    spent = checkpoint["training"]
    assert spent.keys() == {"seconds", "device"}
    assert spent["seconds"] > 0
    assert spent["device"] == "CPU, 1 thread"

    def resumed(training):
        torch.save({**checkpoint, "training": training}, tmp_path / "edited.ckpt")
        resume = [f"--ckpt_path={tmp_path / 'edited.ckpt'}", f"--bundle={tmp_path / 'bundle'}"]
        began = time.monotonic()
        cli = main(["fit", *common, "--trainer.logger=false", *resume])
        elapsed = time.monotonic() - began
        assert cli.trainer.global_step == 16
        latest = torch.load(cli.trainer.checkpoint_callback.best_model_path, weights_only=True)
        config = json.loads((tmp_path / "bundle/config.json").read_text())
        return config["training"], latest["training"], elapsed

    before = {"seconds": 10_000.0, "device": "a slow one"}
    bundled, latest, elapsed = resumed(before | {"start": {"seconds": 5.0, "device": "another"}})
    assert 10_000 < latest["seconds"] <= bundled["seconds"] < 10_000 + elapsed
    assert bundled["device"] == latest["device"] == "a slow one; CPU, 1 thread"
    assert bundled["start"] == latest["start"] == {"seconds": 5.0, "device": "another"}
    # A checkpoint of an earlier version does not tell.
    bundled, latest, _ = resumed({})
    assert bundled["seconds"] is latest["seconds"] is None


@pytest.mark.slow
def test_a_training_tells_what_it_was_started_from(networks, tmp_path):
    common = [f"--config={SMOKE}", "--trainer.logger=false", "--trainer.max_epochs=1", *networks]
    main(["fit", *common, f"--bundle={tmp_path / 'first'}"])
    start = [
        "--model.init_args.cam_start=false",
        f"--model.init_args.init_from={tmp_path / 'first'}",
    ]
    main(["fit", *common, *start, f"--bundle={tmp_path / 'second'}"])
    first, second = (
        json.loads((tmp_path / name / "config.json").read_text())["training"]
        for name in ("first", "second")
    )
    assert "start" not in first
    assert second["start"] == {"seconds": first["seconds"], "device": first["device"]}
    total = training_of(str(tmp_path / "second")).seconds
    assert total == pytest.approx(first["seconds"] + second["seconds"])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_a_real_process_leaves_a_checkpoint(networks, tmp_path, number, code):
    process = subprocess.Popen(
        [
            sys.executable,
            ROOT / "train.py",
            "fit",
            f"--config={SMOKE}",
            "--trainer.max_epochs=1000",
            f"--trainer.default_root_dir={tmp_path}",
            "--trainer.logger=false",
            *networks,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    path = tmp_path / "checkpoints/epoch=1-step=16.ckpt"
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoints/*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in printed
    for chatter in ("litlogger", "GPU available", "LeafSpec"):
        assert chatter not in printed
    assert f"go on with --ckpt_path {tmp_path / 'checkpoints/interrupted.ckpt'}" in printed
    assert path.parent.joinpath("interrupted.ckpt").is_file()


@pytest.mark.slow
def test_a_checkpoint_for_other_weights_is_refused(networks, tmp_path):
    cli = main(["fit", f"--config={SMOKE}", *networks])
    path = cli.trainer.checkpoint_callback.best_model_path
    state = torch.load(tmp_path / "classifier.pth", weights_only=True)
    torch.save({name: value + 1 for name, value in state.items()}, tmp_path / "classifier.pth")
    result = run("test", f"--config={SMOKE}", f"--ckpt_path={Path(path).resolve()}", *networks)
    assert result.returncode == 2
    assert "error: trained for other weights of classifier" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def finished(networks):
    """Options of a fit of two epochs, and the checkpoint that it ended with."""
    common = [f"--config={SMOKE}", "--trainer.logger=false", *networks]
    return common, main(["fit", *common]).trainer.checkpoint_callback.best_model_path


@pytest.mark.slow
def test_a_finished_fit_goes_on_for_more_epochs(finished, caplog):
    common, path = finished
    cli = main(["fit", *common, "--trainer.max_epochs=4", f"--ckpt_path={path}"])
    assert cli.trainer.global_step == 32
    assert "schedule has 16 steps, and this fit 32" in caplog.text
    (schedule,) = cli.trainer.lr_scheduler_configs
    assert schedule.scheduler.last_epoch == 32


@pytest.mark.slow
def test_a_fit_with_nothing_left_to_train_says_so(finished, capsys):
    common, path = finished
    cli = main(["fit", *common, f"--ckpt_path={path}"])
    assert cli.trainer.global_step == 16
    assert "note: the checkpoint's training was finished already" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--data.init_args.batch_size=2", "--trainer.max_epochs=6"], "batch_size 8 (here 2)"),
        (["--data.init_args.samples_per_epoch=32"], "samples_per_epoch 64 (here 32)"),
        (["--trainer.accumulate_grad_batches=2"], "accumulate_grad_batches 1 (here 2)"),
    ],
)
def test_other_batches_than_the_checkpoint_s_are_refused(finished, changes, words, capsys):
    common, path = finished
    with pytest.raises(SystemExit) as stop:
        main(["fit", *common, *changes, f"--ckpt_path={path}"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: the checkpoint cannot be resumed with")
    assert words in line


@pytest.mark.slow
def test_other_data_than_the_checkpoint_s_are_told(finished, caplog):
    common, path = finished
    changes = ["--data.init_args.size=96", "--seed_everything=1", "--trainer.max_epochs=3"]
    main(["fit", *common, *changes, f"--ckpt_path={path}"])
    assert "size 64 (here 96), seed_everything '0' (here '1')" in caplog.text
