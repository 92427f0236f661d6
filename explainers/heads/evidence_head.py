"""The evidence head: convolutions over maps of the evidence for a class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.classifier.last_layer import reads_linearly
from explainers.heads.conditioned_head import (
    GAIN,
    OFFSET,
    evidence_rows,
    log_odds_map,
    resize,
    rival_shares,
    standardised,
    weighted_sums,
)
from explainers.heads.conditioned_network import require_rivals
from explainers.heads.decoding_head import DROPOUT
from explainers.training.distributed import BatchNorm2d
from explainers.training.masking_network import MaskingNetwork, classes_of_each

EVIDENCE = 6  # maps that `evidence_maps` gives
FINER = 2  # times as many places a side as the features have
LEAST = 1e-3  # of the class activation map, relative to its maximum


class EvidenceHead(nn.Module):
    """Draws the mask of a class from what each place of the last features says of it.

    Maps of evidence mean the same for every class: a few thousand weights serve all of them, and
    are learned from hundreds of photographs. Of the features it sees few sums. The mask is

        sigmoid(scores) ** e * (positive part of the class activation map) ** f,

    which is 0 where the class has no evidence; gain and offset of the scores and the exponents are
    learned. It starts with the log-odds map as scores.

    Args:
        width: channels of its two convolutions.
        channels: of each feature map.
        sums: of each feature map's channels that it sees.
    """

    def __init__(self, width: int, channels: Sequence[int] = (), sums: int = 0) -> None:
        super().__init__()
        # Frozen features differ in scale a thousandfold from channel to channel.
        self.norms = nn.ModuleList(BatchNorm2d(count, affine=False) for count in channels)
        self.narrow = nn.ModuleList(nn.Conv2d(count, sums, 1) for count in channels)
        self.dropout = nn.Dropout2d(DROPOUT)
        seen = EVIDENCE + len(channels) * sums
        self.first = nn.Conv2d(seen, width, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.last = nn.Conv2d(width, 1, 1)
        for weight in self.last.parameters():
            nn.init.zeros_(weight)
        self.gain = nn.Parameter(torch.tensor(GAIN))
        self.offset = nn.Parameter(torch.tensor(OFFSET))
        self.exponents = nn.Parameter(torch.full((2,), 0.6))

    def forward(self, evidence: Tensor, features: Sequence[Tensor] = ()) -> Tensor:
        """Logits of masks (b n _ _), finer than the evidence.

        Args:
            evidence: (b n `EVIDENCE` h w).
            features: maps (b channels _ _), as many as the head has channels of.
        """
        shown = evidence.flatten(0, 1)
        size = [FINER * side for side in shown.shape[-2:]]
        shown = F.interpolate(shown, size, mode="bilinear", align_corners=False)
        sums = [
            resize(narrow(self.dropout(norm(maps))), size).repeat_interleave(evidence.shape[1], 0)
            for maps, norm, narrow in zip(features, self.norms, self.narrow, strict=True)
        ]
        seen = torch.cat([shown, *sums], dim=1).to(self.first.weight.dtype)
        drawn = F.gelu(self.first(seen))
        drawn = drawn + F.gelu(self.second(drawn))
        scores = (shown[:, :1] + self.last(drawn)) * self.gain + self.offset
        activation = (shown[:, 2:3] + LEAST) / (1 + LEAST)
        own, factor = self.exponents
        logarithm = own * F.logsigmoid(scores) + factor * activation.log()
        logarithm = logarithm.clamp(max=-1e-6)
        logits = logarithm - (-torch.expm1(logarithm)).log()
        each: Tensor = logits.unflatten(0, evidence.shape[:2])[:, :, 0]
        return each


class EvidenceNetwork(MaskingNetwork):
    """The evidence that a frozen network has for classes, and the head that draws masks from it.

    Args:
        backbone: whose last layer says what its features are worth.
        stages: which of its stages, finest first; the last has to be what it pools.
        width: as `EvidenceHead` takes it.
        sums: likewise; 0 shows it no features.

    Raises:
        InputError: there is a class too few to tell from others.
    """

    spread: Tensor | None

    def __init__(
        self, backbone: FrozenClassifier, stages: Sequence[int], width: int, sums: int
    ) -> None:
        super().__init__(backbone, stages)
        require_rivals(backbone)
        channels = [backbone.stages[stage].channels for stage in stages] if sums else []
        self.head = EvidenceHead(width, channels, sums)
        linear = reads_linearly(backbone.reader)  # else the rows change with the texts
        spread = backbone.class_weights.std() if linear else None
        self.register_buffer("spread", spread, persistent=False)

    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Logits of masks; see `MaskingNetwork.score`."""
        deepest = features[-1]
        labels = classes_of_each(labels, deepest)
        scores: Tensor = self.head(
            evidence_maps(self.backbone, deepest, labels, self.spread),
            features if self.head.narrow else (),
        )
        return scores


