"""Image classifiers of transformers, tiny ones saved to a folder and loaded from there."""

import json

import pytest
import torch

from explainers import LCAM, TAME, ActivationMap, FrozenClassifier, OptiCAM, PTAMEPlus
from explainers.baselines import CAMBaseline, CaptumBaseline
from explainers.classifier.sources import transformers_source
from explainers.errors import InputError

transformers = pytest.importorskip("transformers", reason="needs the extra hf")

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
}
SQUARE = {"height": 64, "width": 64}
CONVOLUTIONS = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
NETWORKS = {
    "ViT": (VIT, "ViT", {"size": SQUARE}),
    "DeiT": (VIT, "DeiT", {"size": {"height": 80, "width": 80}, "crop_size": SQUARE}),
    "Beit": (VIT, "Beit", {"size": SQUARE, "crop_size": SQUARE}),
    "Dinov2": (VIT, "Bit", {"size": {"shortest_edge": 64}, "crop_size": SQUARE}),
    "Swin": (
        {
            "image_size": 64,
            "patch_size": 4,
            "embed_dim": 16,
            "depths": [1, 1, 2],
            "num_heads": [1, 2, 2],
            "window_size": 4,
        },
        "ViT",
        {"size": SQUARE},
    ),
    "ConvNext": (CONVOLUTIONS | {"image_size": 64}, "ConvNext", {"size": {"shortest_edge": 64}}),
    "ResNet": (CONVOLUTIONS | {"embedding_size": 8}, "ConvNext", {"size": {"shortest_edge": 64}}),
    "MobileViT": (
        {
            "image_size": 64,
            "hidden_sizes": [16, 24, 32],
            "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 64],
            "num_attention_heads": 2,
        },
        "MobileViT",
        {"size": {"shortest_edge": 80}, "crop_size": SQUARE},
    ),
}
"""Settings of a network, and the image processor with its settings, by family."""

NAMES = {0: "cat", 1: "dog", 2: "owl"}


@pytest.fixture(scope="module", params=list(NETWORKS))
def saved(request, tmp_path_factory):
    """A network, and the folder that it is saved to."""
    torch.manual_seed(0)
    settings, processor, options = NETWORKS[request.param]
    labels = {"id2label": NAMES, "label2id": {name: index for index, name in NAMES.items()}}
    config = getattr(transformers, f"{request.param}Config")(**settings, **labels)
    network = getattr(transformers, f"{request.param}ForImageClassification")(config).eval()
    for weight in network.parameters():  # those of transformers are small, and logits vanish
        if weight.ndim > 1:
            torch.nn.init.xavier_uniform_(weight)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(part.weight)
    folder = tmp_path_factory.mktemp(request.param)
    network.save_pretrained(folder)
    getattr(transformers, f"{processor}ImageProcessor")(**options).save_pretrained(folder)
    return network, folder


def test_logits_names_and_image_format_are_the_model_s(saved):
    network, folder = saved
    classifier = FrozenClassifier(f"transformers:{folder}")
    assert classifier.class_names == ["cat", "dog", "owl"]
    assert classifier.size == (64, 64)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    # The images have their size, so that the processor's other steps are left to compare.
    kept = {"do_resize": False, "do_center_crop": False}
    pixels = processor(list(images), return_tensors="pt", **kept)["pixel_values"]
    torch.testing.assert_close(classifier.prepare(images / 255), pixels, rtol=0, atol=1e-5)
    with torch.no_grad():
        expected = network(pixels).logits
    assert expected.std(dim=0).min() > 1e-3
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(classifier(images / 255), expected, rtol=0, atol=tolerance)


def test_every_method_of_features_explains_it(saved):
    classifier = FrozenClassifier(f"transformers:{saved[1]}")
    images = torch.rand(2, 3, 64, 64)
    for kind in (ActivationMap, OptiCAM, LCAM, TAME, PTAMEPlus):
        if kind is PTAMEPlus and type(saved[0]).__name__.startswith("Dinov2"):
            continue  # its head reads the class token and the mean of the patches
        explainer = kind(classifier, **({"steps": 2} if kind is OptiCAM else {})).eval()
        found = explainer.explain(images, "dog")
        assert found.maps.shape == (2, 1, 64, 64), kind
        assert found.maps.isfinite().all(), kind


def test_grad_cam_and_captum_explain_it(saved):
    pytest.importorskip("pytorch_grad_cam", reason="needs the extra compare")
    classifier = FrozenClassifier(f"transformers:{saved[1]}")
    images = torch.rand(2, 3, 64, 64)
    for explainer in (CAMBaseline(classifier), CaptumBaseline(classifier)):
        scores = torch.cat([explainer(images, torch.tensor([c, c])) for c in range(3)])
        assert scores.shape == (6, 1, 64, 64)
        assert scores.isfinite().all()
        assert scores.max() > scores.min()


def test_a_crop_is_that_of_the_processor():
    def of(**options):
        return transformers.ConvNextImageProcessor(**options)

    class Library:
        class AutoImageProcessor:
            @staticmethod
            def from_pretrained(name):
                return name

    found = transformers_source._format(Library, of(size={"shortest_edge": 224}), {})
    assert (found.size, found.crop_fraction) == ((224, 224), 0.875)
    found = transformers_source._format(
        Library,
        transformers.BitImageProcessor(size={"shortest_edge": 256}, crop_size=224),
        {},
    )
    assert (found.size, found.crop_fraction, found.interpolation) == ((224, 224), 0.875, "bicubic")


def test_layers_can_be_named_as_the_library_names_them(tmp_path):
    config = transformers.ViTConfig(**VIT, num_labels=3)
    network = transformers.ViTForImageClassification(config)
    network.save_pretrained(tmp_path)
    name = next(n for n, part in network.named_modules() if type(part).__name__ == "ViTLayer")
    image = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [64, 64]}
    classifier = FrozenClassifier(f"transformers:{tmp_path}", layers=[name], **image)
    assert [layer.name for layer in classifier.reader.layers] == [name, name]


def test_what_cannot_be_loaded_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match=r"transformers:.* cannot be loaded: .*; name a folder"):
        FrozenClassifier(f"transformers:{tmp_path}")
    monkeypatch.setattr(transformers_source, "is_offline", lambda: True)
    with pytest.raises(InputError, match=r"transformers:org/name cannot be loaded"):
        FrozenClassifier("transformers:org/name")
    transformers.ResNetConfig(**CONVOLUTIONS, embedding_size=8).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="does not say how its images are prepared; pass mean, st"):
        FrozenClassifier(f"transformers:{tmp_path}", pretrained=False)


def test_a_missing_package_is_told(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(transformers_source, "import_module", missing)
    with pytest.raises(InputError, match=r'pip install "learned-explainers\[hf\]"'):
        FrozenClassifier("transformers:anything")
