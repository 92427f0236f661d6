"""Starting an explainer from the trained weights of another: what fits, and what is then frozen."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from explainers.errors import InputError

STARTING_POINT = {"init_from": None, "freeze_taken": False}
"""Arguments that say where training starts, not what the explainer is, and what says nothing."""


def fitting(
    mine: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], str]:
    """What of `given` has the name and shape of something of mine, and a line on the rest.

    Args:
        mine: the weights to start.
        given: the weights to start from.
        source: what to call these.

    Raises:
        InputError: nothing fits.
    """
    taken = {k: v for k, v in given.items() if k in mine and v.shape == mine[k].shape}
    if not taken:
        raise InputError(f"no weight in {source} has the name and shape of one here; start afresh")
    rest = {"left as they were": mine.keys() - taken, "not used": given.keys() - taken}
    parts = [f"{what}: {', '.join(sorted(names))}" for what, names in rest.items() if names]
    return taken, f"took {len(taken)} tensors from {source}; " + ("; ".join(parts) or "all fit")


def freeze(module: nn.Module, names: Iterable[str]) -> None:
    """Take weights out of training."""
    parameters = dict(module.named_parameters())
    for name in parameters.keys() & set(names):
        parameters[name].requires_grad_(False)


def hold(module: nn.Module, names: Iterable[str]) -> None:
    """Put the owners of weights and buffers in eval mode: statistics do not move there."""
    for name in names:
        module.get_submodule(name.rpartition(".")[0]).training = False


def require_fit(mine: Mapping[str, Tensor], given: Mapping[str, Tensor], kind: str) -> None:
    """Refuse weights of other names or shapes than an explainer's own.

    Raises:
        InputError: some are missing, unknown or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in mine.items()}
    found = {name: tuple(value.shape) for name, value in given.items()}
    if expected != found:
        name = min(expected.items() ^ found.items())[0]
        raise InputError(
            f"the trained weights do not fit this {kind}: {name} is {found.get(name, 'missing')}, "
            f"expected {expected.get(name, 'nothing')}; use the settings it was trained with"
        )


def require_same_networks(actual: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse frozen networks of other SHA-256 than those that weights were trained with.

    Raises:
        InputError: one has another, or is not there.
    """
    for name, fingerprint in expected.items():
        if actual.get(name) != fingerprint:
            raise InputError(
                f"trained for other weights of {name} (SHA-256 {fingerprint[:12]}…, here "
                f"{str(actual.get(name))[:12]}…); use those, or pass allow_other_weights=True "
                "(--allow-other-weights) to take the risk"
            )
