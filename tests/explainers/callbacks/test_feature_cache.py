import errno
import logging

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import DataLoader

from explainers import (
    LCAM,
    PTAME,
    TAME,
    FrozenClassifier,
    MaskingUNet,
    OptiCAM,
    PTAMEPlus,
    ShapleyExplainer,
)
from explainers.callbacks.feature_cache import FeatureCache, Memory, _identity
from explainers.errors import InputError

RESNET = {"model": "test_resnet", "pretrained": False, "num_classes": 4}


class Repeating(torch.utils.data.Dataset):
    """Six images, each the same in every epoch, or a little brighter each time it is drawn."""

    def __init__(self, changing=False):
        self.images = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        self.changing = changing

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if self.changing:
            self.images[index] += 1e-6
        return {"image": self.images[index]}


@pytest.fixture
def build():
    """An explainer of a kind with the same weights each time."""

    def make(kind, **options):
        torch.manual_seed(0)
        if kind is PTAME:
            options["auxiliary"] = RESNET
        return kind(RESNET, lr=0.01, **options)

    return make


@pytest.fixture
def fit(tmp_path):
    """Train an explainer for three epochs, with the callbacks."""

    def run(explainer, *callbacks, data=None, epochs=3):
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(explainer, DataLoader(data or Repeating(), batch_size=3))
        return trainer

    return run


@pytest.fixture
def read():
    """Readings of two stages that say which images they were asked of."""
    asked = []

    def answer(images):
        asked.extend(images.mean(dim=(1, 2, 3)).tolist())
        logits = images.flatten(1)[:, :5]
        features = [images[:, :2], images[:, :, ::2, ::2]]
        return logits, [maps.contiguous(memory_format=torch.channels_last) for maps in features]

    answer.asked = asked
    return answer


pytestmark = pytest.mark.filterwarnings("default")  # Lightning's, about few workers


@pytest.mark.parametrize("kind", [PTAME, PTAMEPlus, TAME, LCAM, MaskingUNet])
def test_a_fit_ends_with_the_weights_that_it_has_without(kind, build, fit, tmp_path):
    expected, actual = build(kind), build(kind)
    fit(expected)
    fit(actual, FeatureCache(str(tmp_path / "cache")))
    assert actual.feature_cache is None
    for name, weight in expected.trained_state().items():
        torch.testing.assert_close(actual.trained_state()[name], weight, rtol=0, atol=0)


def test_frozen_networks_are_asked_once_for_each_image_also_by_the_next_fit(build, fit, tmp_path):
    cache = str(tmp_path / "cache")
    shares = []
    for epochs in (1, 3):
        explainer = build(PTAME)
        calls = []
        explainer.network.backbone.register_forward_hook(lambda *_, seen=calls: seen.append(1))
        features = explainer.network.backbone.features
        explainer.network.backbone.features = lambda *a, seen=calls, f=features: (
            seen.append(len(a[0])) or f(*a)
        )
        trainer = fit(explainer, FeatureCache(cache), epochs=epochs)
        shares.append((sum(calls), float(trainer.callback_metrics["train/feature_cache_hits"])))
    assert shares == [(6, 0.0), (0, 1.0)]


