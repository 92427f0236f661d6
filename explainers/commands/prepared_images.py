"""Images of a folder, a list or shards, ready for a classifier."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import UnreadableError
from datamodules.samples.image_source import ImageSource
from explainers.errors import InputError
from explainers.images.reading import decode_image, to_tensor


@dataclass(frozen=True)
class Prepared:
    """An image ready for the classifier, or the reason why it cannot be read.

    Attributes:
        key: its name in the shards of maps.
        source: its file, or its shard and key.
        size: height and width in pixels of its map.
        image: (3 h w) in [0, 1]; None if it cannot be read.
        whole: the image itself, where it is drawn and not cropped.
        reason: why it cannot be read; empty if it can.
    """

    key: str
    source: str
    size: tuple[int, int] = (0, 0)
    image: Tensor | None = None
    whole: Image.Image | None = None
    reason: str = ""


class PreparedImages(Dataset[Prepared]):
    """Images as `Explainer.explain` shows files to the classifier.

    Args:
        contents: the images.
        size: height and width that the classifier takes, in pixels.
        crop_fraction: as for `images.to_tensor`.
        drawn: whether pictures are drawn, at the images' own sizes.
    """

    def __init__(
        self,
        contents: ImageSource,
        size: Sequence[int],
        crop_fraction: float | None,
        drawn: bool = False,
    ) -> None:
        self.contents = contents
        self.drawn = drawn
        self.size = size
        self.crop_fraction = crop_fraction

    def __getitem__(self, index: int) -> Prepared:
        key, source = self.contents.key(index), self.contents.source(index)
        try:
            image = decode_image(io.BytesIO(self.contents.read(index)), source)
        except (InputError, UnreadableError) as error:
            return Prepared(key, source, reason=str(error))
        shown = to_tensor(image, self.size, self.crop_fraction)
        whole = (image.height, image.width)
        size = whole if self.crop_fraction is None else (shown.shape[1], shown.shape[2])
        return Prepared(key, source, size, shown, image if self.drawn and whole == size else None)
