"""The whole path, as a user walks it: config in, bundle out, maps from the bundle."""

from pathlib import Path

import pytest
import torch

from explainers import PTAME, TAME
from explainers.bundle.loading import load_explainer
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.training.mask_collapse import CollapseDetector
from train import main

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs/smoke.yaml"

pytestmark = [
    pytest.mark.usefixtures("no_command_line"),
    # Lightning warns about few workers, few log steps and its own dependencies.
    pytest.mark.filterwarnings("default"),
]


def test_fit_ends_with_table_and_bundle(networks, capsys, tmp_path):
    cli = main(["fit", f"--config={SMOKE}", f"--bundle={tmp_path / 'bundle'}", *networks])
    printed = capsys.readouterr().out
    for row in ("ptame", "before_training", *UNINFORMATIVE):
        assert f"| {row}" in printed
    assert "\ntraining changed average gain by " in printed
    assert "`before_training` is what" in (tmp_path / "bundle/README.md").read_text()
    images = torch.rand(2, 3, 64, 64)
    loaded = load_explainer(tmp_path / "bundle")
    torch.testing.assert_close(loaded(images), cli.model(images))
    assert (tmp_path / "bundle/panel.png").is_file()


def test_the_row_before_training_has_the_scores_of_an_untrained_head(networks):
    fit = main(["fit", f"--config={SMOKE}", *networks])
    untrained = main(["test", f"--config={SMOKE}", *networks])  # of the same seed
    found, expected = fit.trainer.callback_metrics, untrained.trainer.callback_metrics
    for figure in ("average_drop", "average_gain", "map_area"):
        assert found[f"test/before_training/{figure}"] == expected[f"test/explainer/{figure}"]
    assert found["test/explainer/map_area"] != expected["test/explainer/map_area"]
    assert "test/before_training/map_area" not in expected


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
    gains = [event.value for event in events.Scalars("val/average_gain")]
    assert [event.value for event in events.Scalars("hp_metric")] == gains
    (config,) = events.Tensors("config/text_summary")
    assert b"class_path: explainers.PTAME" in config.tensor_proto.string_val[0]
    assert "_instantiator" not in cli.model.hparams
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
