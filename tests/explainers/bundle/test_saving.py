import json
import shutil

import huggingface_hub.constants
import pytest
import torch
from torch import nn

from explainers import LCAM, PTAME, TAME, FrozenClassifier
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.errors import InputError
from explainers.evaluation.evaluator import CONFIDENCE_METRICS
from explainers.training import bundle_files


@pytest.fixture
def networks(tmp_path):
    """Sources of classifier and auxiliary whose weights do not change between loads."""
    sources = []
    for name in ("classifier", "auxiliary"):
        source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
        path = tmp_path / f"{name}.pth"
        torch.save(FrozenClassifier.of(source).model.state_dict(), path)
        sources.append({"model": "test_resnet", "weights": str(path)})
    return sources


def write(explainer, folder):
    row = {"explainer": "ptame"} | dict.fromkeys(CONFIDENCE_METRICS, 12.5)
    return save_bundle(explainer, folder, {"steps": 3}, [row], torch.rand(3, 8, 8))


@pytest.fixture
def bundle(networks, tmp_path):
    return write(PTAME(*networks, lr=0.5), tmp_path / "bundle")


def test_loaded_explainer_gives_the_same_maps(networks, tmp_path, images, labels):
    explainer = PTAME(*networks, lr=0.5).train()
    explainer.network(images, labels)  # moves the running statistics, which must be kept too
    loaded = load_explainer(write(explainer, tmp_path / "bundle"))
    assert loaded.lr == 0.5
    torch.testing.assert_close(loaded(images, labels), explainer(images, labels), rtol=0, atol=0)


def test_bundle_holds_no_frozen_weights_and_says_what_it_is(bundle):
    assert {path.name for path in bundle.iterdir()} == {
        "model.safetensors",
        "config.json",
        "README.md",
        "panel.png",
    }
    assert (bundle / "model.safetensors").stat().st_size < 300_000
    config = json.loads((bundle / "config.json").read_text())
    assert config["class"] == "PTAME"
    assert config["hyperparameters"]["classifier"]["model"] == "test_resnet"
    assert set(config["fingerprints"]) == {"classifier", "network.backbone"}
    assert "12.50" in (bundle / "README.md").read_text()


def test_other_backbone_weights_are_refused_unless_allowed(bundle, networks, images):
    other = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    with pytest.raises(InputError, match="trained for other weights of classifier"):
        load_explainer(bundle, classifier=other)
    explainer = load_explainer(bundle, allow_other_weights=True, classifier=other)
    assert explainer(images).shape == (3, 1, 96, 128)


def test_truncated_weights_are_named(bundle):
    path = bundle / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors is not a readable weights file"):
        load_explainer(bundle)


def test_weights_of_another_head_are_refused(bundle):
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["hyperparameters"]["stages"] = [1, 2]
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match="the trained weights do not fit this PTAME"):
        load_explainer(bundle)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a bundle's config.json"),
        ("[]", "not a bundle's config.json"),
        ("{}", "lacks class, fingerprints, format, hyperparameters"),
    ],
)
def test_damaged_config_is_named(bundle, content, message):
    (bundle / "config.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_explainer(bundle)


def test_newer_format_says_how_to_upgrade(bundle):
    path = bundle / "config.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 99'))
    with pytest.raises(InputError, match="pip install --upgrade"):
        load_explainer(bundle)


def test_folder_without_a_bundle_is_named(tmp_path):
    with pytest.raises(InputError, match="no bundle at"):
        load_explainer(tmp_path)


def test_explainer_of_ones_own_module_is_loaded_with_that_module(networks, tmp_path, images):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 5))
    mine = FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 64])
    explainer = PTAME(mine, networks[1])
    bundle = write(explainer, tmp_path / "mine")
    with pytest.raises(InputError, match="pass classifier=FrozenClassifier"):
        load_explainer(bundle)
    loaded = load_explainer(bundle, classifier=mine)
    torch.testing.assert_close(loaded(images), explainer(images))


def edit(bundle, **changes):
    """Change entries of config.json; None takes one out."""
    path = bundle / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: part for key, part in config.items() if part is not None}))


def test_format_that_is_no_number_is_named(bundle):
    edit(bundle, format="1")
    with pytest.raises(InputError, match="has format '1', no number"):
        load_explainer(bundle)


