"""U-Net over frozen features: a decoder from the deepest stage upwards, gated by the class."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.heads.conditioned_head import evidence_rows, resize, weighted_sums
from explainers.training.distributed import BatchNorm2d
from explainers.training.masking_network import MaskingNetwork, classes_of_each


class Step(nn.Module):
    """One step of the decoder: x + GELU(norm(conv3x3(x + finer))), channels unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight)
        self.norm = BatchNorm2d(width)

    def forward(self, drawn: Tensor, finer: Tensor | None = None) -> Tensor:
        """Continue what is drawn (b width _ _) at the size of finer maps (b width h w)."""
        if finer is None:
            return drawn + F.gelu(self.norm(self.convolution(drawn)))
        drawn = resize(drawn, finer.shape[-2:])
        return drawn + F.gelu(self.norm(self.convolution(drawn + finer)))


class UNetHead(nn.Module):
    """Decodes feature maps into masks of classes, from the deepest to the finest.

    At each place of the deepest features, the sigmoid of their product with the row of the class
    says how much of them the decoder sees. Then each step enlarges what is drawn to the size of the
    next finer features, adds these, and convolves.

    Args:
        channels: of each feature map, finest first.
        width: channels of the decoder.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        # Frozen features differ in scale a thousandfold from channel to channel.
        self.norms = nn.ModuleList(BatchNorm2d(count, affine=False) for count in channels)
        self.narrow = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        # Over images and classes, so that what is left tells an absent class from a present one.
        self.gate_norm = BatchNorm2d(1)
        self.steps = nn.ModuleList(Step(width) for _ in channels)
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor], rows: Tensor) -> Tensor:
        """Score every place for classes.

        Args:
            features: maps (b channels _ _), finest first.
            rows: of n classes an image (b n channels), for the channels of the last map.

        Returns:
            Scores (b n h w), unbounded, at the size of the first map.
        """
        count = rows.shape[1]
        finer_first = [
            narrow(norm(maps))
            for maps, norm, narrow in zip(features, self.norms, self.narrow, strict=True)
        ]
        evidence = weighted_sums(features[-1], rows) / features[-1].shape[1] ** 0.5
        gate = self.gate_norm(evidence.flatten(0, 1)[:, None]).sigmoid()  # (b*n 1 _ _)
        *finer, deepest = finer_first
        first, *steps = self.steps
        drawn: Tensor = first(deepest.repeat_interleave(count, dim=0) * gate)
        for step, maps in zip(steps, reversed(finer), strict=True):
            drawn = step(drawn, maps.repeat_interleave(count, dim=0))
        scores: Tensor = self.last(drawn)
        return scores.view(-1, count, *scores.shape[-2:])


class UNetNetwork(MaskingNetwork):
    """The features of a frozen network, and the U-Net that decodes them.

    Args:
        backbone: whose features are read.
        stages: which of its stages, finest first.
        width: as `UNetHead` takes it.
        embedded: number of classes to learn an embedding of each for; 0 to take the rows of the
            backbone's last layer, of what it pools, which has to be the last stage.
    """

    def __init__(
        self, backbone: FrozenClassifier, stages: Sequence[int], width: int, embedded: int
    ) -> None:
        super().__init__(backbone, stages)
        channels = [backbone.stages[stage].channels for stage in stages]
        self.head = UNetHead(channels, width)
        self.embedding = nn.Embedding(embedded, channels[-1]) if embedded else None

    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Scores at the size of the finest features; see `MaskingNetwork.score`."""
        labels = classes_of_each(labels, features[-1])
        if self.embedding is None:
            rows = evidence_rows(self.backbone, features[-1], labels)
        else:
            rows = self.embedding(labels)
        scores: Tensor = self.head(features, rows)
        return scores
