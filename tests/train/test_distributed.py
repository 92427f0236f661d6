"""Two processes on the CPU report what one does."""

import csv
import json

import pytest
import yaml

from explainers.bundle.loading import load_explainer
from explainers.evaluation.uninformative import UNINFORMATIVE


def report_of(train, folder, *arguments):
    """Run a test of an untrained explainer; return its table and its records by key and row."""
    result = train(
        "test",
        "--config=configs/smoke.yaml",
        "--trainer.logger=false",
        f"--trainer.default_root_dir={folder}",
        *arguments,
    )
    assert result.returncode == 0, result.stderr
    table = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    with (folder / "records.csv").open() as file:
        records = {(record["key"], record["explainer"]): record for record in csv.DictReader(file)}
    return table, records


@pytest.mark.slow
def test_two_forked_processes_fit_and_report_in_one_folder_and_share_a_cache(
    train, config, shards, events_of, tmp_path
):
    cached = ["--trainer.callbacks+=explainers.callbacks.feature_cache.FeatureCache"]
    cached += [f"--trainer.callbacks.folder={tmp_path / 'cache'}", "--data.crops=1"]
    sizes = ["--data.batch_size=3", "--data.num_workers=0", "--trainer.max_epochs=3"]
    two = ["--trainer.strategy=ddp_fork", "--trainer.devices=2"]
    folders = [f"--trainer.default_root_dir={tmp_path}", f"--bundle={tmp_path / 'bundle'}"]
    result = train("fit", config, *shards(2, samples=12), *sizes, *two, *cached, *folders)
    assert result.returncode == 0, result.stderr
    assert "| ptame" in result.stdout
    assert load_explainer(tmp_path / "bundle", allow_other_weights=True)
    training = json.loads((tmp_path / "bundle/config.json").read_text())["training"]
    assert training["steps"] == 3 * 2  # 12 samples, three at a time in each of two processes
    assert training["seconds"] > 0
    assert training["device"].startswith("2 x CPU")
    (folder,) = (tmp_path / "lightning_logs").iterdir()
    assert {"records.csv", "checkpoints", "config.yaml"} <= {path.name for path in folder.iterdir()}
    assert len(list((tmp_path / "cache").glob("*/*"))) == 12
    events = events_of(folder)
    hits = events.Scalars("train/feature_cache_hits")
    assert [event.value for event in hits] == [0, 1, 1]
    for tag in ("val/loss", "hp_metric", "uninformative/average_gain/edges"):
        assert len(events.Scalars(tag)) == 3, tag


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 21], ids=["one image", "21 images"])
def test_two_processes_report_every_image_once_and_the_same_figures(train, tmp_path, length):
    data = f"--data.init_args.length={length}"
    table, records = report_of(train, tmp_path / "one", data)
    two = ["--trainer.strategy=ddp_fork", "--trainer.devices=2"]
    table_of_two, records_of_two = report_of(train, tmp_path / "two", data, *two)
    assert len(records) == (1 + len(UNINFORMATIVE)) * length
    assert table_of_two == table
    assert records_of_two.keys() == records.keys()
    for key, record in records.items():
        for name, value in record.items():
            if name not in ("key", "explainer"):
                # Percent of float32 probabilities, which are rounded at some 1e-7.
                expected = pytest.approx(float(value), rel=1e-4, abs=1e-4)
                assert float(records_of_two[key][name]) == expected


@pytest.mark.slow
def test_two_processes_point_into_the_same_cells_of_mosaics(train, tmp_path):
    config = tmp_path / "grids.yaml"
    data = {"class_path": "datamodules.PhotosDataModule", "init_args": {"size": 64}}
    mosaics = {"data": data, "length": 3, "size": 128, "sure": 0.1, "batch_size": 5}
    model = {"classifier": "package:efficientnet_lite0"}
    described = {
        "metrics": ["grid_pointing", "average_drop@mean"],
        "model": {"class_path": "explainers.PTAMEPlus", "init_args": model},
        "data": {"class_path": "datamodules.GridsDataModule", "init_args": mosaics},
        "trainer": {"accelerator": "cpu", "logger": False, "default_root_dir": str(tmp_path)},
    }
    config.write_text(yaml.safe_dump(described))
    tables = []
    for processes in (
        ["--trainer.devices=1"],
        ["--trainer.devices=2", "--trainer.strategy=ddp_fork"],
    ):
        result = train("test", f"--config={config}", *processes)
        assert result.returncode == 0, result.stderr
        tables.append([line for line in result.stdout.splitlines() if line.startswith("| ")])
    assert "grid pointing (chance 25.0)" in tables[0][0]
    assert tables[0] == tables[1]
