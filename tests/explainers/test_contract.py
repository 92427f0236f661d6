"""Every explainer, whatever its method, keeps the promises of `explainers.Explainer`.

The tests run on the pairs of a method and a network that belong together. What belongs together is
declared here, and tested: a pair that is left out is refused by the method itself.
"""

import inspect
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import nn

from explainers import FrozenClassifier, RCut, SimilarityExplainer
from explainers.errors import ArchitectureError, InputError, TargetError
from explainers.methods import METHODS
from explainers.methods.vit.token_explainer import TokenExplainer

NETWORKS = [
    "test_resnet",
    "test_vit",
    "test_convnext",
    "torchvision",
    "transformers",
    "own",
    "open_clip",
]
NEED_A_TRANSFORMER = (TokenExplainer, RCut)
REFUSED = [
    (name, network)
    for name, method in METHODS.items()
    for network in NETWORKS
    if issubclass(method, NEED_A_TRANSFORMER) and network not in ("test_vit", "open_clip")
]
PAIRS = [(name, net) for net in NETWORKS for name in METHODS if (name, net) not in REFUSED]
BLIND_TO_THE_CLASS = ["ActivationMap", "AttentionMap"]
BRIEF = {
    "steps": 4,
    "masks": 6,
}  # of what is optimised or summed: promises do not depend on how many


def pytest_generate_tests(metafunc):
    """Run a test of `explainer` on every pair, and one of `classes` on those that know classes."""
    if "explainer" in metafunc.fixturenames:
        pairs = [
            pair
            for pair in PAIRS
            if "classes" not in metafunc.fixturenames
            or not issubclass(METHODS[pair[0]], SimilarityExplainer)
        ]
        metafunc.parametrize("explainer", pairs, indirect=True, ids="-".join)


