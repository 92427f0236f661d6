"""Features of timm's models by depth and in one layout, without hooks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from explainers.classifier.features import Stage, two_sided


class TimmReader:
    """Reads a model of timm; see `features.FeatureReader`.

    Args:
        model: any of timm's that has `forward_intermediates`.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model  # they have no common type

    @property
    def stages(self) -> list[Stage]:
        """Timm's stages, shallowest first, then the pooled one."""
        listed = [Stage(info["num_chs"], info["reduction"]) for info in self.model.feature_info]
        return [*listed, Stage(self.model.num_features, listed[-1].reduction)]

    @property
    def default_stage(self) -> int:
        """The last of timm's own stages, before any layer that only widens it for the head.

        Where that stage is a max-pool (VGG), the convolution that it reads: the finest of the last
        feature maps, and the layer of the published VGG-16.
        """
        last: str = self.model.feature_info[-1]["module"]
        return -3 if isinstance(dict(self.model.named_modules()).get(last), nn.MaxPool2d) else -2

    def features(self, images: Tensor, stages: Sequence[int], norm: bool = True) -> list[Tensor]:
        """Feature maps (b channels _ _), in the order asked."""
        return self._read(images, stages, norm, to_the_end=False)[0]

    def logits_and_features(
        self, images: Tensor, stages: Sequence[int], norm: bool = True
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (b classes) and, of the same pass, feature maps."""
        maps, last = self._read(images, stages, norm, to_the_end=True)
        return two_sided(self.model.forward_head(last)), maps

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (b d) that the last layer reads."""
        pooled: Tensor = self.model.forward_head(
            self.model.forward_features(images), pre_logits=True
        )
        return pooled

    def last_layer(self) -> nn.Module:
        """The layer that gives the logits."""
        layer: nn.Module = self.model.get_classifier()
        return layer

    def as_maps(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Bring features of the model's own layout to maps (b channels _ _).

        Args:
            features: tokens (b _ channels), of which the class and register tokens are left out,
                or maps with the channels first or, in models that say so, last.
            size: height and width in pixels of the images in the model.
        """
        if features.ndim == 3:
            tokens = features[:, getattr(self.model, "num_prefix_tokens", 0) :]
            grid = [side // self.stages[-1].reduction for side in size]
            maps: Tensor = tokens.transpose(1, 2).unflatten(2, grid)
            return maps
        if getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            return features.permute(0, 3, 1, 2)
        return features

    def _read(
        self, images: Tensor, stages: Sequence[int], norm: bool, to_the_end: bool
    ) -> tuple[list[Tensor], Tensor | None]:
        """Maps, and what the head reads, if the pass has to or is to go that far."""
        count = len(self.stages)
        wanted = [stage % count for stage in stages]
        indices = sorted({stage for stage in wanted if stage < count - 1})
        options: dict[str, Any] = {"indices": indices, "output_fmt": "NCHW"}
        if hasattr(self.model, "num_prefix_tokens"):  # a transformer
            options["norm"] = norm  # if so, the tokens that the head would read at that depth
        last: Any = None
        intermediates: list[Tensor] = []
        if count - 1 not in wanted and not to_the_end:
            intermediates = self.model.forward_intermediates(
                images, intermediates_only=True, stop_early=True, **options
            )
        elif indices:
            last, intermediates = self.model.forward_intermediates(images, **options)
        else:
            last = self.model.forward_features(images)
        maps = dict(zip(indices, intermediates, strict=True))
        if count - 1 in wanted:
            maps[count - 1] = self.as_maps(last, images.shape[-2:])
        return [maps[stage] for stage in wanted], last
