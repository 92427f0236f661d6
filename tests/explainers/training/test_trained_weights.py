"""Starting a learned explainer from the bundle of another."""

import inspect
import json
import shutil

import pytest
import torch

from explainers import LCAM, PTAME, TAME, FrozenClassifier, LearnedExplainer, PTAMEPlus
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.errors import InputError
from explainers.evaluation.evaluator import CONFIDENCE_METRICS
from explainers.methods import METHODS
from explainers.training.trained_weights import fitting

RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
CONVNEXT = {"model": "test_convnext", "pretrained": False, "num_classes": 4}
LEARNED = [kind for kind in METHODS.values() if issubclass(kind, LearnedExplainer)]


def write(explainer, folder):
    row = {"explainer": "any"} | dict.fromkeys(CONFIDENCE_METRICS, 12.5)
    return save_bundle(explainer, folder, {"steps": 3}, [row], torch.rand(3, 8, 8))


def moved(explainer):
    """Give every trained weight and statistic a value of its own."""
    for name, value in explainer.trained_state().items():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) + ("var" in name))
    return explainer


def steps_on(explainer, images, count=3):
    optimizer = explainer.build_optimizer()
    explainer.train()
    labels = torch.tensor([0, 1, 3])
    for _ in range(count):
        masks = explainer.network.draw(explainer.network.read(images), labels[None])
        torch.stack(
            list(explainer.losses(images, labels, masks, explainer.classifier(images)).values())
        ).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture
def bundle(tmp_path):
    return str(write(moved(PTAME(RESNET, RESNET)), tmp_path / "first"))


def test_every_learned_explainer_can_be_started_from_a_bundle():
    assert LEARNED
    for kind in LEARNED:
        arguments = inspect.signature(kind).parameters
        assert arguments["init_from"].default is None, kind
        assert arguments["freeze_taken"].default is False, kind


def test_all_is_taken_for_another_classifier_of_as_many_classes(bundle, images):
    expected = load_explainer(bundle, allow_other_weights=True).trained_state()
    started = PTAME(CONVNEXT, RESNET, init_from=bundle)
    for name, value in started.trained_state().items():
        assert torch.equal(value, expected[name]), name
    assert started(images).shape == (3, 1, 96, 128)


def test_branches_are_taken_for_another_number_of_classes_and_the_rest_is_named(bundle, caplog):
    started = PTAME(CONVNEXT | {"num_classes": 7}, RESNET, init_from=bundle)
    expected = load_explainer(bundle, allow_other_weights=True).trained_state()
    for name, value in started.trained_state().items():
        assert (name == "network.head.fuser.weight") == (value.shape != expected[name].shape)
        if value.shape == expected[name].shape:
            assert torch.equal(value, expected[name]), name
    (record,) = caplog.records
    count = len(expected) - 1
    assert record.getMessage() == (
        f"took {count} tensors from {bundle}; left as they were: network.head.fuser.weight; "
        "not used: network.head.fuser.weight"
    )


@pytest.mark.parametrize("kind", [TAME, LCAM])
def test_other_explainers_take_what_fits_them(kind, tmp_path, images):
    bundle = write(moved(kind(RESNET)), tmp_path / "own")
    started = kind(RESNET, init_from=str(bundle))
    expected = load_explainer(bundle, allow_other_weights=True).trained_state()
    for name, value in started.trained_state().items():
        assert torch.equal(value, expected[name]), name


def test_what_is_frozen_does_not_move_and_the_rest_does(bundle, images):
    started = PTAME(CONVNEXT | {"num_classes": 7}, RESNET, init_from=bundle, freeze_taken=True)
    before = {name: value.clone() for name, value in started.trained_state().items()}
    steps_on(started, images)
    for name, value in started.trained_state().items():
        assert torch.equal(value, before[name]) == (name != "network.head.fuser.weight"), name
    assert started.training


def test_what_is_taken_moves_unless_frozen(bundle, images):
    started = PTAME(RESNET, RESNET, init_from=bundle)
    before = {name: value.clone() for name, value in started.trained_state().items()}
    steps_on(started, images)
    for name, value in started.trained_state().items():
        assert not torch.equal(value, before[name]), name


def test_a_bundle_of_a_fine_tuned_explainer_stands_alone(bundle, tmp_path, images):
    frozen = FrozenClassifier.of(CONVNEXT | {"num_classes": 7})
    torch.save(frozen.model.state_dict(), tmp_path / "convnext.pth")
    source = {"model": "test_convnext", "weights": str(tmp_path / "convnext.pth")}
    start = {"init_from": bundle, "freeze_taken": True}
    started = PTAME(source, RESNET, **start)
    second = write(started, tmp_path / "second")
    shutil.rmtree(bundle)
    loaded = load_explainer(second, auxiliary=started.network.backbone)
    torch.testing.assert_close(loaded(images), started(images), rtol=0, atol=0)
    config = json.loads((second / "config.json").read_text())
    assert config["training"] == {"steps": 3} | start
    assert not start.keys() & config["hyperparameters"].keys()