class Own(nn.Module):
    """Tokens of 8 pixels behind one of the class, which they are mixed into; answers in a dict."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.first = nn.Parameter(torch.randn(1, 1, 16))
        self.blocks = nn.Sequential(
            *(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(5))
        )
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 4)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).mT
        tokens = torch.cat([self.first.expand(len(images), -1, -1), tokens], dim=1)
        return {"logits": self.head(self.norm(self.blocks(tokens))[:, 0])}


def _transformers():
    library = pytest.importorskip("transformers", reason="needs the extra hf")
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16, 16], "depths": [1, 1, 2]}
    return library.ResNetForImageClassification(library.ResNetConfig(**sizes, num_labels=4))


def _open_clip(preparation):
    pytest.importorskip("open_clip", reason="needs the extra clip")
    vision = {"image_size": [64, 96], "layers": 4, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 16, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    source = {"pretrained": False, "classes": ["a cat", "a dog", "a red car", "the sea"]}
    with TemporaryDirectory() as folder:
        Path(folder, "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
        source |= {"model": f"open_clip:local-dir:{folder}"}
        return FrozenClassifier.of(source | preparation)


def _classifier(architecture):
    """A network of random weights; its last layer scaled up, to tell classes apart in float32."""
    torch.manual_seed(0)
    preparation = {"mean": [0.4] * 3, "std": [0.3] * 3, "size": [64, 96]}
    if architecture == "torchvision":
        source = {"model": "torchvision:shufflenet_v2_x0_5", "pretrained": False, "num_classes": 4}
        classifier = FrozenClassifier.of(source | preparation)
        with torch.no_grad():
            for _ in range(20):  # else its maps are nearly constant
                classifier.model.train()(torch.randn(8, 3, 64, 96))
        classifier.model.eval()
    elif architecture == "open_clip":
        return _open_clip(preparation)
    elif architecture in ("own", "transformers"):
        network = Own() if architecture == "own" else _transformers()
        classifier = FrozenClassifier(network, **preparation)
    else:
        source = {"model": architecture, "pretrained": False, "num_classes": 4}
        classifier = FrozenClassifier.of(source)
    torch.nn.init.normal_(classifier.reader.last_layer().weight, std=1.0)
    return classifier


@cache
def _explainer(name, architecture):
    """The explainer of all tests, whose calls leave nothing behind."""
    kind = METHODS[name]
    known = inspect.signature(kind).parameters
    given = BRIEF | {"auxiliary": _classifier(architecture)}
    options = {k: v for k, v in given.items() if k in known}
    return kind(_classifier(architecture), **options)


@pytest.fixture
def explainer(request):
    return _explainer(*request.param).train()


@pytest.fixture
def images():
    """Three images (3 3 64 96) in [0, 1], wider than high."""
    return torch.rand(3, 3, 64, 96)


@pytest.fixture
def labels(explainer, labels):
    """Labels, or references for the explainers that compare embeddings and know no classes."""
    if isinstance(explainer, SimilarityExplainer):
        return torch.rand(3, explainer.classifier.stages[-1].channels)
    return labels


@pytest.fixture
def classes(explainer):
    """How many classes the explainer tells apart: a test of it skips those that know none."""
    return explainer.classifier.num_classes


@pytest.mark.parametrize(("name", "network"), REFUSED)
def test_network_that_a_method_cannot_explain_is_refused(name, network):
    with pytest.raises(ArchitectureError, match="needs a vision transformer"):
        METHODS[name](_classifier(network))


def test_scores_are_float32_of_the_images_size(explainer, images, labels):
    scores = explainer(images, labels)
    assert scores.shape == (3, 1, 64, 96)
    assert scores.dtype == torch.float32


def test_maps_are_in_the_unit_interval(explainer, images, labels):
    maps = explainer.explain(images, labels).maps
    assert maps.shape == (3, 1, 64, 96)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert maps.std() > 0


def test_map_depends_on_the_class(explainer, images, labels):
    different = not torch.allclose(explainer(images, labels), explainer(images, (labels + 1) % 4))
    assert different == (type(explainer).__name__ not in BLIND_TO_THE_CLASS)


def test_map_depends_on_the_image(explainer, images, labels):
    assert not torch.allclose(explainer(images, labels), explainer(images.flip(-1), labels))


def test_batch_equals_one_by_one(explainer, images, labels):
    together = explainer(images, labels)
    alone = torch.cat([explainer(images[i : i + 1], labels[i : i + 1]) for i in range(len(images))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_train_mode_changes_neither_the_map_nor_the_state(explainer, images, labels):
    expected = explainer.eval()(images, labels)
    before = {name: value.clone() for name, value in explainer.state_dict().items()}
    explainer.train()
    torch.testing.assert_close(explainer(images, labels), expected, rtol=0, atol=0)
    assert explainer.training
    for name, value in explainer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_earlier_calls_change_nothing(explainer, images, labels):
    expected = explainer(images, labels)
    explainer(images.flip(-1), labels)
    torch.testing.assert_close(explainer(images, labels), expected, rtol=0, atol=0)


def test_no_target_means_the_prediction(explainer, images, classes):
    predicted = explainer.classifier(images).argmax(dim=1)
    torch.testing.assert_close(explainer(images), explainer(images, predicted))


def test_nothing_is_left_on_the_classifier(explainer, images, labels, assert_untouched):
    before = explainer.classifier.fingerprint()
    explainer.train()
    explainer.explain(images, labels)
    explainer(images, labels)
    assert_untouched(explainer.classifier, before)


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_works_where_the_caller_turned_gradients_off(explainer, images, labels, guard):
    expected = explainer(images, labels).detach()
    with guard():
        actual = explainer(images, labels)
    torch.testing.assert_close(actual.clone(), expected)


def test_label_outside_the_classes_is_refused(explainer, images, classes):
    with pytest.raises(InputError, match=r"target 4 is outside .* choose 0 to 3"):
        explainer(images, torch.tensor([0, 4, 1]))


def test_too_few_targets_are_refused(explainer, images):
    with pytest.raises(InputError, match="3 images need as many targets, got 2"):
        explainer(images, torch.tensor([0, 1]))


def test_references_are_explained_or_refused(explainer, images):
    references = torch.randn(3, explainer.classifier.stages[-1].channels)
    try:
        scores = explainer(images, references)
    except TargetError as error:
        assert "class labels" in str(error)  # noqa: PT017  either outcome keeps the contract
    else:
        assert scores.shape == (3, 1, 64, 96)
