"""The recorded training cost of a bundle."""

from explainers.evaluation.costs import Training
from explainers.training.bundle_files import bundle_folder, read_config


def training_of(bundle: str) -> Training:
    """Training cost of a bundle, and of the one that it was started from.

    Args:
        bundle: a folder or `hf-hub:org/name`.

    Raises:
        InputError: there is no such bundle.
    """
    recorded = read_config(bundle_folder(bundle) / "config.json").get("training") or {}
    own = Training.of_record(recorded)
    if "start" in recorded or "init_from" in recorded:
        return own + Training.of_record(recorded.get("start") or {})
    return own
