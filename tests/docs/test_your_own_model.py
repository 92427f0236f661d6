"""The table of docs/your_own_model.md: which explainers work with which network."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from explainers import FrozenClassifier
from explainers.baselines import RISE, CAMBaseline, CaptumBaseline
from explainers.errors import InputError
from explainers.methods import METHODS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/your_own_model.md").read_text()
EXPLAINERS = METHODS | {"CAMBaseline": CAMBaseline, "CaptumBaseline": CaptumBaseline, "RISE": RISE}
RANDOM = {"pretrained": False, "num_classes": 4}
ROWS = {
    "CNN of timm": ["test_resnet", "test_convnext"],
    "transformer of timm": ["test_vit"],
    "CNN or Swin of torchvision": ["torchvision:resnet18", "torchvision:swin_t"],
    "ViT of torchvision": ["torchvision:vit_b_16"],
    "CNN or other network of transformers": ["ResNet", "Swin"],
    "ViT or DeiT of transformers": ["ViT", "DeiT"],
    "CLIP of open_clip, with a CNN": ["open_clip:test_convnext", "open_clip:resnet"],
    "CLIP of open_clip, with a ViT": ["open_clip:vit"],
    "CLIP of timm": ["vit_base_patch32_clip_224.openai"],
    "module of your own": [None],
}
"""Networks that stand for each row of the table."""


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1))
        self.head = nn.Linear(16, 4)

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))


def classifier_of(name, folder):
    preparation = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [64, 64]}
    if name is None:
        return FrozenClassifier(Mine(), **preparation)
    if name.startswith("open_clip:") or "clip" in name:
        return clip(name, folder)
    if ":" in name or name.startswith("test_"):
        return FrozenClassifier.of(RANDOM | {"model": name})
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    sizes = {
        "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
        "Swin": {"image_size": 64, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 1]},
    }
    vit = {"hidden_size": 16, "num_hidden_layers": 5, "num_attention_heads": 2}
    vit |= {"intermediate_size": 32, "image_size": 64, "patch_size": 16}
    config = getattr(transformers, f"{name}Config")(**sizes.get(name, vit), num_labels=4)
    network = getattr(transformers, f"{name}ForImageClassification")(config)
    network.save_pretrained(folder)
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(folder)
    return FrozenClassifier(f"transformers:{folder}")


def clip(name, folder):
    """A CLIP network of random weights; that of timm's name stands in for a large one."""
    library = pytest.importorskip("open_clip", reason="needs the extra clip")
    towers = {
        "open_clip:test_convnext": {"timm_model_name": "test_convnext", "timm_pool": ""},
        "open_clip:resnet": {"layers": [1, 1, 1, 1], "width": 16},
    }
    vit = {"layers": 4, "width": 64, "patch_size": 16, "head_width": 32}
    vision = {"image_size": 64} | towers.get(name, vit)
    text = {"context_length": 16, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    source = {"pretrained": False, "classes": ["a cat", "a dog", "a red car"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.factory, "_MODEL_CONFIGS", {"tiny": config, "ViT-B-32": config})
        model = "open_clip:tiny" if name.startswith("open_clip:") else name
        return FrozenClassifier.of(source | {"model": model})


def explainers_of(group):
    """The names in the paragraph of a group."""
    paragraph = re.search(rf"\*\*{group}\*\*: (.*?)\. ", PAGE, re.DOTALL | re.IGNORECASE)
    return set(re.findall(r"`(\w+)`", paragraph[1]))


def test_every_explainer_is_in_one_of_the_groups():
    groups = [explainers_of("for all networks"), explainers_of("for transformers")]
    assert groups[0] | groups[1] == EXPLAINERS.keys()
    assert not groups[0] & groups[1]


def test_every_row_is_tried():
    table = re.findall(r"^\| ([^|`]+?) \|", PAGE, re.MULTILINE)
    assert table == ["your model", *ROWS]


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in ROWS for name in ROWS[row]])
def test_explainers_of_a_row_are_those_that_can_be_built(row, name, tmp_path):
    (cells,) = re.findall(rf"^\| {row} \|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE)
    promised = set().union(*(explainers_of(group.strip()) for group in cells.split(";")))
    torch.manual_seed(0)
    classifier = classifier_of(name, tmp_path)
    found = set()
    for kind, build in EXPLAINERS.items():
        try:
            build(classifier, **({"auxiliary": classifier} if kind == "PTAME" else {}))
        except InputError:
            continue
        found.add(kind)
    assert found == promised
