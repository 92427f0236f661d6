"""Classes given as texts, changed without training, and the maps that follow them."""

import pytest
import torch

from explainers import FAM, LCAM, TAME, FrozenClassifier, OptiCAM, PTAMEPlus
from explainers.baselines import CaptumBaseline
from explainers.bundle import save_bundle
from explainers.bundle.loading import load_explainer
from explainers.errors import InputError

TEXTS = ["a photo of a cat", "a photo of a dog", "a red car"]


@pytest.fixture(params=["ViT", "ResNet", "ConvNeXt"])
def source(request, clip_folder):
    return {"model": f"open_clip:local-dir:{clip_folder(request.param)}"}


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64)


def test_other_texts_give_the_logits_of_a_network_made_for_them(source, images):
    classifier = FrozenClassifier.of(source | {"classes": TEXTS})
    before = classifier.fingerprint()
    classifier.tell_apart(["a dog", "the sea"])
    expected = FrozenClassifier.of(source | {"classes": ["a dog", "the sea"]})
    torch.testing.assert_close(classifier(images), expected(images))
    assert classifier.num_classes == 2
    assert classifier.class_names == ["a dog", "the sea"]
    assert classifier.source == expected.source
    assert classifier.fingerprint() == before == expected.fingerprint()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (PTAMEPlus, {}),
        (PTAMEPlus, {"evidence_width": 0, "stages": None}),
        (OptiCAM, {"steps": 3}),
        (CaptumBaseline, {}),
    ],
)
def test_map_follows_the_text(source, images, kind, options):
    explainer = kind(source | {"classes": TEXTS}, **options).eval()
    label = torch.zeros(2, dtype=torch.int64)
    first = explainer(images, label)
    explainer.tell_apart(["the sea", *TEXTS[1:]])
    second = explainer(images, label)
    assert not torch.allclose(first, second, atol=1e-4)
    explainer.tell_apart(TEXTS)
    torch.testing.assert_close(explainer(images, label), first)


@pytest.mark.parametrize("kind", [LCAM, TAME])
def test_head_of_learned_classes_refuses_others(source, kind):
    explainer = kind(source | {"classes": TEXTS})
    message = "has learned maps of its 3 classes and knows none of other texts"
    with pytest.raises(InputError, match=message):
        explainer.tell_apart(["a dog", "the sea"])


def test_bundle_of_a_conditioned_head_explains_any_text(source, images, tmp_path):
    save_bundle(PTAMEPlus(source | {"classes": TEXTS}), tmp_path / "bundle", {}, [], None)
    loaded = load_explainer(tmp_path / "bundle")
    assert loaded.classifier.class_names == TEXTS
    loaded.tell_apart(["a zebra", "a photo"])
    explanation = loaded.explain(images, target="a zebra")
    assert explanation.captions == ["a zebra", "a zebra"]
    assert explanation.maps.std() > 0


def test_text_is_a_reference_for_methods_that_compare_embeddings(source, images):
    explainer = FAM(source, metric="dot", weights="decomposition")
    rows = explainer.classifier.text_rows(TEXTS[:1])
    mean = explainer(images, rows.expand(2, -1)).mean((1, 2, 3))
    # A decomposition's mean is the similarity itself: the text's logit before it is normalised.
    expected = explainer.similarity(images, rows.expand(2, -1))
    torch.testing.assert_close(mean, expected, rtol=1e-3, atol=1e-3)


def test_network_without_texts_has_no_classes(source, images):
    classifier = FrozenClassifier.of(source)
    assert classifier.num_classes == 0
    with pytest.raises(InputError, match=r"has no classes; .* texts as classes \(--classes"):
        OptiCAM(classifier)(images)


def test_texts_are_read_from_a_file_and_may_have_shorter_names(clip_folder, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    classifier = FrozenClassifier(
        f"open_clip:local-dir:{clip_folder('ViT')}",
        classes=str(tmp_path / "texts.txt"),
        class_names=["cat", "dog", "car"],
    )
    assert classifier.source["classes"] == TEXTS
    assert classifier.class_names == ["cat", "dog", "car"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a cat"], "two texts or more"),
        ("nowhere.txt", "no file of texts at .*nowhere.txt; write one text a line"),
        (["a cat", " "], "each of classes must be a text, got ' '"),
        (["a cat", 3], "each of classes must be a text, got 3"),
        (["a cat", "a cat"], "'a cat' is there twice"),
        ({"a": "cat"}, "must be a list of two texts or more"),
    ],
)
def test_bad_texts_are_refused(classes, message):
    with pytest.raises(InputError, match=message):
        FrozenClassifier("open_clip:ViT-B-32@openai", classes=classes)


def test_network_without_a_text_tower_is_named():
    classifier = FrozenClassifier("test_resnet", pretrained=False)
    with pytest.raises(InputError, match=r"test_resnet has no text tower.*class_names"):
        classifier.tell_apart(TEXTS)


def test_network_without_class_rows_explains_texts_where_they_are_not_needed(clip_folder, images):
    source = {"model": f"open_clip:local-dir:{clip_folder('perceptron')}", "classes": TEXTS}
    assert OptiCAM(source, steps=2)(images, torch.tensor([0, 1])).shape == (2, 1, 64, 64)
    with pytest.raises(InputError, match="does not decide by one linear layer"):
        PTAMEPlus(source)(images)
    with pytest.raises(InputError, match="does not decide by one linear layer"):
        FrozenClassifier.of(source).text_rows(TEXTS)
