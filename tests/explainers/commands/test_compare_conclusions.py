"""`explainers compare` with several trainings of a method, fills, and a row to compare with."""

import json

import pytest
import torch
import yaml

from explainers import PTAMEPlus
from explainers.bundle import save_bundle
from explainers.cli import main


@pytest.fixture
def config(comparison, made, tmp_path):
    """A comparison of two trainings of a head as one row, and of a method, under two fills."""
    source = {"model": "test_resnet", "weights": str(made / "weights.pth")}
    bundles = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        explainer = PTAMEPlus(source)
        torch.nn.init.normal_(explainer.network.head.last.weight)  # as if it had been trained
        bundles.append(str(tmp_path / f"seed{seed}"))
        save_bundle(explainer, bundles[-1], {}, [], None)
    settings = comparison | {
        "classifier": source,
        "methods": {"head": {"seeds": bundles}, **comparison["methods"]},
        "metrics": ["average_drop", "compactness"],
        "fills": ["black", "mean"],
        "baseline": "am",
    }

    def write(**changes):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings | changes, sort_keys=False))
        return [
            "compare",
            "--config",
            str(tmp_path / "config.yaml"),
            "--output",
            str(tmp_path / "o"),
        ]

    return write


def test_trainings_are_one_row_and_differences_are_written(config, tmp_path, capsys):
    assert main(config()) == 0
    results = json.loads((tmp_path / "o/results.json").read_text())
    head, method = results["rows"][:2]
    assert [head["explainer"], method["explainer"]] == ["head", "am"]
    assert head["seeds"] == 2
    for metric in ("average_drop", "average_drop@mean", "compactness"):
        values = head[f"{metric}_seeds"]
        assert head[metric] == pytest.approx(sum(values) / 2)
        assert head[f"{metric}_interval"][0] <= head[metric] <= head[f"{metric}_interval"][1]
        low, high = head[f"{metric}_seeds_interval"]
        assert low <= head[metric] <= high
    assert "black (pixel value 0), or what stands after @" in results["protocol"]["fill"]
    assert results["differences"]["baseline"] == "am"
    first = results["differences"]["rows"][0]
    expected = head["average_drop"] - method["average_drop"]
    assert first["average_drop"]["difference"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert results["ranks"]["metrics"] == ["average_drop", "average_drop@mean", "compactness"]
    text = (tmp_path / "o/table.md").read_text()
    assert "\n- `average_drop`: best is `" in text
    assert "Paired differences to `am`" in text
    assert "Mean rank over 3 metrics" in capsys.readouterr().out
    page = (tmp_path / "o/report.html").read_text()
    assert "<code>average_drop</code>: best is" in page
    records = (tmp_path / "o/records.csv").read_text()
    assert all(name in records for name in ("head#1", "head#2", "\n000000,head,"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "an"}, "unknown row for baseline 'an'; did you mean random, am?"),
        ({"fills": ["balck"]}, "fills must be a list of black, mean, blur and noise, or left out"),
        ({"methods": {"head": {"seeds": []}}}, "seeds of head must be a list of bundles, got []"),
        ({"methods": {"head": {"seeds": ["nowhere"]}}, "baseline": None}, "nowhere"),
    ],
)
def test_bad_value_is_one_line(config, changes, message, capsys):
    assert main(config(**changes)) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
