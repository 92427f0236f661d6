"""The card of a bundle: what the hub reads in it, what people read, and what it makes up for."""

import json
from pathlib import Path

import pytest
import yaml

from explainers import LearnedExplainer
from explainers.bundle.card import METHODS, card, write_card
from explainers.methods import METHODS as KINDS

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


@pytest.fixture
def config():
    return {
        "format": 1,
        "class": "TAME",
        "hyperparameters": {"classifier": {"model": "hf-hub:timm/resnet50.a1_in1k"}},
        "fingerprints": {"classifier": "ab12"},
        "training": {"data": "Shards", "data settings": {"scale": [0.5, 1.0]}, "steps": 3},
        "protocol": {"fill": "black"},
        "scores": [
            {"explainer": "tame", "average_drop": 12.5},
            {"explainer": "ones", "average_drop": 0.0},
        ],
        "versions": {"torch": "2.6"},
        "license": "mit",
        "frozen_licenses": {"classifier": "apache-2.0"},
    }


def test_front_matter_is_what_the_hub_reads(config):
    _, matter, body = card("mine", config).split("---\n", 2)
    matter = yaml.safe_load(matter)
    assert matter["license"] == "mit"
    assert matter["library_name"] == "learned-explainers"
    assert "tame" in matter["tags"]
    assert matter["base_model"] == "timm/resnet50.a1_in1k"
    assert body.lstrip().startswith("# mine\n")


def test_body_tells_scores_protocol_training_weights_and_papers(config):
    text = card("mine", config)
    for part in (
        "![image, map",
        "| tame |  12.50 |",
        "- fill: black",
        "    - scale: 0.5, 1.0",
        "- by torch 2.6",
        "- `classifier`: apache-2.0; SHA-256 `ab12`",
        "https://arxiv.org/abs/2301.07407",
        "@misc{ntrougkas2024ttame,",
        "--checkpoint checkpoints/mine ",
    ):
        assert part in text


def test_training_time_is_told_in_words_with_that_of_what_it_was_started_from(config):
    config["training"] |= {"seconds": 2273.4, "device": "CPU, 2 threads"}
    config["training"]["start"] = {"seconds": None, "device": ""}
    text = card("mine", config)
    assert "- time: 37.9 min on CPU, 2 threads\n" in text
    assert "- time before, of what it was started from: not recorded\n" in text
    assert "- device" not in text


def test_parts_that_an_older_bundle_lacks_are_not_made_up(config):
    kept = ("format", "class", "hyperparameters", "fingerprints")
    text = card("old", {key: config[key] for key in kept}, picture=False)
    assert "license:" not in text
    assert "licence not recorded" in text
    assert "None were recorded" in text
    assert "panel.png" not in text


def test_figure_that_is_null_in_json_is_shown_as_undefined(config):
    config["scores"][1]["average_drop"] = None
    assert "| ones |    nan |" in card("mine", config)


def test_every_learned_explainer_says_what_to_cite():

    kinds = list(KINDS.values())
    learned = {kind.__name__ for kind in kinds if issubclass(kind, LearnedExplainer)}
    assert learned - {"LearnedExplainer"} == METHODS.keys()


@pytest.mark.parametrize("name", ["ptame_plus-efficientnet_lite0", "ptame_plus-efficientnet_lite2"])
def test_published_card_is_that_of_its_config(name, tmp_path):
    published = CHECKPOINTS / name
    folder = tmp_path / name
    folder.mkdir()
    for file in ("config.json", "panel.png"):
        (folder / file).write_bytes((published / file).read_bytes())
    assert write_card(folder).read_text() == (published / "README.md").read_text()
    scores = json.loads((folder / "config.json").read_text())["scores"]
    assert f"{scores[0]['average_drop']:.2f}" in (published / "README.md").read_text()
