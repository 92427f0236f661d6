"""Explainers with weights of their own: which these are, and how they are started, kept and loaded."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Self

from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from explainers.base import Explainer
from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.weight_files import read_state
from explainers.errors import InputError
from explainers.training import trained_weights as finetuning
from explainers.training.bundle_files import bundle_folder

logger = logging.getLogger(__name__)


class TrainedExplainer(Explainer):
    """Has weights that a fit sets, beside the frozen networks', which a fit must not change.

    Checkpoints hold the trained weights only, and the fingerprints of the frozen networks that
    they were trained with.
    """

    def __init__(self, classifier: ClassifierSource) -> None:
        super().__init__(classifier)
        self._fingerprints: dict[str, str] = {}
        self._kept: list[str] = []

    def start_from(self, bundle: str | None, freeze_taken: bool) -> None:
        """Take from a bundle what fits by name and shape, and say what does not.

        A subclass calls it when its network is there.

        Args:
            bundle: a folder or `hf-hub:org/name`; None to start afresh.
            freeze_taken: whether what is taken stays as it is.

        Raises:
            InputError: there is no such bundle, nothing of it fits, or nothing is left to train.
        """
        if bundle is None:
            if freeze_taken:
                raise InputError("freeze_taken freezes what init_from takes; name a bundle there")
            return
        given = read_state(bundle_folder(bundle) / "model.safetensors")
        taken, report = finetuning.fitting(self.trained_state(), given, bundle)
        self.load_state_dict(self.trained_state() | taken)
        rank_zero_only(logger.warning)(report)
        if freeze_taken:
            self._keep(taken)
            if not any(weight.requires_grad for weight in self.parameters()):
                raise InputError(f"all weights fit {bundle}: with freeze_taken, none is trained")

    def _keep(self, names: Iterable[str]) -> None:
        self._kept = list(names)
        finetuning.freeze(self, self._kept)
        finetuning.hold(self, self._kept)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but what is frozen."""
        super().train(mode)
        finetuning.hold(self, self._kept)
        return self

    def on_fit_start(self) -> None:
        """Remember what must not change."""
        self._fingerprints = self.fingerprints()

    def on_fit_end(self) -> None:
        """Raise RuntimeError if a frozen network is not what it was."""
        now = self.fingerprints()
        for name, before in self._fingerprints.items():
            if now[name] != before:
                raise RuntimeError(f"the weights of {name} changed during the fit; it is frozen")

    def trained_state(self) -> dict[str, Tensor]:
        """The weights and buffers that training sets: everything but the frozen networks."""
        frozen = self._frozen_prefixes()
        return {k: v for k, v in self.state_dict().items() if not k.startswith(frozen)}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401  torch's private tuple of missing and unexpected names
        """Load weights; of those that are missing, the frozen networks' do not count."""
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        frozen = self._frozen_prefixes()
        missing = [name for name in result.missing_keys if not name.startswith(frozen)]
        if strict and (missing or result.unexpected_keys):
            raise RuntimeError(f"missing weights {missing}, unknown {result.unexpected_keys}")
        return type(result)(missing, result.unexpected_keys)

    def _frozen_prefixes(self) -> tuple[str, ...]:
        # One that is shared has several names, and the state lists it under each.
        everywhere = self.named_modules(remove_duplicate=False)
        return tuple(f"{name}." for name, part in everywhere if isinstance(part, FrozenClassifier))

    def load_trained_state(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        """Take trained weights, if they fit and were trained for these frozen networks.

        Args:
            state: what `trained_state` returned.
            fingerprints: what `fingerprints` returned beside it; empty to take the weights for
                other networks knowingly.

        Raises:
            InputError: weights are missing, unknown or of other shapes, or a frozen network has
                other weights than those that `state` was trained with.
        """
        self._check(state, fingerprints)
        self.load_state_dict(state)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen networks out, and record their fingerprints instead."""
        checkpoint["state_dict"] = self.trained_state()
        checkpoint["fingerprints"] = self._fingerprints or self.fingerprints()
        checkpoint["kept"] = self._kept
        # What was taken is in the checkpoint: the bundle need not be there when it is loaded.
        checkpoint.get("hyper_parameters", {}).update(finetuning.STARTING_POINT)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit; raises as `load_trained_state`."""
        self._check(checkpoint["state_dict"], checkpoint.get("fingerprints", {}))
        self._keep(checkpoint.get("kept", []))

    def _check(self, state: dict[str, Tensor], fingerprints: dict[str, str]) -> None:
        finetuning.require_fit(self.trained_state(), state, type(self).__name__)
        if fingerprints:
            finetuning.require_same_networks(self.fingerprints(), fingerprints)
