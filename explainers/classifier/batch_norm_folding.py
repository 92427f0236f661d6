"""Folding of frozen batch norms into the convolutions before them."""

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from explainers.classifier.weight_files import fingerprint
from explainers.errors import InputError

FOLDABLE = (nn.Conv2d, Conv2dSame)  # of others, the weights are not what the images meet


def fold_and_remember(model: nn.Module, images: Tensor) -> dict[str, str]:
    """Fold, and return the fingerprint of the weights before, by that of those after."""
    before = fingerprint(model)
    fold_batch_norms(model, images)
    return {fingerprint(model): before}


@torch.no_grad()
def fold_batch_norms(model: nn.Module, images: Tensor) -> int:
    """Fold, in place, each batch norm that reads nothing but a convolution's output.

    With fixed statistics it is a scale and a shift of each channel, which the convolution does for
    nothing; exact to rounding.

    Args:
        model: in eval mode.
        images: what it takes, to see in which order its layers run.

    Returns:
        How many were folded.

    Raises:
        InputError: the model then answers otherwise: it uses a convolution's output twice.
    """
    before, pairs = _run(model, images)
    if not pairs:
        return 0
    for norm, convolution in pairs.items():
        _fold(norm, convolution)
    for name, module in list(model.named_modules()):
        if module in pairs:
            rest = [module.drop, module.act] if isinstance(module, BatchNormAct2d) else []
            model.set_submodule(name, nn.Sequential(*rest))
    if not torch.allclose(model(images), before, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        raise InputError(
            f"the batch norms of a {type(model).__name__} cannot be folded: a convolution's output "
            "is read by more than its batch norm; leave fold_batch_norm out"
        )
    return len(pairs)


def _run(model: nn.Module, images: Tensor) -> tuple[Tensor, dict[nn.BatchNorm2d, nn.Conv2d]]:
    """A model's answer, and its batch norms that can be folded, each with its convolution."""
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # held, so that no two share an id
    read: dict[nn.BatchNorm2d, nn.Conv2d | None] = {}
    runs: dict[nn.Conv2d, int] = {}

    def after(module: nn.Conv2d, _given: tuple[Tensor, ...], output: Tensor) -> None:
        outputs[id(output)] = module, output
        runs[module] = runs.get(module, 0) + 1

    def before(module: nn.BatchNorm2d, given: tuple[Tensor, ...]) -> None:
        convolution, _ = outputs.get(id(given[0]), (None, None))
        read[module] = None if module in read else convolution

    hooks = []
    for module in model.modules():
        if type(module) in FOLDABLE and not module._forward_pre_hooks:  # as of weight norm
            hooks.append(module.register_forward_hook(after))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before))
    try:
        answer: Tensor = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = {norm: conv for norm, conv in read.items() if conv is not None and runs[conv] == 1}
    return answer, pairs


def _fold(norm: nn.BatchNorm2d, convolution: nn.Conv2d) -> None:
    """Let the convolution do what the batch norm after it does; in float64, rounded once."""
    mean, variance, old = norm.running_mean, norm.running_var, convolution.bias
    assert mean is not None
    assert variance is not None
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = (0 if old is None else old.double()) - mean.double()
    bias = shift * scale + (0 if norm.bias is None else norm.bias.double())
    weight = convolution.weight
    weight.copy_(weight.double() * scale[:, None, None, None])
    convolution.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