def test_a_resumed_fit_keeps_frozen_what_was_without_the_bundle(bundle):
    classifier = CONVNEXT | {"num_classes": 7}
    started = PTAME(classifier, RESNET, init_from=bundle, freeze_taken=True)
    checkpoint = {"hyper_parameters": dict(started.hparams)}
    started.on_save_checkpoint(checkpoint)
    shutil.rmtree(bundle)
    settings = {
        name: checkpoint["hyper_parameters"][name] for name in ("init_from", "freeze_taken")
    }
    resumed = PTAME(started.classifier, started.network.backbone, **settings)
    resumed.on_load_checkpoint(checkpoint)
    trained = [name for name, weight in resumed.named_parameters() if weight.requires_grad]
    assert trained == ["network.head.fuser.weight"]


def test_a_missing_bundle_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"no bundle at .*nowhere"):
        PTAME(RESNET, RESNET, init_from=str(tmp_path / "nowhere"))


def test_a_bundle_that_cannot_be_fetched_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("explainers.classifier.sources.hub_files.is_offline", lambda: True)
    with pytest.raises(InputError, match=r"org/name cannot be fetched .* name a local folder"):
        PTAME(RESNET, RESNET, init_from="hf-hub:org/name")


def test_freezing_nothing_or_everything_is_refused(bundle):
    with pytest.raises(InputError, match="name a bundle there"):
        PTAME(RESNET, RESNET, freeze_taken=True)
    with pytest.raises(InputError, match="with freeze_taken, none is trained"):
        PTAME(RESNET, RESNET, init_from=bundle, freeze_taken=True)


def test_nothing_that_fits_is_refused(bundle):
    with pytest.raises(InputError, match=r"no weight in .*first has the name and shape"):
        fitting({"a": torch.zeros(2)}, str(bundle))


@pytest.mark.parametrize(
    ("kind", "model", "option", "earlier", "now"),
    [
        (PTAME, "test_resnet", "upsampling", "direct", "cascade"),
        (TAME, "test_vit", "tokens", "norm", "norm1"),
    ],
)
def test_a_checkpoint_from_before_an_option_means_what_there_was(
    kind, model, option, earlier, now, images, tmp_path
):
    classifier = FrozenClassifier.of(RESNET | {"model": model})
    torch.save(classifier.model.state_dict(), tmp_path / "weights.pth")
    source = {"model": model, "weights": str(tmp_path / "weights.pth"), "num_classes": 4}
    networks = [source, source] if kind is PTAME else [source]
    trained = kind(*networks, **{option: earlier})
    checkpoint = {"hyper_parameters": dict(trained.hparams), "state_dict": {}}
    trained.on_save_checkpoint(checkpoint)
    checkpoint["pytorch-lightning_version"] = "2.6.0"
    del checkpoint["hyper_parameters"][option]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    loaded = kind.load_from_checkpoint(tmp_path / "old.ckpt")
    torch.testing.assert_close(loaded(images), trained(images), rtol=0, atol=0)
    assert loaded.hparams[option] == earlier
    changed = kind.load_from_checkpoint(tmp_path / "old.ckpt", **{option: now})
    assert changed.hparams[option] == now
    assert not torch.equal(changed(images), trained(images))


@pytest.mark.parametrize(
    ("kind", "options", "missing"),
    [
        (PTAMEPlus, {}, set()),
        (PTAMEPlus, {"evidence_width": 0, "stages": None}, set()),
        (TAME, {}, {"network.head.fuser.weight", "network.head.fuser.bias"}),
    ],
)
def test_head_for_timms_network_starts_one_for_torchvisions_with_other_classes(
    kind, options, missing, tmp_path, caplog
):
    source = {"model": "resnet18", "pretrained": False, "num_classes": 7}
    first = moved(kind(source, **options))
    bundle = str(write(first, tmp_path / "first"))
    caplog.clear()
    other = source | {"model": "torchvision:resnet18", "num_classes": 12}
    started = kind(other, **options, init_from=bundle).trained_state()
    expected = first.trained_state()
    assert started.keys() == expected.keys()
    assert {k for k, v in started.items() if v.shape != expected[k].shape} <= missing
    assert all(torch.equal(v, expected[k]) for k, v in started.items() if k not in missing)
    (record,) = caplog.records
    said = "they are for any class, and training for new ones is optional" in record.getMessage()
    assert said == (kind is PTAMEPlus)
