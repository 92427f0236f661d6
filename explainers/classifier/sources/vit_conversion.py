"""Vision transformers of torchvision and transformers as timm's, which every method can read.

The weights are the same under other names. What is built is compared with what it is built from,
and only taken if it gives the same logits.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

TOLERANCE = 1e-4  # of logits, as a share of the largest

TORCHVISION = (
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
)
TRANSFORMERS = (
    (r"^(vit|deit)\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.distillation_token$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(encoder\.layer|layers)\.(\d+)\.", r"blocks.\2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.(?:attention\.)?(query|key|value|[qkv]_proj)\.", r".attn.\1."),
    (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
)
OPEN_CLIP = (
    (r"^class_embedding$", "cls_token"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^positional_embedding$", "pos_embed"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^transformer\.resblocks\.(\d+)\.", r"blocks.\1."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^ln_post\.", "norm."),
)
"""Patterns of names and what timm calls these weights, by library."""

PARTS = (("query", "key", "value"), ("q_proj", "k_proj", "v_proj"))


def as_timm(network: nn.Module) -> nn.Module:
    """Timm's transformer with the weights of another library's; the network itself if there is none.

    Args:
        network: it answers normalised images with logits or an object of them.
    """
    kind = type(network).__name__
    try:
        if kind == "VisionTransformer":
            size, converted = _from_torchvision(network)
        elif kind in ("ViTForImageClassification", "DeiTForImageClassification"):
            size, converted = _from_transformers(network)
        else:
            return network
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            answer: Any = network.eval()(image)
            expected: Tensor = getattr(answer, "logits", answer)
            difference = (converted.eval()(image) - expected).abs().max()
    except (RuntimeError, AttributeError, KeyError, AssertionError):
        return network  # of another layout than the families' usual one
    return converted if difference <= TOLERANCE * expected.abs().max() else network


def _from_torchvision(network: Any) -> tuple[tuple[int, int], nn.Module]:  # noqa: ANN401
    size = sides(network.image_size)
    heads, eps = network.encoder.layers[0].num_heads, network.encoder.ln.eps
    state = renamed(network.state_dict(), TORCHVISION)
    return size, _built(state, size, network.patch_size, heads, eps)


def _from_transformers(network: Any) -> tuple[tuple[int, int], nn.Module]:  # noqa: ANN401
    config = network.config
    size = sides(config.image_size)
    state = renamed(network.state_dict(), TRANSFORMERS)
    heads, eps = config.num_attention_heads, config.layer_norm_eps
    return size, _built(state, size, config.patch_size, heads, eps)


def sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a size that is a number, or both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def clip_vit(tower: Any) -> nn.Module:  # noqa: ANN401
    """Timm's transformer, without a last layer, with the weights of an image tower of open_clip."""
    state = renamed(tower.state_dict(), OPEN_CLIP)
    del state["proj"]
    state["cls_token"] = state["cls_token"][None, None]
    state["pos_embed"] = state["pos_embed"][None]
    block = tower.transformer.resblocks[0]
    return _built(
        state,
        sides(tower.image_size),
        tower.patch_size,
        block.attn.num_heads,
        tower.ln_post.eps,
        pre_norm=True,
        global_pool={"tok": "token", "avg": "avg"}[tower.pool_type],
        fc_norm=False,  # the norm comes before the pooling
        act_layer="quick_gelu" if type(block.mlp.gelu).__name__ == "QuickGELU" else "gelu",
    )


def _built(
    state: Mapping[str, Tensor],
    size: tuple[int, int],
    patch: int | tuple[int, int],
    heads: int,
    eps: float,
    **options: Any,  # noqa: ANN401
) -> nn.Module:
    """Timm's transformer whose shapes are those of the weights."""
    width = state["norm.weight"].shape[0]
    network = VisionTransformer(
        img_size=size,
        patch_size=patch,
        num_classes=len(state.get("head.weight", ())),
        embed_dim=width,
        depth=1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks.")),
        num_heads=heads,
        mlp_ratio=state["blocks.0.mlp.fc1.weight"].shape[0] / width,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        reg_tokens=int("reg_token" in state),
        norm_layer=partial(nn.LayerNorm, eps=eps),
        dynamic_img_size=True,
        **options,
    )
    network.load_state_dict(state)
    return network


def renamed(state: Mapping[str, Tensor], names: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """Weights under timm's names, those of queries, keys and values as one."""
    found = {}
    for name, value in state.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        found[name] = value
    for parts in PARTS:
        for name in [name for name in found if f".attn.{parts[0]}." in name]:
            each = [found.pop(name.replace(parts[0], part)) for part in parts]
            found[name.replace(parts[0], "qkv")] = torch.cat(each)
    return found
