"""A fuser that all classes share: it makes the row of a class from what the network knows of it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.masking_network import MaskingNetwork
from explainers.processes import BatchNorm2d

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
        cam_start: whether the class's own row is what the made one is added to.
    """

    def __init__(self, channels: Sequence[int], hidden: int, cam_start: bool = True) -> None:
        super().__init__()
        deepest = channels[-1]
        self.cam_start = cam_start
        self.of_image = nn.Linear(deepest, hidden)
        self.of_class = nn.Linear(deepest, hidden, bias=False)
        self.of_both = nn.Linear(deepest, hidden, bias=False)
        self.rows = nn.ModuleList(nn.Linear(hidden, count) for count in channels)
        for index, layer in enumerate(self.rows):
            if cam_start or index < len(channels) - 1:
                for weight in layer.parameters():
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
        cam = _weighted(deepest, class_rows + row if self.cam_start else row)
        # Its square overflows half precision, and the least deviation below is 0 there.
        cam = cam.to(torch.promote_types(cam.dtype, torch.float32))
        cam = cam - cam.mean((2, 3), keepdim=True)
        # The root of 0, of a map that is the same everywhere, has no gradient.
        deviation = cam.square().mean((2, 3), keepdim=True).clamp(min=1e-12).sqrt()
        cam = cam / (deviation + 0.01)
        size = features[0].shape[-2:]
        total = _resize(cam, size)
        for maps, layer, norm in zip(finer, layers, self.norms, strict=True):
            scores = _weighted(norm(maps), layer(hidden)) / maps.shape[1] ** 0.5
            total = total + _resize(scores, size)
        return total * self.gain + self.offset


class ConditionedNetwork(MaskingNetwork):
    """The features of a frozen network, and the head that fuses them.

    Args:
        backbone: whose features are read; it has to know the classes that are asked for.
        stages: which of its stages, finest first; the last has to be what it pools.
        hidden: as `ConditionedHead` takes it.
        cam_start: likewise.
    """

    def __init__(
        self, backbone: FrozenClassifier, stages: Sequence[int], hidden: int, cam_start: bool
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.stages = list(stages)
        channels = [backbone.stages[stage].channels for stage in stages]
        self.head = ConditionedHead(channels, hidden, cam_start)

    def masks(self, images: Tensor, labels: Tensor) -> Tensor:
        """Masks in [0, 1] at the size of the finest features."""
        if labels.ndim == 1:
            labels = labels[:, None]
        with torch.no_grad():
            features = self.backbone.features(images, self.stages)
            rows = rows_against_rivals(
                features[-1].mean((2, 3)),
                self.backbone.class_weights,
                self.backbone.class_bias,
                labels.expand(images.shape[0], -1),
            )
        scores: Tensor = self.head(features, rows)
        # Under bf16, masks and their losses would have three digits.
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).sigmoid()


def rows_against_rivals(pooled: Tensor, weights: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """What speaks for each class and not for those that the network might take it for.

    The gradient of the class's log-odds at the pooled features: its row less those of all other
    classes, each by its share of the remaining probability.

    Args:
        pooled: features (b channels).
        weights: rows (classes channels) of the last layer.
        bias: of the last layer (classes).
        labels: int64 (b n).

    Returns:
        Rows (b n channels), in units of the weights' standard deviation.
    """
    logits = F.linear(pooled, weights, bias)[:, None].expand(-1, labels.shape[1], -1)
    rivals = logits.scatter(2, labels[..., None], -torch.inf).softmax(dim=2)  # (b n classes)
    return (weights[labels] - rivals @ weights) / weights.std()


def _weighted(features: Tensor, rows: Tensor) -> Tensor:
    """Weighted sums (b n h w) of features (b channels h w) by rows (b n channels)."""
    rows = rows.expand(features.shape[0], -1, -1)
    return torch.einsum("bchw,bnc->bnhw", features, rows)


def _resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=False)