def test_older_bundle_still_loads(bundle, images, labels, monkeypatch):
    expected = load_explainer(bundle)(images, labels)
    settings = json.loads((bundle / "config.json").read_text())["hyperparameters"]
    del settings["cam_start"]  # as if it were an option that came later
    edit(
        bundle,
        hyperparameters=settings,
        license=None,
        frozen_licenses=None,
        versions=None,
        protocol=None,
        scores=None,
        training=None,
    )
    monkeypatch.setattr(bundle_files, "FORMAT", bundle_files.FORMAT + 1)
    torch.testing.assert_close(load_explainer(bundle)(images, labels), expected, rtol=0, atol=0)


def test_hyperparameter_of_a_later_version_says_how_to_upgrade(bundle):
    settings = json.loads((bundle / "config.json").read_text())["hyperparameters"]
    edit(bundle, hyperparameters=settings | {"sharpness": 2})
    with pytest.raises(
        InputError, match=r"no hyperparameter 'sharpness'; .* pip install --upgrade"
    ):
        load_explainer(bundle)


def test_misspelt_override_is_named(bundle):
    with pytest.raises(InputError, match=r"'area_wieght'; did you mean area_weight"):
        load_explainer(bundle, area_wieght=1.0)


def cached(bundle, cache, revision):
    """Lay a bundle out as the hub's cache keeps `org/name`."""
    repository = cache / "models--org--name"
    shutil.copytree(bundle, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / revision).write_text("0" * 40)


@pytest.mark.parametrize(("revision", "suffix"), [("main", ""), ("v1", "@v1")])
def test_bundle_in_the_hubs_cache_loads_offline(
    bundle, images, tmp_path, monkeypatch, revision, suffix
):
    cached(bundle, tmp_path / "cache", revision)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    loaded = load_explainer(f"hf-hub:org/name{suffix}")
    torch.testing.assert_close(loaded(images), load_explainer(bundle)(images), rtol=0, atol=0)


def test_bundle_that_is_not_in_the_cache_is_named_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="org/none cannot be fetched from the hub"):
        load_explainer("hf-hub:org/none")


@pytest.mark.parametrize(
    ("kind", "model", "earlier"),
    [
        (PTAME, "test_resnet", {"upsampling": "direct", "normalisation": "sigmoid"}),
        (TAME, "test_vit", {"tokens": "norm", "normalisation": "sigmoid"}),
        (LCAM, "test_resnet", {"normalisation": "sigmoid"}),
    ],
)
def test_bundle_of_format_1_keeps_the_maps_that_it_was_trained_for(
    kind, model, earlier, tmp_path, images, labels
):
    torch.save(
        FrozenClassifier.of(
            {"model": model, "pretrained": False, "num_classes": 4}
        ).model.state_dict(),
        tmp_path / "weights.pth",
    )
    source = {"model": model, "weights": str(tmp_path / "weights.pth"), "num_classes": 4}
    networks = [source, source] if kind is PTAME else [source]
    explainer = kind(*networks, **earlier)
    bundle = write(explainer, tmp_path / "bundle")
    settings = json.loads((bundle / "config.json").read_text())["hyperparameters"]
    newer = [*earlier, "variation_corners_twice", "bias_lr_factor", "lr_decay_per_epoch"]
    former = {name: value for name, value in settings.items() if name not in newer}
    edit(bundle, format=1, hyperparameters=former)
    loaded = load_explainer(bundle)
    torch.testing.assert_close(loaded(images, labels), explainer(images, labels), rtol=0, atol=0)
    assert loaded.hparams.items() >= earlier.items()
    edit(bundle, format=2)
    if kind is not LCAM:
        assert not torch.equal(load_explainer(bundle)(images, labels), loaded(images, labels))


def test_bundle_names_the_normalisation_of_its_maps(networks, tmp_path):
    bundle = write(PTAME(*networks, normalisation="minmax"), tmp_path / "bundle")
    config = json.loads((bundle / "config.json").read_text())
    assert config["hyperparameters"]["normalisation"] == "minmax"
    told = "minmax: min-max of the head's scores, before any sigmoid"
    assert config["protocol"]["normalisation"] == told
    assert told in (bundle / "README.md").read_text()
    assert load_explainer(bundle).network.normalisation == "minmax"
