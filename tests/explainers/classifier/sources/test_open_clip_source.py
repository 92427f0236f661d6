"""CLIP networks of open_clip give open_clip's own logits, whatever their towers."""

import json
import logging
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from explainers import FrozenClassifier
from explainers.classifier.timm_reader import TimmReader
from explainers.errors import InputError

open_clip = pytest.importorskip("open_clip", reason="needs the extra clip")
pytestmark = pytest.mark.filterwarnings("default")  # of open_clip's own

TEXTS = ["a photo of a cat", "a photo of a dog", "a red car"]
CASES = [
    ("ViT", {}, True),
    ("ViT", {"quick_gelu": True}, True),
    ("ViT", {"init_logit_bias": -3.0}, True),
    ("ViT", {"custom_text": True}, True),
    ("mean", {}, True),
    ("ConvNeXt", {}, True),
    ("SigLIP", {"embed_dim": 96}, True),
    ("ResNet", {}, False),
    ("perceptron", {}, False),
    ("attention", {}, False),
]


@pytest.mark.parametrize(("tower", "options", "as_timm"), CASES)
def test_logits_are_open_clips(clip_folder, tower, options, as_timm):
    folder = clip_folder(tower, **options)
    theirs = open_clip.create_model(f"local-dir:{folder}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    classifier = FrozenClassifier(f"open_clip:local-dir:{folder}", classes=TEXTS)
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(one)[:, None, None] for one in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    with torch.no_grad():
        expected = theirs.get_logits((images - mean) / std, tokens)[0]
    torch.testing.assert_close(classifier(images), expected, rtol=1e-4, atol=1e-4)
    assert isinstance(classifier.reader, TimmReader) == as_timm
    assert classifier.class_names == TEXTS
    assert classifier.interpolation == "bilinear"


def test_rows_times_pooled_features_are_the_logits_up_to_the_embeddings_length(clip_folder):
    classifier = FrozenClassifier(f"open_clip:local-dir:{clip_folder('ViT')}", classes=TEXTS)
    images = torch.rand(2, 3, 64, 64)
    pooled = classifier.embed(images)
    lengths = classifier.reader.last_layer().projected(pooled).norm(dim=1, keepdim=True)
    expected = pooled @ classifier.class_weights.T / lengths
    torch.testing.assert_close(classifier(images), expected)
    torch.testing.assert_close(classifier.logits_of_pooled(pooled), expected)
    torch.testing.assert_close(classifier.text_rows(TEXTS), classifier.class_weights)


def test_row_for_attention_pooling_is_that_of_a_single_place(clip_folder):
    """Of the values and the last projection, as if all attention were there."""
    classifier = FrozenClassifier(f"open_clip:local-dir:{clip_folder('ResNet')}", classes=TEXTS)
    pool = classifier.model.tower.attnpool
    place = torch.randn(512)
    embedding = pool.c_proj(pool.v_proj(place))
    head = classifier.reader.last_layer()
    expected = head.scale * head.texts @ embedding
    torch.testing.assert_close(classifier.class_weights @ place + classifier.class_bias, expected)


def test_features_of_the_librarys_own_network_are_read_at_layers_of_its_names(clip_folder):
    layers = ["tower.transformer.resblocks.1", "tower.transformer.resblocks.3"]
    source = {"model": f"open_clip:local-dir:{clip_folder('ViT')}", "classes": TEXTS}
    classifier = FrozenClassifier.of(source | {"layers": layers})
    same = FrozenClassifier.of(source)
    images = torch.rand(1, 3, 64, 64)
    expected = same.features(images, [1, 3], norm=False)
    torch.testing.assert_close(classifier.features(images, [0, 1]), expected, rtol=1e-4, atol=1e-4)


def test_weights_are_taken_from_a_file_under_any_prefix(clip_folder, tmp_path):
    folder = clip_folder("ViT")
    state = load_file(folder / "open_clip_model.safetensors")
    save_file({f"model.{k}": v for k, v in state.items()}, tmp_path / "mine.safetensors")
    name = f"open_clip:local-dir:{folder}"
    mine = FrozenClassifier(name, weights=str(tmp_path / "mine.safetensors"), classes=TEXTS)
    assert mine.fingerprint() == FrozenClassifier(name, classes=TEXTS).fingerprint()
    drawn = FrozenClassifier(name, pretrained=False, classes=TEXTS)
    assert mine.fingerprint() != drawn.fingerprint()


def test_clip_network_of_timm_gets_the_text_tower_that_belongs_to_it(monkeypatch, clip_folder):
    folder = clip_folder("ViT", quick_gelu=True)
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {"ViT-B-32": config})
    mine = FrozenClassifier(
        "vit_base_patch32_clip_224.openai",
        weights=str(folder / "open_clip_model.safetensors"),
        classes=TEXTS,
    )
    theirs = FrozenClassifier(f"open_clip:local-dir:{folder}", classes=TEXTS)
    assert mine.fingerprint() == theirs.fingerprint()
    assert mine.name == "vit_base_patch32_clip_224.openai"
    assert mine.mean.flatten().tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])


