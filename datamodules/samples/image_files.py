"""Decoding of image files: upright, 8 bit, RGB or a grey mask.

It knows Pillow and numpy only, so that whoever reads one image loads no more than these.
"""

import io
import warnings
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "jfif", "tif", "tiff")
"""Extensions of image files; of several members of a sample, the first of these is the image."""

MOST_ELONGATED = 100  # resized by its shorter side, a line of pixels would fill the memory

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transpositions that set an image upright, by its EXIF orientation."""

ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Entries of an image's `info` that Pillow reads the orientation from."""

Mode = Literal["RGB", "L"]


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to upright 8-bit RGB.

    EXIF rotation is applied, 16 bits are scaled to 8, transparency is laid over white, and
    greyscale, palette and CMYK are converted. It is the image itself if nothing has to be done.
    """
    image = _upright(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        # Pillow opens 16-bit greyscale as wider integers: what fits in 8 bits is left as it is.
        scale = 257 if values.max() > 255 else 1
        return Image.fromarray(np.clip(values / scale, 0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def to_mask(image: Image.Image) -> Image.Image:
    """Convert an image to an upright grey mask; its transparency, if any, is dropped."""
    image = _upright(image)
    return image if image.mode == "L" else image.convert("L")


def load_image(file: Path | BinaryIO, mode: Mode = "RGB") -> Image.Image:
    """Decode an image file of any size that Pillow decodes; raises whatever Pillow raises."""
    with warnings.catch_warnings():
        # Of damaged Exif data, and of many pixels; of twice as many Pillow raises an error.
        warnings.filterwarnings("ignore", module="PIL")
        with Image.open(file) as image:
            return _converted(image, mode)


def decode_image(content: bytes, mode: Mode = "RGB", at_least: int | None = None) -> Image.Image:
    """Decode an image of a data set, which has no more pixels than a photograph.

    Args:
        content: the file.
        mode: RGB for an image, L for a mask.
        at_least: decode a JPEG at a half, a quarter or an eighth, whichever leaves both sides
            this many pixels: much faster, and slightly other pixels.

    Raises:
        ValueError: it cannot be decoded, or is a decompression bomb.
    """
    if not content:
        raise ValueError("is empty")
    try:
        with warnings.catch_warnings():
            # Damaged Exif data and the like do not matter to the pixels.
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            # Pillow warns of images over 89 million pixels, and refuses those of twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                if max(image.size) > MOST_ELONGATED * min(image.size):
                    raise ValueError("one side is over 100 times the other")
                if at_least is not None:
                    image.draft(None, (at_least, at_least))
                return _converted(image, mode)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"is a decompression bomb ({error})") from error
    # Pillow's decoders raise all of these, and struct.error, on damaged files.
    except Exception as error:
        raise ValueError(f"cannot be decoded ({error or type(error).__name__})") from error


def _converted(image: Image.Image, mode: Mode) -> Image.Image:
    return to_rgb(image) if mode == "RGB" else to_mask(image)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF rotation; unlike Pillow's own, copy nothing and survive damaged EXIF data."""
    image.load()  # of some formats the orientation is known only then
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  whatever Pillow raises; the pixels are sound
        return image
    if turn is None:
        return image
    upright = image.transpose(turn)
    for name in ORIENTED:  # or it would be turned again when it is next read
        upright.info.pop(name, None)
    return upright
