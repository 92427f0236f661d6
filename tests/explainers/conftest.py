"""Tiny vision transformers of every kind, in float64, and steps of training on one batch."""

import pytest
import timm
import torch

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
        masks = explainer.network.draw(
            explainer.network.read(images), explainer.target_classes(labels)
        )
        terms = explainer.losses(images, labels, masks, explainer.classifier(images))
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