def test_published_weights_say_by_their_tag_how_images_are_prepared_and_what_activates(
    monkeypatch, clip_folder
):
    folder = clip_folder("ViT", quick_gelu=True)
    config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    monkeypatch.setattr(
        open_clip.factory, "_MODEL_CONFIGS", {"ViT-B-32": config | {"quick_gelu": False}}
    )
    asked = []

    def hub_file(repository, names):
        asked.append((repository, list(names)))
        return folder / "open_clip_model.safetensors"

    place = "explainers.classifier.sources.open_clip_source.hub_file"
    monkeypatch.setattr(place, hub_file)
    mine = FrozenClassifier("open_clip:ViT-B-32@openai", classes=TEXTS)
    theirs = FrozenClassifier(
        f"open_clip:local-dir:{folder}",
        classes=TEXTS,
        mean=mine.mean.flatten().tolist(),
        std=mine.std.flatten().tolist(),
    )
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(mine(images), theirs(images))
    assert asked[0][0] == "timm/vit_base_patch32_clip_224.openai"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "open_clip:ViT-B-33@openai",
            {},
            "unknown open_clip architecture 'ViT-B-33'; did you mean",
        ),
        (
            "open_clip:ViT-B-32@opena",
            {},
            "unknown weights of ViT-B-32 'opena'; did you mean openai",
        ),
        (
            "open_clip:ViT-B-32",
            {},
            "name weights of ViT-B-32 as open_clip:ViT-B-32@PRETRAINED: a f",
        ),
        ("open_clip:local-dir:nowhere", {}, "no open_clip_config.json in .*nowhere"),
        ("open_clip:ViT-B-32@openai", {"num_classes": 3}, "are texts; give them as classes"),
        ("resnet50", {"classes": TEXTS}, "no text tower of resnet50 is known"),
        ("torchvision:resnet18", {"classes": TEXTS, "pretrained": False}, "has no text tower"),
    ],
)
def test_bad_name_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        FrozenClassifier(name, **options)


def test_folder_without_weights_and_file_that_does_not_fit_are_refused(clip_folder, tmp_path):
    folder = clip_folder("ViT")
    other = clip_folder("ResNet") / "open_clip_model.safetensors"
    name = f"open_clip:local-dir:{folder}"
    with pytest.raises(InputError, match=r"do not fit open_clip.*another architecture"):
        FrozenClassifier(name, weights=str(other))
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"no weights in .*; put open_clip_model.safetensors there"
    ):
        FrozenClassifier(name)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(InputError, match=r'pip install "learned-explainers\[clip\]"'):
        FrozenClassifier("open_clip:ViT-B-32@openai")


def test_building_leaves_the_root_logger_as_it_was(clip_folder, caplog):
    folder = clip_folder("ViT")
    caplog.clear()
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    FrozenClassifier(f"open_clip:local-dir:{folder}", classes=TEXTS)
    assert (root.level, root.handlers) == before
    assert not caplog.records
