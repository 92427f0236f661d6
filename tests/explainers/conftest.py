"""Tiny vision transformers of every kind, tiny CLIP networks, and steps of training on one batch."""

import json
from pathlib import Path

import pytest
import timm
import torch
from packaging.version import Version

from explainers import FrozenClassifier

SMALL = {"depth": 3, "embed_dim": 32, "num_heads": 2}
BEIT = {"img_size": 64, "global_pool": "token", **SMALL}

# By name: timm's model, its arguments, and how many prefix tokens it has.
TRANSFORMERS = {
    "class token": ("test_vit", {"depth": 3}, 1),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": (56, 70), **SMALL}, 5),
    "distilled": ("deit_tiny_distilled_patch16_224", {"img_size": 64, **SMALL}, 2),
    "layer scale": ("deit3_small_patch16_224", {"img_size": 64, **SMALL}, 1),
    "relative": ("beit_base_patch16_224", BEIT, 1),
    "shared relative": ("beit_base_patch16_224", BEIT | {"use_shared_rel_pos_bias": True}, 1),
    "rotary": ("eva02_tiny_patch14_224", {"img_size": 56, "global_pool": "token", **SMALL}, 1),
    "mixed rotary": ("vit_small_patch16_rope_mixed_224", {"img_size": 64, **SMALL}, 1),
    "rotary registers": ("vit_small_patch16_dinov3", BEIT, 5),
}
POOLED = {
    "mean": ("test_vit2", {"depth": 3}, 1),
    "rotary mean": ("eva02_tiny_patch14_224", {"img_size": 56, **SMALL}, 1),
}


@pytest.fixture
def build():
    """Make the classifier of an entry of the tables above, and its number of prefix tokens."""

    def make(name, fused=True):
        if name == "mixed rotary" and Version(timm.__version__) < Version("1.0.31"):
            pytest.skip("older versions of timm compute these in float32 only, and this is float64")
        model_name, options, prefix = (TRANSFORMERS | POOLED)[name]
        torch.manual_seed(0)
        model = timm.create_model(model_name, num_classes=5, **options)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.2 * torch.randn_like(weight))
        for block in model.blocks:
            block.attn.fused_attn = fused
        size = options.get("img_size", 64)
        size = size if isinstance(size, tuple) else (size, size)
        return FrozenClassifier(model, size=size).double(), prefix

    return make


@pytest.fixture(params=TRANSFORMERS)
def transformer(request, build):
    """A classifier whose head reads a token of its own, and its number of prefix tokens."""
    return build(request.param)


@pytest.fixture
def pictures():
    """Two images (2 3 64 80) of noise in [0, 1], float64."""
    return torch.rand(2, 3, 64, 80, dtype=torch.float64)


@pytest.fixture(scope="session")
def objective():
    """What a learned explainer minimises on a batch of images (b 3 h w) and labels (b)."""

    def total(explainer, images, labels):
        logits = explainer.classifier(images)
        classes = explainer.step_classes(labels, logits)
        masks = explainer.network.draw(explainer.network.read(images), classes)
        terms = explainer.losses(images, labels, masks, logits)
        return torch.stack(list(terms.values())).sum()

    return total


@pytest.fixture(scope="session")
def twenty_steps(objective):
    """Train on one batch, and return the objective before each of twenty steps."""

    def train(explainer, images, labels, optimizer):
        history = []
        for _ in range(20):
            loss = objective(explainer, images, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        return history

    return train


TOWERS = {
    "ViT": {"layers": 4, "width": 64, "patch_size": 16, "head_width": 32},
    "mean": {"layers": 4, "width": 64, "patch_size": 16, "head_width": 32, "pool_type": "avg"},
    "ResNet": {"layers": [1, 1, 1, 1], "width": 16},
    "ConvNeXt": {"timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
    "fast": {"timm_model_name": "test_resnet", "timm_pool": "", "timm_proj": "linear"},
    "SigLIP": {"timm_model_name": "test_vit4", "timm_pool": "map", "timm_proj": "none"},
    "perceptron": {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "mlp"},
    "attention": {"layers": 4, "width": 64, "patch_size": 16, "attentional_pool": True},
}
"""Image towers of open_clip's kinds: vision_cfg by name."""


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """Write the folder of a CLIP network of open_clip, with random weights, and return it."""
    library = pytest.importorskip("open_clip", reason="needs the extra clip")
    torch_file = pytest.importorskip("safetensors.torch")

    def write(tower, **options):
        folder: Path = tmp_path_factory.mktemp("clip")
        vision = {"image_size": 64} | TOWERS[tower]
        text = {"context_length": 16, "width": 32, "heads": 2, "layers": 2}
        config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text} | options
        preparation = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear"}
        described = {"model_cfg": config, "preprocess_cfg": preparation}
        (folder / "open_clip_config.json").write_text(json.dumps(described))
        torch.manual_seed(0)
        model = library.create_model(f"local-dir:{folder}", load_weights=False)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.endswith("bn3.weight"):  # drawn as 0, with which blocks do nothing
                    weight.fill_(1)
        state = {name: weight.contiguous() for name, weight in model.state_dict().items()}
        torch_file.save_file(state, folder / "open_clip_model.safetensors")
        return folder

    return write
