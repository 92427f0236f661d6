"""The card of a bundle: what the hub reads in it, what people read, and what it makes up for."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from explainers import LearnedExplainer
from explainers.bundle.card import card, write_card
from explainers.methods import METHODS

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"
PUBLISHED = sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))


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
    found = ModelCard(card("mine", config, "my/mine"))
    assert found.data.to_dict() == {
        "license": "mit",
        "library_name": "learned-explainers",
        "tags": ["explainability", "saliency-map", "image-classification", "tame"],
        "base_model": "timm/resnet50.a1_in1k",
    }
    assert found.text.lstrip().startswith("# mine\n")


def test_body_tells_scores_protocol_training_weights_and_papers(config):
    text = card("mine", config, "my/mine")
    for part in (
        "A TAME explainer (TAME, or T-TAME on a transformer) of `hf-hub:timm/resnet50.a1_in1k`:\n",
        "![image, map",
        "| ones |   0.00 |\n\nThe rows below the first are uninformative baselines. Protocol:\n\n",
        "| tame |  12.50 |",
        "- fill: black",
        "    - scale: 0.5, 1.0",
        "- by torch 2.6",
        "- `classifier`: apache-2.0; SHA-256 `ab12`",
        "https://arxiv.org/abs/2301.07407",
        "@misc{ntrougkas2024ttame,",
        "--checkpoint my/mine ",
        'from explainers import load_explainer\n\nload_explainer("my/mine").',
    ):
        assert part in text


def test_training_time_is_told_in_words_with_that_of_what_it_was_started_from(config):
    config["training"] |= {"seconds": 2273.4, "device": "CPU, 2 threads"}
    config["training"]["start"] = {"seconds": None, "device": ""}
    text = card("mine", config, "my/mine")
    assert "- time: 37.9 min on CPU, 2 threads\n" in text
    assert "- time before, of what it was started from: not recorded\n" in text
    assert "- device" not in text


def test_parts_that_an_older_bundle_lacks_are_not_made_up(config):
    kept = ("format", "class", "hyperparameters", "fingerprints")
    text = card("old", {key: config[key] for key in kept}, "old", picture=False)
    assert "license:" not in text
    assert "licence not recorded" in text
    assert "None were recorded" in text
    assert "panel.png" not in text


def test_figure_that_is_null_in_json_is_shown_as_undefined(config):
    config["scores"][1]["average_drop"] = None
    assert "| ones |    nan |" in card("mine", config, "my/mine")


def test_protocol_of_a_single_row_stands_apart_from_the_table(config):
    del config["scores"][1]
    assert "|  12.50 |\n\nProtocol:\n\n- fill: black\n" in card("mine", config, "my/mine")


def test_front_matter_leaves_out_what_is_not_on_the_hub(config):
    config["hyperparameters"]["classifier"]["model"] = "package:efficientnet_lite0"
    assert "base_model" not in ModelCard(card("mine", config, "my/mine")).data.to_dict()


def test_class_that_is_not_of_this_library_has_nothing_to_cite(config):
    text = card("mine", config | {"class": "Unheard"}, "mine")
    assert "A Unheard explainer of `hf-hub:timm/resnet50.a1_in1k`:\n" in text
    assert "## Cite" not in text
    assert text.endswith("SHA-256 `ab12`\n")


def test_every_learned_explainer_says_what_to_cite():
    learned = [kind for kind in METHODS.values() if issubclass(kind, LearnedExplainer)]
    assert len(learned) >= 4
    for kind in learned:
        assert kind.title, kind
        assert all(paper.url.startswith("https://arxiv.org/abs/") for paper in kind.papers)
        assert len(kind.papers) >= 1, kind


def test_two_bundles_or_more_are_published():
    assert len(PUBLISHED) >= 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_card_is_that_of_its_config(name, tmp_path, monkeypatch):
    published = CHECKPOINTS / name
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints" / name
    folder.mkdir(parents=True)
    for file in ("config.json", "panel.png"):
        (folder / file).write_bytes((published / file).read_bytes())
    assert write_card(folder).read_text() == (published / "README.md").read_text()
    scores = json.loads((folder / "config.json").read_text())["scores"]
    assert f"{scores[0]['average_drop']:.2f}" in (published / "README.md").read_text()


def test_classifier_may_be_a_name_alone(config):
    config["hyperparameters"]["classifier"] = "resnet50"
    assert "resnet50" in card("mine", config, "my/mine")


def test_network_that_no_command_can_build_is_built_in_python(config):
    source = {"model": "module:ResNet", "mean": [0.5] * 3, "std": [0.25] * 3, "size": [64, 64]}
    config["hyperparameters"]["classifier"] = source
    text = card("mine", config, "my/mine")
    assert "explainers explain" not in text
    assert "Its classifier is a module of the user's own" in text
    code = text.partition("```python\n")[2].partition("```")[0]
    assert "FrozenClassifier(your_ResNet, mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25]" in code
    assert 'load_explainer("my/mine", **networks).explain("photo.jpg")' in code
    compile(code, "card", "exec")
