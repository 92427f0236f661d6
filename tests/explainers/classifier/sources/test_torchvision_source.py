"""torchvision's networks with weights from files, beside timm's with the same weights."""

import pytest
import torch
import torchvision

from explainers import LCAM, TAME, ActivationMap, FrozenClassifier, OptiCAM, PTAMEPlus
from explainers.errors import InputError

METHODS = {
    ActivationMap: {},
    OptiCAM: {"steps": 3},
    PTAMEPlus: {"evidence_width": 0, "stages": None},
    LCAM: {},
    TAME: {},
}


@pytest.fixture(scope="module")
def resnet():
    """A ResNet-18 of 12 classes whose batch norms have seen something."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=12).train()
    network(torch.rand(4, 3, 64, 64))
    return network.eval()


@pytest.fixture
def images():
    return torch.rand(2, 3, 224, 224)


WRAPPINGS = {
    "as it is": lambda state: state,
    "DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "Lightning": lambda state: {
        "state_dict": {f"model.{name}": value for name, value in state.items()}
        | {"loss.weight": torch.ones(3)},
        "epoch": 3,
    },
    "nested": lambda state: {
        "model": {f"net.backbone.{name}": value for name, value in state.items()}
    },
}


@pytest.mark.parametrize("source", ["torchvision:resnet18", "resnet18"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_of_a_file_load_under_any_wrapping(resnet, images, tmp_path, source, wrapping):
    torch.save(WRAPPINGS[wrapping](resnet.state_dict()), tmp_path / "mine.pth")
    classifier = FrozenClassifier(source, weights=str(tmp_path / "mine.pth"))
    assert classifier.num_classes == 12
    assert classifier.size == (224, 224)
    with torch.no_grad():
        expected = resnet(classifier.prepare(images))
        torch.testing.assert_close(classifier(images), expected, rtol=0, atol=1e-5)


def test_images_are_prepared_as_the_published_weights_say():
    classifier = FrozenClassifier("torchvision:efficientnet_b0", pretrained=False)
    torch.testing.assert_close(classifier.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(classifier.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    assert classifier.crop_fraction == pytest.approx(224 / 256)
    assert classifier.interpolation == "bicubic"
    assert classifier.class_names[:2] == ["tench", "goldfish"]
    older = FrozenClassifier("torchvision:resnet50@IMAGENET1K_V1", pretrained=False)
    newer = FrozenClassifier("torchvision:resnet50", pretrained=False)
    assert older.crop_fraction == pytest.approx(224 / 256)
    assert newer.crop_fraction == pytest.approx(224 / 232)


@pytest.mark.parametrize(("kind", "options"), METHODS.items())
def test_maps_of_a_cnn_are_those_of_timm_s(resnet, images, tmp_path, kind, options):
    path = tmp_path / "mine.pth"
    torch.save(resnet.state_dict(), path)
    assert_same(
        kind,
        options,
        FrozenClassifier("torchvision:resnet18", weights=str(path)),
        FrozenClassifier("resnet18", weights=str(path)),
        images,
    )


def assert_same(kind, options, ours, timms, images):
    torch.testing.assert_close(ours(images), timms(images), rtol=0, atol=1e-4)
    found = []
    for classifier in (ours, timms):
        torch.manual_seed(0)
        explainer = kind(classifier, **options).eval()
        found.append(explainer.to_maps(explainer(images, torch.tensor([1, 3])).detach()))
    assert (found[0].amax((1, 2, 3)) > found[0].amin((1, 2, 3))).all()
    torch.testing.assert_close(*found, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("torchvision:resnet81", {}, r"unknown torchvision model 'resnet81'; did you mean resnet"),
        ("torchvision:resnet18@V9", {}, r"unknown weights of resnet18 'V9'; "),
        ("torchvision:resnet18", {"weights": "nowhere.pth"}, r"no weights file at .*nowhere\.pth"),
        (
            "torchvision:resnet18",
            {"num_classes": 12},
            r"IMAGENET1K_V1 of resnet18 tell apart 1000 classes, and num_classes is 12",
        ),
    ],
)
def test_what_cannot_be_built_is_one_line(source, options, message):
    with pytest.raises(InputError, match=message):
        FrozenClassifier(source, **options)


@pytest.mark.parametrize("source", ["torchvision:resnet18", "resnet18"])
def test_weights_that_do_not_fit_are_told_with_the_likeliest_reasons(resnet, tmp_path, source):
    path = tmp_path / "mine.pth"
    torch.save(resnet.state_dict(), path)
    with pytest.raises(InputError, match=r"\(12,\) there, \(10,\) here.*of another number of cl"):
        FrozenClassifier(source, weights=str(path), num_classes=10)
    other = source.replace("resnet18", "resnet34")
    with pytest.raises(InputError, match=r"tensors are missing, as .* of another architecture"):
        FrozenClassifier(other, weights=str(path))
    backbone = {name: value for name, value in resnet.state_dict().items() if "fc" not in name}
    torch.save(backbone, path)
    with pytest.raises(InputError, match=r"2 of 122 tensors are missing, as fc\.weight.*a part of"):
        FrozenClassifier(source, weights=str(path), num_classes=12)


def test_no_network_is_fetched_in_vain(monkeypatch):
    def unreachable(*arguments, **options):
        raise OSError("name or service not known")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", unreachable)
    with pytest.raises(InputError, match=r"resnet18-\w+\.pth cannot be fetched: name or service"):
        FrozenClassifier("torchvision:resnet18")
