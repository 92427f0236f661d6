import pytest
import timm
import torch
from torch import nn

from explainers import PTAME, FrozenClassifier, OptiCAM
from explainers.bundle.loading import load_explainer
from explainers.bundle.saving import save_bundle
from explainers.classifier.batch_norm_folding import fold_batch_norms
from explainers.classifier.weight_files import fingerprint
from explainers.errors import InputError

# With plain and grouped convolutions, activations inside and outside of the batch norms, and batch
# norms before their convolution, which stay.
NETWORKS = ["test_resnet", "test_efficientnet", "mobilenetv3_small_050", "resnetv2_50"]


def unlike_new(model):
    """Give the batch norms statistics and weights that leave nothing at its start."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def batch_norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_answers_the_same_in_float64(name):
    torch.manual_seed(0)
    model = unlike_new(timm.create_model(name, num_classes=5)).double()
    images = torch.rand(2, 3, 64, 32, dtype=torch.float64)
    expected = model(images)
    norms = batch_norms(model)
    assert fold_batch_norms(model, images[:1]) == norms - batch_norms(model) > 0
    torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-10)


def test_a_batch_norm_that_is_not_the_only_reader_stays_or_is_refused():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, images):
            maps = self.convolution(images)
            return (self.norm(maps) + maps).mean(dim=(2, 3))

    with pytest.raises(InputError, match="read by more than its batch norm; leave fold_batch"):
        fold_batch_norms(unlike_new(Shared()), torch.rand(1, 3, 8, 8))


def test_a_convolution_that_runs_twice_keeps_its_batch_norms():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)
            self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])

        def forward(self, images):
            for norm in self.norms:
                images = norm(self.convolution(images))
            return images.mean(dim=(2, 3))

    assert fold_batch_norms(unlike_new(Twice()), torch.rand(1, 3, 8, 8)) == 0


def test_batch_norms_on_the_batch_s_own_statistics_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert fold_batch_norms(model.append(nn.Flatten()).eval(), torch.rand(2, 3, 4, 4)) == 0


def test_a_folded_classifier_hands_out_the_same_and_counts_as_the_same():
    model = unlike_new(timm.create_model("test_resnet"))
    plain = FrozenClassifier(model)
    folded = FrozenClassifier(model, fold_batch_norm=True)
    images = torch.rand(2, 3, 96, 64)
    assert batch_norms(model) > 0 == batch_norms(folded.model)
    torch.testing.assert_close(folded(images), plain(images))
    for ours, theirs in zip(
        folded.features(images, [0, 2, -1]), plain.features(images, [0, 2, -1]), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    assert folded.fingerprint() == plain.fingerprint()
    next(folded.model.parameters()).add_(1)
    assert folded.fingerprint() != plain.fingerprint()
    assert not any(weight.requires_grad for weight in folded.parameters())


def test_a_network_without_batch_norms_is_as_it_was():
    source = {"model": "test_vit", "pretrained": False, "fold_batch_norm": True}
    classifier = FrozenClassifier.of(source)
    assert classifier.source == source
    assert classifier.fingerprint() == fingerprint(classifier.model)


def test_maps_and_gradients_are_the_same():
    model = unlike_new(timm.create_model("test_efficientnet"))
    images = torch.rand(2, 3, 64, 64)
    maps = [
        OptiCAM(FrozenClassifier(model, fold_batch_norm=fold), steps=3).explain(images).maps
        for fold in (False, True)
    ]
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-3, atol=1e-3)


def test_a_bundle_keeps_the_option(tmp_path):
    explainer = PTAME(
        FrozenClassifier("test_resnet", pretrained=False, fold_batch_norm=True),
        {"model": "test_resnet", "pretrained": False},
    )
    save_bundle(explainer, tmp_path / "bundle", training={}, scores=[], picture=None)
    loaded = load_explainer(tmp_path / "bundle", allow_other_weights=True)
    assert loaded.classifier.source["fold_batch_norm"] is True
