"""The whole path, as a user walks it: config in, bundle out, maps from the bundle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from explainers import PTAME, TAME
from explainers.bundle.loading import load_explainer
from explainers.bundle.training_record import training_of
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.training.mask_collapse import CollapseDetector
from train import main

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "configs/smoke.yaml"

pytestmark = [
    pytest.mark.usefixtures("no_command_line"),
    # Lightning warns about few workers, few log steps and its own dependencies.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def networks(tmp_path):
    """Options that give classifier and auxiliary the same random weights in every process."""
    options = []
    for part in ("classifier", "auxiliary"):
        torch.manual_seed(len(part))
        source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
        path = tmp_path / f"{part}.pth"
        torch.save(PTAME(source, source).classifier.model.state_dict(), path)
        options.append(f"--model.init_args.{part}={{model: test_resnet, weights: {path}}}")
    return options


def run(*arguments):
    """Run train.py as a user does."""
    return subprocess.run(
        [sys.executable, ROOT / "train.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_fit_ends_with_table_and_bundle(networks, capsys, tmp_path):
    cli = main(["fit", f"--config={SMOKE}", f"--bundle={tmp_path / 'bundle'}", *networks])
    printed = capsys.readouterr().out
    for row in ("ptame", *UNINFORMATIVE):
        assert f"| {row}" in printed
    images = torch.rand(2, 3, 64, 64)
    loaded = load_explainer(tmp_path / "bundle")
    torch.testing.assert_close(loaded(images), cli.model(images))
    assert (tmp_path / "bundle/panel.png").is_file()


def test_fit_logs_losses_areas_rate_and_panel_to_tensorboard(networks, events_of):
    cli = main(["fit", f"--config={SMOKE}", *networks])
    events = events_of(cli.trainer.log_dir)
    assert set(events.Tags()["scalars"]) >= {
        "train/loss",
        "train/classification",
        "train/area",
        "train/variation",
        "train/target_area",
        "train/constant_share",
        "train/lr",
        "val/average_drop",
        "val/average_increase",
        "val/average_gain",
    }
    assert len(events.Images("val/panel")) == 2 + 1  # two epochs, and the check before them
    rates = [event.value for event in events.Scalars("train/lr")]
    assert max(rates) == pytest.approx(0.01, rel=0.05)


@pytest.mark.slow
def test_frozen_networks_are_the_same_after_a_fit(networks):
    cli = main(["fit", f"--config={SMOKE}", *networks])
    assert cli.model.fingerprints() == cli.model._fingerprints
    cli.model.train()
    cli.model(torch.rand(2, 3, 64, 64))
    assert cli.model.fingerprints() == cli.model._fingerprints


def test_a_frozen_network_that_changed_is_noticed(networks):
    cli = main(["fit", f"--config={SMOKE}", "--trainer.fast_dev_run=1", *networks])
    with torch.no_grad():
        next(cli.model.classifier.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="the weights of classifier changed"):
        cli.model.on_fit_end()


def test_checkpoint_holds_no_frozen_weights_and_loads_in_python(networks):
    cli = main(["fit", f"--config={SMOKE}", *networks])
    path = cli.trainer.checkpoint_callback.best_model_path
    checkpoint = torch.load(path, weights_only=True)
    assert not any("backbone" in name or "classifier." in name for name in checkpoint["state_dict"])
    images = torch.rand(2, 3, 64, 64)
    loaded = PTAME.load_from_checkpoint(path)
    torch.testing.assert_close(loaded(images), cli.model(images))


@pytest.mark.slow
def test_a_network_shared_with_the_classifier_is_not_in_the_checkpoint_either(networks):
    classifier = networks[0].removeprefix("--model.init_args.classifier=")
    tame = [
        "--model=explainers.TAME",
        f"--model.classifier={classifier}",
        "--data=datamodules.ShapesDataModule",
        "--data.length=4",
    ]
    cli = main(["fit", *tame, "--trainer.max_epochs=1", "--trainer.accelerator=cpu"])
    path = cli.trainer.checkpoint_callback.best_model_path
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state
    assert all(name.startswith("network.head.") for name in state)
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(TAME.load_from_checkpoint(path)(images), cli.model(images))


@pytest.mark.slow
def test_a_fit_with_a_feature_cache_goes_on_with_what_was_kept(
    networks, shards, events_of, tmp_path
):
    cached = [
        "--trainer.callbacks+=explainers.callbacks.feature_cache.FeatureCache",
        f"--trainer.callbacks.folder={tmp_path / 'cache'}",
    ]
    common = ["--model=explainers.PTAME", *(one.replace("init_args.", "") for one in networks)]
    common += [*shards(2), "--data.crops=2", "--data.batch_size=3", "--data.num_workers=1"]
    common += ["--trainer.accelerator=cpu", "--trainer.max_epochs=3"]
    plain = main(["fit", *common])
    first, second = (main(["fit", *common, *cached]) for _ in range(2))
    for name, weight in plain.model.trained_state().items():
        for one in (first, second):
            assert torch.equal(one.model.trained_state()[name], weight), name
    for fit, shares in ((first, [0, 0, 1]), (second, [1, 1, 1])):
        events = events_of(fit.trainer.log_dir)
        assert [event.value for event in events.Scalars("train/feature_cache_hits")] == shares
    assert len(list((tmp_path / "cache").glob("*/*"))) == 2 * 21


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
def test_a_fit_whose_masks_collapse_warns_once_and_goes_on(networks, caplog):
    flooded = ["--model.init_args.area_weight=0", "--model.init_args.lr=1000"]
    config = [f"--config={SMOKE}", "--trainer.max_epochs=1", "--trainer.logger=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "explainers.training.learned_explainer.CollapseDetector",
            lambda: CollapseDetector(window=2),
        )
        cli = main(["fit", *config, *flooded, *networks])
    assert cli.trainer.global_step == 8
    messages = [record.getMessage() for record in caplog.records if "masks" in record.getMessage()]
    assert messages
    assert len(messages) == len(set(messages))


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.init_args.classifier=resnet5O"], "unknown model 'resnet5O'; did you mean"),
        (["--model.init_args.speed=3"], "speed"),
        (["--trainer.speed=3"], "speed"),
        (["--ckpt_path=nowhere.ckpt"], "no checkpoint at"),
        (["--data.init_args.batch_size=0"], "batch_size must be at least 1, got 0"),
        (["--data.init_args.size=33"], "even"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["fit", f"--config={SMOKE}", *arguments])
    assert stop.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert message in lines[0]
    assert len(lines[0]) < 400


def test_unknown_key_in_a_file_is_named(tmp_path, capsys):
    config = SMOKE.read_text().replace("    lr: 0.01", "    learning_rate: 0.01")
    (tmp_path / "typo.yaml").write_text(config)
    with pytest.raises(SystemExit) as stop:
        main(["fit", f"--config={tmp_path / 'typo.yaml'}"])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert "learning_rate" in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.slow
def test_scores_of_a_mixed_precision_run_are_those_of_full_precision(networks):
    scores = []
    for precision in ("bf16-mixed", "32-true"):
        cli = main(["test", f"--config={SMOKE}", f"--trainer.precision={precision}", *networks])
        scores.append({name: float(v) for name, v in cli.trainer.callback_metrics.items()})
    assert scores[0] == scores[1]
