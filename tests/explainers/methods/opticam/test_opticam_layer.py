"""The layer that Opti-CAM mixes: its choice, the start of the mix, constant layers."""

import timm
import torch
import torch.nn.functional as F
from timm.models.vgg import VGG

import explainers.methods.opticam
from explainers import FrozenClassifier, OptiCAM
from explainers.classifier.timm_reader import TimmReader
from explainers.evaluation.explained_batch import ExplainedBatch
from explainers.evaluation.scoreboard import Scoreboard
from explainers.methods.cam.channel_maps import channel_maps, combine

LABELS = torch.tensor([0, 2, 3])


def test_weighs_the_last_block_and_not_what_widens_it_for_the_head(images):
    classifier = FrozenClassifier("tf_efficientnet_lite0", pretrained=False)
    assert channel_maps(classifier, images[:1].float()).shape == (1, 320, 2, 3)
    assert channel_maps(classifier, images[:1].float(), stage=-1).shape == (1, 1280, 2, 3)


def test_weighs_the_last_convolution_of_vgg_before_its_max_pool():
    with torch.device("meta"):
        model = timm.create_model("vgg16_bn")
        resnet = timm.create_model("resnet50")
    stage = TimmReader(model).default_stage
    assert model.feature_info[stage + 1]["module"] == "features.42"  # the stages have one more
    assert model.feature_info[stage + 1]["reduction"] * 14 == 224
    assert TimmReader(resnet).default_stage == -2


def test_layer_after_the_pool_can_be_chosen(images):
    model = VGG([8, "M", 16, 16, "M"], num_classes=4, mlp_ratio=0.01)
    classifier = FrozenClassifier(model, mean=[0.5] * 3, std=[0.5] * 3, size=(64, 96))
    before, after = (channel_maps(classifier, images.float(), stage) for stage in (None, -2))
    assert before.shape == (3, 16, 32, 48)
    torch.testing.assert_close(after, F.max_pool2d(before, 2))


def test_negative_features_are_left_out_unless_asked_for(images):
    classifier = FrozenClassifier("test_vit", pretrained=False)
    kept = channel_maps(classifier, images.float(), positive_part=False)
    assert (kept < 0).any()
    assert torch.equal(channel_maps(classifier, images.float()), kept.clamp(min=0))


def test_starts_from_the_mean_of_the_channels(classifier, images):
    features = channel_maps(classifier, images)
    start = combine(features, features.new_zeros(features.shape[:2]))
    torch.testing.assert_close(start, features.mean(dim=1, keepdim=True))
    assert start.std() > 0


def test_constant_layer_gives_zeros_and_is_counted(classifier, images, monkeypatch):
    def first_is_constant(*arguments):
        features = channel_maps(*arguments)
        features[0] = 0.1
        return features

    monkeypatch.setattr(explainers.methods.opticam, "channel_maps", first_is_constant)
    explainer = OptiCAM(classifier, steps=3)
    maps = explainer(images, LABELS)
    assert not maps[0].any()
    assert (maps[1:].amax(dim=(1, 2, 3)) == 1).all()
    classifier.float()
    case = ExplainedBatch(
        images.float(), LABELS, maps, explainer.to_maps(maps), classifier, explainer
    )
    values = Scoreboard(["average_gain"]).update(case)["average_gain"]
    assert values.isnan().tolist() == [True, False, False]