def evidence_maps(
    backbone: FrozenClassifier, deepest: Tensor, labels: Tensor, spread: Tensor | None = None
) -> Tensor:
    """Evidence for classes at each place, (b n `EVIDENCE` h w), about as large as 1.

    The log-odds of the class, standardised in each image; its class activation map, standardised;
    the positive part of that, relative to its maximum; the log-probability and the probability of
    the class by the features of the place alone; and the log-probability by those of the image.

    Args:
        backbone: knows the classes.
        deepest: what it pools (b channels h w).
        labels: (b n).
        spread: standard deviation of the class rows, where it is known: to find it takes as long
            as a tenth of a small network.
    """
    size = deepest.shape[-2:]
    logits = backbone.logits_of_pooled(deepest.flatten(2).mT.flatten(0, 1))
    logits = logits.unflatten(0, (-1, size.numel()))  # (b h*w classes)
    if reads_linearly(backbone.reader):
        of_image = logits.mean(dim=1)
        spread = backbone.class_weights.std() if spread is None else spread
        sums = _sums(backbone, logits, of_image, labels, spread)
        activation, contrast = (one.unflatten(2, size) for one in sums)
        odds = standardised(contrast)
    else:
        of_image = backbone.logits_of_pooled(deepest.mean(dim=(2, 3)))
        odds = log_odds_map(deepest, evidence_rows(backbone, deepest, labels))
        activation = weighted_sums(deepest, backbone.class_weights[labels]).to(odds.dtype)
    deviation = activation.std(dim=(2, 3), keepdim=True, correction=0)
    standard = (activation - activation.mean(dim=(2, 3), keepdim=True)) / (deviation + LEAST)
    positive = activation.relu()
    positive = positive / positive.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    at_places = _log_probabilities(backbone, logits, labels).mT.unflatten(2, size)
    of_images = _log_probabilities(backbone, of_image[:, None], labels)[:, 0]
    of_images = of_images[..., None, None].expand_as(at_places)
    maps = [odds, standard, positive, at_places / 4, at_places.exp(), of_images / 2]
    return torch.stack(maps, dim=2)


def _sums(
    backbone: FrozenClassifier, logits: Tensor, of_image: Tensor, labels: Tensor, spread: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of features weighted by class rows and by evidence rows, each (b n places).

    They are differences of logits, up to constants: without rows (b n channels) of their own.

    Args:
        backbone: knows the classes.
        logits: by the features of each place alone (b places classes).
        of_image: by those of the image (b classes).
        labels: (b n).
        spread: standard deviation of the class rows.
    """
    each = logits.to(torch.promote_types(logits.dtype, torch.float32))
    own = each.gather(2, labels[:, None].expand(-1, each.shape[1], -1)).mT
    contrast = own
    if backbone.decision.exclusive:
        contrast = own - rival_shares(of_image.to(each.dtype), labels) @ each.mT
    own = own - backbone.class_bias[labels][..., None]
    return own, contrast / spread


def _log_probabilities(backbone: FrozenClassifier, logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probabilities (b _ n) of labels (b n) by logits (b _ classes)."""
    known = backbone.decision.log_probabilities(logits)
    return known.gather(2, labels[:, None].expand(-1, logits.shape[1], -1))