def test_what_comes_back_is_what_was_read_in_any_batch(read, tmp_path):
    images = torch.rand(4, 3, 8, 8)
    memory = Memory(tmp_path, 10**9)
    memory(images[:3], read)
    logits, features = memory(images[[3, 1, 0]], read)
    expected, maps = read(images[[3, 1, 0]])
    assert torch.equal(logits, expected)
    for one, other in zip(features, maps, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous(memory_format=torch.channels_last)
    assert (memory.asked, memory.found) == (6, 2)
    assert len(read.asked) == 3 + 1 + 3


def test_an_image_that_differs_in_a_bit_is_another(read, tmp_path):
    images = torch.rand(1, 3, 8, 8)
    memory = Memory(tmp_path, 10**9)
    memory(images, read)
    images[0, 0, 0, 0] = torch.nextafter(images[0, 0, 0, 0], torch.tensor(2.0))
    memory(images, read)
    memory(images.flip(-1), read)
    memory(images.reshape(1, 3, 4, 16), read)
    assert memory.found == 0


def test_a_file_cut_short_is_read_anew(read, tmp_path):
    images = torch.rand(1, 3, 8, 8)
    memory = Memory(tmp_path, 10**9)
    expected = memory(images, read)[0]
    (file,) = tmp_path.iterdir()
    for content in (b"", file.read_bytes()[:-5]):
        file.write_bytes(content)
        assert torch.equal(memory(images, read)[0], expected)
    assert torch.equal(memory(images, read)[0], expected)
    assert len(read.asked) == 3


def test_other_frozen_weights_share_the_folder_and_nothing_else(build, fit, tmp_path):
    first, second = build(PTAME), build(PTAME)
    with torch.no_grad():
        second.classifier.model.get_classifier().bias += 1
    for explainer in (first, second):
        trainer = fit(explainer, FeatureCache(str(tmp_path / "cache")), epochs=1)
        assert trainer.callback_metrics["train/feature_cache_hits"] == 0
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_full_cache_takes_no_more_and_says_so_once(build, fit, tmp_path, caplog):
    expected, actual = build(LCAM), build(LCAM)
    fit(expected)
    limit = 7000
    with caplog.at_level(logging.WARNING):
        fit(actual, FeatureCache(str(tmp_path / "cache"), limit=limit / 2**30))
    sizes = [file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert 0 < sum(sizes) <= limit
    assert len(sizes) < 6
    assert caplog.text.count("feature cache is full") == 1
    for name, weight in expected.trained_state().items():
        torch.testing.assert_close(actual.trained_state()[name], weight)


def test_a_full_disk_ends_the_cache_and_not_the_training(build, fit, tmp_path, caplog, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with caplog.at_level(logging.WARNING):
        trainer = fit(build(LCAM), FeatureCache(str(tmp_path / "cache")))
    assert trainer.global_step == 6
    assert "feature cache cannot be written (No space left on device)" in caplog.text
    assert not list((tmp_path / "cache").glob("*/*"))


def test_images_that_never_come_back_are_said_to_gain_nothing(build, fit, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        fit(build(LCAM), FeatureCache(str(tmp_path / "cache")), data=Repeating(changing=True))
    assert caplog.text.count("no image of two epochs came back") == 1
    assert "set `crops` of the data" in caplog.text


def test_only_what_trains_has_use_for_it(fit, tmp_path):
    with pytest.raises(InputError, match="OptiCAM does not train"):
        FeatureCache(str(tmp_path)).on_fit_start(None, OptiCAM(RESNET))
    with pytest.raises(InputError, match="limit must be a finite number above 0, got 0"):
        FeatureCache(str(tmp_path), limit=0)


def test_other_tokens_of_the_same_blocks_are_other_readings(fit, tmp_path):
    vit = FrozenClassifier("test_vit", pretrained=False, num_classes=4)
    for options in (
        {"tokens": "norm"},
        {"tokens": "norm1"},
        {"tokens": "norm", "stages": [2, 3, 4]},
    ):
        trainer = fit(TAME(vit, **options), FeatureCache(str(tmp_path / "cache")), epochs=1)
        assert trainer.callback_metrics["train/feature_cache_hits"] == 0, options
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_other_grids_of_patches_are_other_readings():
    classifier = FrozenClassifier(**RESNET)
    first, other = (
        _identity(ShapleyExplainer(classifier, cells=cells, width=8), "32") for cells in (4, 7)
    )
    assert first != other


def test_other_layers_of_the_same_network_are_other_readings(tmp_path):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 4, 1), nn.Conv2d(4, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).append(nn.Linear(4, 3))
    preparation = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [64, 64]}
    identities = {
        _identity(TAME(FrozenClassifier(network, layers=layers, **preparation), stages=[0]), "32")
        for layers in (["0"], ["1"], None)
    }
    assert len(identities) == 3
