"""The class-conditioned head: a small network makes the fuser row of any class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.training.distributed import BatchNorm2d
from explainers.training.masking_network import MaskingNetwork, classes_of_each, exact

# Where the head starts as a mask: a pixel of average evidence for the class is kept to 27 %, one a
# standard deviation above that to 73 %.
GAIN = 2.0
OFFSET = -1.0


class ConditionedHead(nn.Module):
    """Fuses feature maps with weights made for the image and the class at hand.

    The TAME family learns a row of fuser weights for each class. Here a small network makes the
    row, from what the last layer of the network that the features come from holds of the class,
    and from what that layer reads of the image. So classes share what is learned, the head does
    not grow with them, and any can be asked for, also one that training never met.

    It starts as the sigmoid of the map of the log-odds of the class, standardised in each image;
    the finer maps start with weight 0.

    Args:
        channels: of each feature map, finest first; the last is what the network pools.
        hidden: width of the network that makes the rows.
    """

    def __init__(self, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        deepest = channels[-1]
        self.of_image = nn.Linear(deepest, hidden)
        self.of_class = nn.Linear(deepest, hidden, bias=False)
        self.of_both = nn.Linear(deepest, hidden, bias=False)
        self.rows = nn.ModuleList(nn.Linear(hidden, count) for count in channels)
        for weight in self.rows.parameters():
            nn.init.zeros_(weight)
        # Frozen features differ in scale a thousandfold from channel to channel.
        self.norms = nn.ModuleList(BatchNorm2d(count, affine=False) for count in channels[:-1])
        self.gain = nn.Parameter(torch.tensor(GAIN))
        self.offset = nn.Parameter(torch.tensor(OFFSET))

    def forward(self, features: Sequence[Tensor], class_rows: Tensor) -> Tensor:
        """Score every pixel for classes.

        Args:
            features: maps (b channels _ _), finest first.
            class_rows: (b n channels) for n classes an image, as `rows_against_rivals` gives them.

        Returns:
            Scores (b n h w), unbounded, at the size of the first map.
        """
        *finer, deepest = features
        pooled = deepest.mean((2, 3))
        pooled = F.layer_norm(pooled, pooled.shape[1:])[:, None]  # (b 1 channels)
        hidden = F.gelu(
            self.of_image(pooled) + self.of_class(class_rows) + self.of_both(pooled * class_rows)
        )
        *layers, last = self.rows
        row = last(hidden)
        size = features[0].shape[-2:]
        total = resize(log_odds_map(deepest, class_rows + row), size)
        for maps, layer, norm in zip(finer, layers, self.norms, strict=True):
            scores = weighted_sums(norm(maps), layer(hidden)) / maps.shape[1] ** 0.5
            total = total + resize(scores, size)
        return total * self.gain + self.offset


class ConditionedNetwork(MaskingNetwork):
    """The features of a frozen network, and the head that fuses them.

    Args:
        backbone: whose features are read; it has to know the classes that are asked for.
        stages: which of its stages, finest first; the last has to be what it pools.
        head: a `ConditionedHead` or a `DecodingHead` for the channels of these stages.
        bounded: draw masks in [0, 1]; otherwise the head's scores as they are, of either sign.
    """

    def __init__(
        self,
        backbone: FrozenClassifier,
        stages: Sequence[int],
        head: nn.Module,
        bounded: bool = True,
    ) -> None:
        super().__init__(backbone, stages)
        self.head = head
        self.bounded = bounded

    def draw(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Masks or, where they are not bounded, scores; see `MaskingNetwork.draw`."""
        return (
            super().draw(features, labels) if self.bounded else exact(self.score(features, labels))
        )

    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Scores at the size that the head draws at; see `MaskingNetwork.score`."""
        labels = classes_of_each(labels, features[-1])
        scores: Tensor = self.head(features, evidence_rows(self.backbone, features[-1], labels))
        return scores


def evidence_rows(backbone: FrozenClassifier, deepest: Tensor, labels: Tensor) -> Tensor:
    """Rows (b n channels) of classes (b n), in units of the class rows' standard deviation.

    Those of `rows_against_rivals` where classes exclude each other; else the class's own, which has
    no rivals.

    Args:
        backbone: knows the classes.
        deepest: what it pools (b channels _ _).
        labels: int64 (b n).
    """
    weights = backbone.class_weights
    if backbone.decision.exclusive:
        logits = backbone.logits_of_pooled(deepest.mean((2, 3)))
        return rows_against_rivals(logits, weights, labels)
    return weights[labels] / weights.std()


def rows_against_rivals(logits: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    """Evidence rows: each class's row less those of its rivals.

    The gradient of the class's log-odds at the pooled features: its row less those of all other
    classes, each by its share of the remaining probability.

    Args:
        logits: of the pooled features (b classes).
        weights: rows (classes channels) of the last layer.
        labels: int64 (b n).

    Returns:
        Rows (b n channels), in units of the weights' standard deviation.
    """
    return (weights[labels] - rival_shares(logits, labels) @ weights) / weights.std()


def rival_shares(logits: Tensor, labels: Tensor) -> Tensor:
    """Share (b n classes) of each class in the probability of all but the labels (b n)."""
    each = logits[:, None].expand(-1, labels.shape[1], -1)
    return each.scatter(2, labels[..., None], -torch.inf).softmax(dim=2)


def log_odds_map(deepest: Tensor, rows: Tensor) -> Tensor:
    """Log-odds of classes at each place (b n _ _), standardised in each image.

    Args:
        deepest: what the network pools (b channels _ _).
        rows: (b n channels), as `rows_against_rivals` gives them, or changed by what is learned.
    """
    return standardised(weighted_sums(deepest, rows))


def standardised(evidence: Tensor) -> Tensor:
    """Evidence (b n _ _), in units of the class rows' standard deviation, by image and class."""
    # Its square overflows half precision, and the least deviation below is 0 there.
    evidence = evidence.to(torch.promote_types(evidence.dtype, torch.float32))
    evidence = evidence - evidence.mean((2, 3), keepdim=True)
    # The root of 0, of a map that is the same everywhere, has no gradient.
    deviation = evidence.square().mean((2, 3), keepdim=True).clamp(min=1e-12).sqrt()
    return evidence / (deviation + 0.01)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bring maps (b n _ _) to another size: smaller ones bilinearly, larger ones by means."""
    if maps.shape[-2] > size[0]:
        return F.adaptive_avg_pool2d(maps, (size[0], size[1]))
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=False)


def weighted_sums(features: Tensor, rows: Tensor) -> Tensor:
    """Weighted sums (b n h w) of features (b channels h w) by rows (b n channels)."""
    rows = rows.expand(features.shape[0], -1, -1)
    return torch.einsum("bchw,bnc->bnhw", features, rows)
