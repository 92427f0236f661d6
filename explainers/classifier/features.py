"""Features of any timm model by depth and in one layout, without hooks; the sizes it takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from explainers.errors import InputError, require_whole, shown

LARGE_ENOUGH = 64  # pixels a side; smaller images than this, some networks do not take


@dataclass(frozen=True)
class Stage:
    """A depth at which features can be read: how many channels, at what stride in pixels."""

    channels: int
    reduction: int


def stages_of(model: nn.Module) -> list[Stage]:
    """Stages that features can be read at: timm's, shallowest first, then the pooled ones."""
    timm_model = require_timm(model, "features")
    listed = [Stage(info["num_chs"], info["reduction"]) for info in timm_model.feature_info]
    return [*listed, Stage(timm_model.num_features, listed[-1].reduction)]


def require_stages(model: nn.Module, stages: object, name: str = "stages") -> None:
    """Refuse stages that a model does not have, twice the same, or none.

    Raises:
        InputError: one is unknown or named twice, or there is none.
    """
    count = len(stages_of(model))
    if isinstance(stages, str) or not isinstance(stages, Sequence) or not len(stages):
        raise InputError(f"{name} must be a list of at least one stage, got {shown(stages)}")
    for stage in stages:
        require_whole(f"each of {name}" if len(stages) > 1 else name, stage, -count, count - 1)
    if len({stage % count for stage in stages}) < len(stages):
        raise InputError(
            f"{name} must differ, got {shown(stages)}; negative ones count from the last of {count}"
        )


def read_features(
    model: nn.Module, images: Tensor, stages: Sequence[int], norm: bool = True
) -> list[Tensor]:
    """Map normalised images (b 3 h w) to feature maps (b channels _ _), in the order asked.

    Args:
        model: timm's.
        images: of a size that the model takes.
        stages: positions in `stages_of`; negative counts from the last.
        norm: pass a transformer's tokens of inner stages through its final norm.
    """
    return _read(model, images, stages, norm, to_the_end=False)[0]


def read_logits_and_features(
    model: nn.Module, images: Tensor, stages: Sequence[int], norm: bool = True
) -> tuple[Tensor, list[Tensor]]:
    """Logits (b classes) and, of the same pass, what `read_features` gives."""
    maps, last = _read(model, images, stages, norm, to_the_end=True)
    logits: Tensor = require_timm(model, "features").forward_head(last)
    return logits, maps


def _read(
    model: nn.Module, images: Tensor, stages: Sequence[int], norm: bool, to_the_end: bool
) -> tuple[list[Tensor], Tensor | None]:
    """Maps, and what the head reads, if the pass has to or is to go that far."""
    timm_model = require_timm(model, "features")
    count = len(stages_of(model))
    wanted = [stage % count for stage in stages]
    indices = sorted({stage for stage in wanted if stage < count - 1})
    options: dict[str, Any] = {"indices": indices, "output_fmt": "NCHW"}
    if hasattr(model, "num_prefix_tokens"):  # a transformer
        options["norm"] = norm  # if so, the tokens that the head would read at that depth
    last: Any = None
    intermediates: list[Tensor] = []
    if count - 1 not in wanted and not to_the_end:
        intermediates = timm_model.forward_intermediates(
            images, intermediates_only=True, stop_early=True, **options
        )
    elif indices:
        last, intermediates = timm_model.forward_intermediates(images, **options)
    else:
        last = timm_model.forward_features(images)
    maps = dict(zip(indices, intermediates, strict=True))
    if count - 1 in wanted:
        maps[count - 1] = as_maps(model, last, images.shape[-2:])
    return [maps[stage] for stage in wanted], last


def as_maps(model: nn.Module, features: Tensor, size: Sequence[int]) -> Tensor:
    """Bring features of the model's own layout to maps (b channels _ _).

    Args:
        model: what they come from.
        features: tokens (b _ channels), of which the class and register tokens are left out, or
            maps with the channels first or, in models that say so, last.
        size: height and width in pixels of the images in the model.
    """
    if features.ndim == 3:
        tokens = features[:, getattr(model, "num_prefix_tokens", 0) :]
        grid = [side // stages_of(model)[-1].reduction for side in size]
        maps: Tensor = tokens.transpose(1, 2).unflatten(2, grid)
        return maps
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        return features.permute(0, 3, 1, 2)
    return features


def require_timm(model: nn.Module, what: str) -> Any:  # noqa: ANN401  they have no common type
    """The model itself, if it is one of timm's.

    Raises:
        InputError: it is not, so there is no `what`.
    """
    if not hasattr(model, "forward_intermediates"):
        raise InputError(
            f"{what!r} needs a timm model, and {type(model).__name__} is none; "
            "only its logits can be used"
        )
    return model


def require_logits(answer: Any, name: str) -> Tensor:  # noqa: ANN401  whatever a model answers
    """A model's answer, if it is logits (b classes).

    Raises:
        InputError: it is anything else.
    """
    if isinstance(answer, Tensor) and answer.ndim == 2:
        return answer
    shown = f"a {type(answer).__name__}"
    if isinstance(answer, Tensor):
        shown = f"a tensor of {tuple(answer.shape)}"
    elif isinstance(answer, Mapping):
        shown += f" of {', '.join(map(str, answer))}"
    raise InputError(
        f"{name} answers with {shown}, not with logits (b classes); wrap it in a module whose "
        "forward returns these"
    )


def nearest_size(
    model: nn.Module, size: Sequence[int], made_for: tuple[int, int]
) -> tuple[int, int]:
    """The size (h w) in pixels nearest to `size` that a model can take.

    Args:
        model: timm's, or any other, which takes the one it was made for.
        size: height and width wished for.
        made_for: the size that it was made for.
    """
    height, width = size
    config: Any = getattr(model, "pretrained_cfg", None)
    if config is None:
        return made_for
    if getattr(model, "dynamic_img_size", False):
        patch = require_timm(model, "size").patch_embed.patch_size
        return (
            max(1, round(height / patch[0])) * patch[0],
            max(1, round(width / patch[1])) * patch[1],
        )
    return made_for if config.get("fixed_input_size") else (height, width)


@torch.inference_mode()
def require_size(
    model: nn.Module, forward: Callable[[Tensor], Tensor], size: Sequence[int]
) -> None:
    """Refuse a size (h w) of images below the smallest that a model takes.

    Raises:
        InputError: it is; the message names the smallest multiple of 8 that works.
    """
    if min(size) >= LARGE_ENOUGH or _takes(forward, size):
        return
    smallest = next(
        (side for side in range(8, LARGE_ENOUGH + 1, 8) if _takes(forward, (side, side))), None
    )
    if smallest is not None:
        raise InputError(
            f"size {list(size)} is too small for a {type(model).__name__}; choose at least "
            f"[{smallest}, {smallest}]"
        )


def _takes(forward: Callable[[Tensor], Tensor], size: Sequence[int]) -> bool:
    try:
        return bool(forward(torch.zeros(1, 3, *size)).numel() >= 0)
    except (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError):
        return False
