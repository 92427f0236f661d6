"""The masked-input surrogate: a classifier fine-tuned to answer on masked images as on whole ones.

Jethani et al., AISTATS 2021 (https://arxiv.org/abs/2103.01890), where it judges explanations, and
Covert et al., ICLR 2023 (https://arxiv.org/abs/2206.05282), where it is a value function.
"""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from safetensors.torch import save_file
from torch import Tensor

from explainers.classifier import ClassifierSource, FrozenClassifier
from explainers.classifier.weight_files import read_state
from explainers.durable_files import write_aside
from explainers.errors import InputError, require_number
from explainers.training.masked_answers import MaskedAnswers
from explainers.training.optimisers import one_cycle

KIND = "MaskedSurrogate"


class MaskedSurrogate(LightningModule):
    """Trains a copy of a classifier on masked images: min KL(f(x) || q(x_S)).

    S is of a grid's patches, a share of them that is uniform in [0, 1]; the others are removed.
    The classifier f itself does not change, and the copy q keeps its batch statistics.

    Args:
        classifier: what is approximated; see `FrozenClassifier.of`.
        cells: patches of the grid on each side.
        removal: `black` or `tokens`; see `masked_answers.REMOVALS`.
        lr: peak rate of AdamW, over one cycle.
        weight_decay: of AdamW.

    Raises:
        InputError: a number is out of its range.
    """

    def __init__(
        self,
        classifier: ClassifierSource,
        cells: int = 14,
        lr: float = 1e-4,
        weight_decay: float = 0.01,
        removal: str = "black",
    ) -> None:
        super().__init__()
        require_number("lr", lr, above=0)
        require_number("weight_decay", weight_decay, least=0)
        self.classifier = FrozenClassifier.of(classifier)
        self.network = copy.deepcopy(self.classifier)
        self.network.model.requires_grad_(True)
        self.cells, self.lr, self.weight_decay = cells, lr, weight_decay
        self.removal = removal
        _ = MaskedAnswers(self.classifier, removal, cells)  # refuses what cannot be removed

    def forward(self, images: Tensor) -> Tensor:
        """Map masked images (b 3 h w) in [0, 1] to logits (b classes)."""
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Minimise the divergence of the answers on masked images from those on whole ones."""
        loss = self.divergence(batch["image"], self.global_step)
        self.log("train/divergence", loss, prog_bar=True, batch_size=len(batch["image"]))
        return loss

    def divergence(self, images: Tensor, seed: int) -> Tensor:
        """Mean divergence on images (b 3 h w) under masks that are drawn by a seed."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            whole = self.classifier(images)
        answers = MaskedAnswers(self.network, self.removal, self.cells)
        kept = random_subsets(len(images), answers.grid(images), generator).to(images.device)
        return self.classifier.decision.divergence(whole, answers(images, kept))

    def configure_optimizers(self) -> Any:  # noqa: ANN401  Lightning's own union of types
        """AdamW on the copy, over one cycle."""
        weights = self.network.parameters()
        optimizer = torch.optim.AdamW(weights, self.lr, weight_decay=self.weight_decay)
        schedule = one_cycle(optimizer, self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def save(self, folder: str | Path, training: dict[str, Any]) -> Path:
        """Write a folder with the copy's weights and what they were trained for.

        Args:
            folder: it is made.
            training: plain values that are kept in config.json.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = self.network.model.state_dict()
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
        config = {
            "class": KIND,
            "classifier": self.classifier.source,
            "fingerprint": self.classifier.fingerprint(),
            "cells": self.cells,
            "removal": self.removal,
            "training": training,
        }
        write_aside(folder / "config.json", json.dumps(config, indent=2).encode())
        return folder


def random_subsets(
    images: int, grid: tuple[int, int], generator: torch.Generator | None = None
) -> Tensor:
    """Subsets of patches (images rows columns), bool: a share of them that is uniform in [0, 1].

    Args:
        images: number of images.
        grid: rows and columns of patches.
        generator: of the draw, on the CPU.
    """
    shares = torch.rand(images, 1, 1, generator=generator)
    return torch.rand(images, *grid, generator=generator) < shares


def load_surrogate(
    folder: str | Path, classifier: FrozenClassifier, removal: str = "black"
) -> FrozenClassifier:
    """The surrogate of a classifier, ready to answer on masked images.

    Args:
        folder: as `MaskedSurrogate.save` writes it.
        classifier: it has to be the one that the surrogate was trained for.
        removal: likewise.

    Raises:
        InputError: there is no surrogate, or it is another classifier's, or for another removal.
    """
    config = _config_in(Path(folder))
    trained_for = config.get("removal", "black")
    if trained_for != removal:
        raise InputError(
            f"the surrogate in {folder} was trained for removal {trained_for}, and here it is "
            f"{removal}; train one for it, or choose {trained_for}"
        )
    if config.get("fingerprint") != classifier.fingerprint():
        raise InputError(
            f"the surrogate in {folder} was trained for other weights than those of "
            f"{classifier.name}; train one for it with `explainers judge`"
        )
    surrogate = copy.deepcopy(classifier)
    surrogate.model.load_state_dict(read_state(Path(folder) / "model.safetensors"))
    return surrogate


def trained_as(folder: str | Path) -> dict[str, Any]:
    """The training that a surrogate's folder keeps; raises InputError if it holds none."""
    training: dict[str, Any] = _config_in(Path(folder))["training"]
    return training


def _config_in(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"no masked-input surrogate in {folder.absolute()}; `explainers judge` trains one"
        ) from error
    if not isinstance(config, dict) or config.get("class") != KIND:
        raise InputError(f"{folder} holds no masked-input surrogate; `explainers judge` trains one")
    return config
