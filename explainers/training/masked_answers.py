"""Answers of a network to images of which only some patches are kept."""

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.classifier import FrozenClassifier
from explainers.classifier.tokens.hidden_tokens import logits_on_kept
from explainers.classifier.tokens.transformer import Transformer
from explainers.errors import MOST_COUNTED, require_known, require_whole
from explainers.images.pixel_removal import keep
from explainers.training.masking_network import exact

REMOVALS = {
    "black": "the pixels of the other patches are black",
    "tokens": "the tokens of the other patches are dropped: no token of any block attends to them",
}
"""Removals of patches that leave nothing of the image where none is kept, in words."""

CHUNK = 64  # images in the network at once


class MaskedAnswers:
    """Logits of a network on images of which only some patches are kept.

    Args:
        network: what answers.
        removal: a key of `REMOVALS`.
        cells: patches on each side, for `black`; for `tokens` they are the transformer's own.

    Raises:
        InputError: the removal is unknown, or cells are below 2.
        ArchitectureError: `tokens`, and the network is no transformer with one sequence of tokens.
    """

    def __init__(self, network: FrozenClassifier, removal: str = "black", cells: int = 14) -> None:
        require_known("removal", removal, REMOVALS)
        require_whole("cells", cells, 2, MOST_COUNTED)
        self.network = network
        self.cells = cells
        self.transformer = Transformer(network) if removal == "tokens" else None

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of images (b 3 h w)."""
        return (
            (self.cells, self.cells) if self.transformer is None else self.transformer.grid(images)
        )

    def __call__(self, images: Tensor, kept: Tensor) -> Tensor:
        """Logits (b classes), in float32 at least, whatever the caller is in.

        Args:
            images: (b 3 h w) in [0, 1].
            kept: the patches that stay (b rows columns), bool, as `grid` has them.
        """
        with torch.autocast(images.device.type, enabled=False):
            images = exact(images)
            if self.transformer is not None:
                return logits_on_kept(self.transformer, images, kept.flatten(1))
            masks = F.interpolate(kept[:, None].to(images), images.shape[-2:], mode="nearest")
            logits: Tensor = self.network(keep(images, masks))
            return logits

    @torch.no_grad()
    def on_subsets(self, images: Tensor, kept: Tensor) -> Tensor:
        """Logits (b s classes) on s subsets of the patches of each image.

        Args:
            images: (b 3 h w) in [0, 1].
            kept: (b s rows columns), bool.
        """
        self.network.to(images.device)
        pairs = torch.arange(kept[:, :, 0, 0].numel(), device=images.device)
        flat = kept.flatten(0, 1)
        answers = [
            exact(self(images[some // kept.shape[1]], flat[some])) for some in pairs.split(CHUNK)
        ]
        logits: Tensor = torch.cat(answers).unflatten(0, kept.shape[:2])
        return logits
