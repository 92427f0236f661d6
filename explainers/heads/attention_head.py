"""The attention head of the TAME family: features of several depths to a mask for any class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.classifier import FrozenClassifier
from explainers.errors import require_known
from explainers.training.distributed import BatchNorm2d
from explainers.training.masking_network import MaskingNetwork

UPSAMPLINGS = ("direct", "cascade")


class Branch(nn.Module):
    """One depth: ReLU(x + norm(conv1x1(x))), channels and resolution unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel_size=1)
        self.norm = BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (b c h w) to features (b c h w)."""
        return F.relu(features + self.norm(self.convolution(features)))


class AttentionHead(nn.Module):
    """Branches over feature maps, fused by one row of weights a class.

    The published head upsamples all branches to the finest size, concatenates them and computes
    a map for each of the K classes. Upsampling is linear and the fuser is a 1x1 convolution, so
    they commute; and only the rows of the classes asked for are needed. Each branch is therefore
    multiplied with its slice of those rows at its own resolution: exactly equal, and neither K
    maps nor the concatenated features are ever held.

    Args:
        channels: of each feature map, in the order in which they will come.
        num_classes: K, the rows of the fuser.
        bias: give each class a bias, as TAME does and P-TAME does not.
        branch: what refines the features of one depth, built from their channels; `nn.Identity`
            leaves them as they are.
        upsampling: how branches reach the finest size, bilinearly: `direct`, in one step, or
            `cascade`, by `double_up_to`.

    Raises:
        InputError: the upsampling is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        bias: bool = False,
        branch: type[nn.Module] = Branch,
        upsampling: str = "direct",
    ) -> None:
        super().__init__()
        require_known("upsampling", upsampling, UPSAMPLINGS)
        self.upsampling = upsampling
        self.channels = list(channels)
        self.branches = nn.ModuleList(branch(count) for count in channels)
        self.fuser = nn.Linear(sum(channels), num_classes, bias=bias)
        self.gain: nn.Parameter | None = None
        self.offset: nn.Parameter | None = None

    @torch.no_grad()
    def start_from_cam(self, class_weights: Tensor, gain: float, offset: float) -> None:
        """Start as sigmoid(gain * CAM + offset) of the deepest features.

        All branches start as the identity, the fuser's slice for the last one as `class_weights`
        and the others as zero. Gain and offset are shared by all classes and trained: they carry
        what is learned over to the classes that training never meets.

        Args:
            class_weights: rows (classes channels) of the last layer of the network that the
                features come from.
            gain: logits of the mask per unit of the class activation map.
            offset: logit of the mask where the class activation map is zero.
        """
        for branch in self.branches:
            assert isinstance(branch, Branch)  # for the type checker
            branch.norm.weight.zero_()
        self.fuser.weight.zero_()
        self.fuser.weight[:, -self.channels[-1] :] = class_weights
        self.gain = nn.Parameter(torch.tensor(gain))
        self.offset = nn.Parameter(torch.tensor(offset))

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Score every pixel for classes.

        Args:
            features: maps (b channels _ _), one a branch.
            labels: int64, (b) for one class an image, (b n) for n classes of each, or (1 n) for the
                same n classes of all.

        Returns:
            Scores (b 1 h w) or (b n h w), unbounded, at the size of the largest map.
        """
        if labels.ndim == 1:
            labels = labels[:, None]
        rows = self.fuser.weight[labels].split(self.channels, dim=-1)  # each (b n c) or (1 n c)
        size = max((list(maps.shape[-2:]) for maps in features), key=lambda hw: hw[0] * hw[1])
        total: Tensor | float = 0.0
        for branch, maps, weights in zip(self.branches, features, rows, strict=True):
            if labels.shape[0] == 1:
                scores = F.conv2d(branch(maps), weights[0][..., None, None])
            else:
                scores = torch.einsum("bchw,bnc->bnhw", branch(maps), weights)
            if self.upsampling == "cascade":
                scores = double_up_to(scores, size)
            else:
                scores = F.interpolate(scores, size, mode="bilinear", align_corners=False)
            total = total + scores
        if self.fuser.bias is not None:
            total = total + self.fuser.bias[labels][..., None, None]
        if self.gain is not None and self.offset is not None:
            total = total * self.gain + self.offset
        return total


class AttentionNetwork(MaskingNetwork):
    """The features of a frozen network, and the head that reads them.

    Args:
        backbone: whose features are read.
        stages: which of its stages, in the order of the head's branches.
        num_classes: classes of the classifier that is explained.
        bias: as `AttentionHead` takes it.
        branch: likewise.
        upsampling: likewise.
        normalisation: as `MaskingNetwork` takes it.
    """

    def __init__(
        self,
        backbone: FrozenClassifier,
        stages: Sequence[int],
        num_classes: int,
        bias: bool = False,
        branch: type[nn.Module] = Branch,
        upsampling: str = "direct",
        normalisation: str = "sigmoid",
    ) -> None:
        super().__init__(backbone, stages, normalisation)
        channels = [backbone.stages[stage].channels for stage in stages]
        self.head = AttentionHead(channels, num_classes, bias, branch, upsampling)

    @property
    def upsampling(self) -> str:
        """The upsampling of the head."""
        return self.head.upsampling

    @upsampling.setter
    def upsampling(self, value: str) -> None:
        self.head.upsampling = value

    def score(self, features: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Scores at the size of the largest features; labels as `AttentionHead` takes them."""
        scores: Tensor = self.head(features, labels)
        return scores


def double_up_to(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge maps (b n _ _) bilinearly by steps of x2, as long as none goes beyond `size`.

    One more step brings them to `size` where it is no power of two times theirs.
    """
    height, width = maps.shape[-2:]
    while 2 * height <= size[0] and 2 * width <= size[1]:
        height, width = 2 * height, 2 * width
        maps = F.interpolate(maps, [height, width], mode="bilinear", align_corners=False)
    if [height, width] == list(size):
        return maps
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=False)


def default_stages(backbone: FrozenClassifier) -> list[int]:
    """The last stage at each of the strides 4 to 32, or a transformer's last four blocks."""
    listed = backbone.stages[:-1]
    last_at = {stage.reduction: index for index, stage in enumerate(listed) if stage.reduction >= 4}
    if len(last_at) > 1:
        return sorted(last_at.values())
    return list(range(len(listed)))[-4:]
