"""The decoding head: convolutions over the log-odds of a class and finer features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explainers.errors import InputError, require_whole
from explainers.heads.conditioned_head import GAIN, OFFSET, log_odds_map, resize
from explainers.training.distributed import BatchNorm2d

WIDEST = 2048  # its weights grow with the square: less than a gigabyte at this width
DROPOUT = 0.2  # of channels; a few hundred photographs are soon known by heart


def require_width(name: str, width: object) -> None:
    """Refuse a width of the network that is not a multiple of 8, or too large; InputError."""
    require_whole(name, width, 8, WIDEST)
    if isinstance(width, int) and width % 8:
        raise InputError(f"{name} must be a multiple of 8, got {width}; {width - width % 8} is")


class DecodingHead(nn.Module):
    """Corrects the map of the log-odds of a class by a small convolutional network.

    It sees, at each place: that map; the features; and each channel's share in the log-odds, which
    is all that says what the class is, so that all classes share what is learned. It starts as the
    sigmoid of the map alone, as `ConditionedHead` does.

    Args:
        channels: of each feature map, finest first; the last is what the network pools. The map is
            drawn at the size of the last but one.
        width: of the network, a multiple of 8.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        deepest = channels[-1]
        seen = [*channels, deepest]  # the shares in the log-odds last
        self.norms = nn.ModuleList(BatchNorm2d(count, affine=False) for count in seen)
        self.narrow = nn.ModuleList(nn.Conv2d(count, width, 1, bias=False) for count in seen)
        self.of_image = nn.Linear(deepest, width)
        self.of_class = nn.Linear(deepest, width, bias=False)
        self.blocks = nn.ModuleList(
            [
                nn.Conv2d(len(seen) * width + 1, width, 3, padding=1),
                nn.Conv2d(width, width, 3, padding=1),
                nn.Conv2d(width, width, 3, padding=2, dilation=2),
            ]
        )
        self.block_norms = nn.ModuleList(nn.GroupNorm(8, width) for _ in self.blocks)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.last = nn.Conv2d(width, 1, 1)
        for weight in self.last.parameters():
            nn.init.zeros_(weight)
        self.gain = nn.Parameter(torch.tensor(GAIN))
        self.offset = nn.Parameter(torch.tensor(OFFSET))

    def forward(self, features: Sequence[Tensor], class_rows: Tensor) -> Tensor:
        """Score every place for classes.

        Args:
            features: maps (b channels _ _), finest first.
            class_rows: (b n channels) for n classes an image, as `rows_against_rivals` gives them.

        Returns:
            Scores (b n h w), unbounded, at the size of the last map but one.
        """
        deepest = features[-1]
        size = features[-2:][0].shape[-2:]
        count = class_rows.shape[1]
        rows = class_rows.expand(deepest.shape[0], -1, -1).flatten(0, 1)  # (b*n channels)
        shares = deepest.repeat_interleave(count, dim=0) * rows[..., None, None]
        *of_images, of_classes = (
            resize(narrow(self.dropout(norm(maps))), size)
            for maps, norm, narrow in zip([*features, shares], self.norms, self.narrow, strict=True)
        )
        start = resize(log_odds_map(deepest, class_rows), size).flatten(0, 1)[:, None]
        shown = torch.cat(of_images, dim=1).repeat_interleave(count, dim=0)
        pooled = deepest.mean((2, 3))
        context = self.of_image(F.layer_norm(pooled, pooled.shape[1:]))
        context = context.repeat_interleave(count, dim=0) + self.of_class(rows)  # (b*n width)

        first, *others = zip(self.blocks, self.block_norms, strict=True)
        seen = torch.cat([shown, of_classes, start.to(shown.dtype)], dim=1)
        drawn = _block(seen, *first, context)
        for position, (block, norm) in enumerate(others):
            drawn = drawn + _block(drawn, block, norm)
            if position == 0:
                drawn = self.dropout(drawn)
        scores: Tensor = (start + self.last(drawn)) * self.gain + self.offset
        return scores.view(-1, count, *size)


def _block(
    maps: Tensor, convolution: nn.Module, norm: nn.Module, context: Tensor | None = None
) -> Tensor:
    maps = norm(convolution(maps))
    return F.gelu(maps if context is None else maps + context[..., None, None])
