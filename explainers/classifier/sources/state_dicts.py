"""State dicts as they come: with prefixes of wrappers, and with errors that can be read."""

from collections import Counter
from collections.abc import Collection, Mapping

from torch import Tensor, nn

from explainers.errors import InputError


def unprefixed(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """Weights without the prefix of a wrapper: DDP's `module.`, Lightning's `model.`, or any other.

    Args:
        state: weights by name.
        expected: names that the network has.

    Returns:
        The weights under the prefix that makes most of the names expected, and no others where
        that is not the empty one.
    """
    prefixes: Counter[str] = Counter([""])
    for name in expected:
        prefixes[""] += name in state
        prefixes.update(key.removesuffix(name) for key in state if key.endswith(f".{name}"))
    prefix = max(prefixes, key=lambda one: (prefixes[one], -len(one)))
    return {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}


def load_weights(network: nn.Module, state: Mapping[str, Tensor], source: str, name: str) -> None:
    """Load all weights of a network.

    Args:
        network: it takes the weights.
        state: weights by name, under any prefix.
        source: what to call the weights.
        name: what to call the network.

    Raises:
        InputError: they do not fit.
    """
    mine = network.state_dict()
    given = unprefixed(state, mine.keys())
    if reasons := misfit(mine, given):
        raise InputError(f"the weights of {source} do not fit {name}: {reasons}")
    network.load_state_dict({key: given[key] for key in mine if key in given}, strict=False)


def misfit(mine: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """The reasons why weights do not fit a network, with the likeliest causes; empty if they do.

    Args:
        mine: the network's own, on any device.
        given: weights by name; those that the network does not have are not looked at.
    """
    # Counters of batch norms are missing in old files, and mean nothing for a frozen network.
    missing = [key for key in mine if key not in given and not key.endswith("num_batches_tracked")]
    other = [key for key in mine if key in given and given[key].shape != mine[key].shape]
    reasons = []
    if missing:
        reasons.append(f"{len(missing)} of {len(mine)} tensors are missing, as {missing[0]}")
    if other:
        key = other[-1]
        there, here = tuple(given[key].shape), tuple(mine[key].shape)
        reasons.append(f"{len(other)} have other shapes, as {key}: {there} there, {here} here")
    if not reasons:
        return ""
    return (
        f"{'; '.join(reasons)}. The file is of another architecture, of another number of classes "
        "(num_classes), or of a part of the network"
    )
