"""What two processes train and report is what one does."""

import csv
import json

import pytest
import torch

pytestmark = pytest.mark.slow


def checkpoint(folder):
    (path,) = folder.glob("checkpoints/epoch*.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def losses(folder):
    (path,) = folder.glob("lightning_logs/version_0/metrics.csv")
    with path.open() as file:
        rows = [row["train/loss"] for row in csv.DictReader(file)]
    return [float(value) for value in rows if value]


MODELS = {
    "PTAME": [],
    "MaskingUNet": [
        "--model=explainers.MaskingUNet",
        "--model.init_args.width=8",
        "--model.init_args.threshold_weight=1.0",
    ],
}


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_train_as_one_with_a_batch_of_twice_the_size(
    model, train, config, shards, tmp_path
):
    # In float64, so that Adam does not divide rounding errors by rounding errors.
    common = [
        "fit",
        config,
        *MODELS[model],
        *shards(3),
        "--data.num_workers=0",
        "--trainer.max_steps=5",
        "--trainer.max_epochs=5",
        "--trainer.precision=64-true",
        "--trainer.limit_val_batches=0",
        "--trainer.logger=CSVLogger",
        "--trainer.logger.version=0",
        "--trainer.callbacks=ModelCheckpoint",
        "--trainer.callbacks.filename=epoch",
    ]
    results = {}
    for name, processes in (("one", 1), ("two", 2)):
        folder = tmp_path / name
        strategy = ["--trainer.strategy=ddp_fork"] if processes == 2 else []
        result = train(
            *common,
            *strategy,
            f"--data.batch_size={8 // processes}",
            f"--trainer.devices={processes}",
            f"--trainer.logger.save_dir={folder}",
            f"--trainer.default_root_dir={folder}",
            f"--trainer.callbacks.dirpath={folder}/checkpoints",
            code="from explainers.commands.train import ExplainerCLI\n"
            "ExplainerCLI.after_fit = lambda self: None",
        )
        assert result.returncode == 0, result.stderr[-3000:]
        results[name] = losses(folder), checkpoint(folder)
    assert len(results["one"][0]) == 5
    assert results["two"][0] == pytest.approx(results["one"][0], rel=1e-5)
    for name, value in results["one"][1].items():
        torch.testing.assert_close(results["two"][1][name], value, rtol=1e-5, atol=1e-5)


def test_two_processes_report_the_figures_of_one_on_any_number_of_shards(
    train, config, shards, tmp_path
):
    common = ["test", config, "--data.batch_size=4", "--trainer.logger=false"]
    three, one = shards(3), shards(1)
    two = ["--trainer.strategy=ddp_fork", "--trainer.devices=2"]
    figures = {}
    for name, options in (
        ("one", [*three, "--data.num_workers=0"]),
        ("two-three", [*three, "--data.num_workers=0", *two]),
        ("two-one", [*one, "--data.num_workers=2", *two]),
    ):
        folder = tmp_path / name
        code = (
            "import json\nfrom explainers.commands.train import ExplainerCLI\n"
            "done = ExplainerCLI.after_test\n"
            "def keep(self):\n"
            "    done(self)\n"
            f"    values = {{k: float(v) for k, v in self.trainer.callback_metrics.items()}}\n"
            f"    open('{folder}.json', 'w').write(json.dumps(values))\n"
            "ExplainerCLI.after_test = keep\n"
        )
        result = train(*common, *options, f"--trainer.default_root_dir={folder}", code=code)
        assert result.returncode == 0, result.stderr[-3000:]
        figures[name] = json.loads(folder.with_suffix(".json").read_text())
        with (folder / "records.csv").open() as file:
            keys = [row["key"] for row in csv.DictReader(file) if row["explainer"] == "explainer"]
        assert sorted(keys) == [f"{index:02d}" for index in range(21)]
    expected = figures.pop("one")
    assert len(expected) >= 3 * 7
    for values in figures.values():
        assert values == pytest.approx(expected, rel=1e-6, abs=1e-6)
