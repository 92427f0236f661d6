"""Initialising, freezing, saving and loading trained weights."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.func import functional_call

from explainers.classifier import FrozenClassifier
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError
from explainers.training.bundle_files import bundle_folder

STARTING_POINT = {"init_from": None, "freeze_taken": False, "surrogate": None}
"""Hyperparameters of the training, not of what the explainer is, with the value of none."""


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """The weights and buffers that training sets: all but the frozen networks'."""
    frozen = _frozen_prefixes(module)
    return {k: v for k, v in module.state_dict().items() if not k.startswith(frozen)}


def scores_with(
    explainer: nn.Module, weights: Mapping[str, Tensor], images: Tensor, target: Tensor
) -> Tensor:
    """Scores (b 1 h w) of an explainer with other trained weights, which it does not keep.

    Args:
        explainer: an `Explainer`.
        weights: as `trained_state` gives them.
        images: (b 3 h w) in [0, 1].
        target: as the explainer takes it.
    """
    there = {name: weight.to(images.device) for name, weight in weights.items()}
    scores: Tensor = functional_call(explainer, there, (images, target))
    return scores.detach()


def missing_weights(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Those of the names that a checkpoint lacks which are no frozen network's."""
    frozen = _frozen_prefixes(module)
    return [name for name in names if not name.startswith(frozen)]


def _frozen_prefixes(module: nn.Module) -> tuple[str, ...]:
    # One that is shared has several names, and the state lists it under each.
    everywhere = module.named_modules(remove_duplicate=False)
    return tuple(f"{name}." for name, part in everywhere if isinstance(part, FrozenClassifier))


def fitting(
    mine: Mapping[str, Tensor], source: str, fixed_classes: bool = True
) -> tuple[dict[str, Tensor], str]:
    """A bundle's weights that have the name and shape of one of mine, and a line on the rest.

    Args:
        mine: the weights to initialise.
        source: the bundle to initialise from.
        fixed_classes: they are weights for some classes, and not for any.

    Raises:
        InputError: there is no such bundle, nothing fits, or a weight is NaN or infinite.
    """
    given = read_state(bundle_folder(source) / "model.safetensors")
    require_finite(given, source)
    taken = {k: v for k, v in given.items() if k in mine and v.shape == mine[k].shape}
    if not taken:
        raise InputError(f"no weight in {source} has the name and shape of one here; start afresh")
    rest = {"left as they were": mine.keys() - taken, "not used": given.keys() - taken}
    parts = [f"{what}: {', '.join(sorted(names))}" for what, names in rest.items() if names]
    if not parts:
        parts = ["all fit"]
        if not fixed_classes:
            parts.append("they are for any class, and training for new ones is optional")
    return taken, f"took {len(taken)} tensors from {source}; {'; '.join(parts)}"


def require_unchanged(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise RuntimeError if a frozen network has another fingerprint than before."""
    for name, fingerprint in before.items():
        if now[name] != fingerprint:
            raise RuntimeError(f"the weights of {name} changed during the fit; it is frozen")


def freeze(module: nn.Module, names: Iterable[str]) -> None:
    """Take weights out of training, and their owners out of train mode."""
    parameters = dict(module.named_parameters())
    for name in parameters.keys() & set(names):
        parameters[name].requires_grad_(False)
    hold(module, names)


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
    require_finite(given, f"this {kind}")


def require_finite(given: Mapping[str, Tensor], source: str) -> None:
    """Refuse trained weights that hold NaN or infinite values.

    Raises:
        InputError: some do.
    """
    for name, value in given.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(
                f"the trained weights {name} of {source} hold NaN or infinite values; train it "
                "again, with a lower lr if the loss rose"
            )


def require_precision(mine: Mapping[str, Tensor], given: Mapping[str, Tensor], kind: str) -> None:
    """Refuse weights of another type of number than an explainer's own, which are float32.

    Raises:
        InputError: one is of integers, of half precision, or of any other type.
    """
    for name, value in given.items():
        if name in mine and value.dtype != mine[name].dtype:
            raise InputError(
                f"the trained weights {name} of this {kind} are {_type_of(value)}, expected "
                f"{_type_of(mine[name])}; fetch the bundle again"
            )


def _type_of(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def require_fingerprints(networks: Iterable[str], given: object) -> None:
    """Refuse fingerprints that do not name all frozen networks.

    Args:
        networks: the frozen networks, by where they are.
        given: SHA-256 by network, as a bundle has them.

    Raises:
        InputError: those of a network are missing, or no text.
    """
    known = given if isinstance(given, Mapping) else {}
    for name in networks:
        if not isinstance(known.get(name), str):
            raise InputError(
                f"the bundle has no fingerprint of {name}, so the weights that it was trained for "
                "cannot be checked; fetch it again, or pass allow_other_weights=True "
                "(--allow-other-weights) to take the risk"
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


def require_loadable(
    explainer: nn.Module, state: Mapping[str, Tensor], fingerprints: Mapping[str, str]
) -> None:
    """Refuse weights that do not fit an explainer, or of other frozen networks; InputError.

    Args:
        explainer: a `LearnedExplainer`.
        state: the weights.
        fingerprints: of the frozen networks that they were trained with; empty skips this check.
    """
    require_fit(trained_state(explainer), state, type(explainer).__name__)
    if fingerprints:
        require_same_networks(explainer.fingerprints(), fingerprints)  # type: ignore[operator]
