"""Bytes of an image file to a PIL image, and no more pixels than a photograph has."""

import io
import warnings

from PIL import Image

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "bmp")
MOST_ELONGATED = 100  # resized by its shorter side, a line of pixels would fill the memory


def opened(content: bytes, mode: str, at_least: int | None = None) -> Image.Image:
    """Decode an image file into a mode of Pillow's.

    Args:
        content: the file.
        mode: of the image that is returned.
        at_least: decode a JPEG at a half, a quarter or an eighth, whichever leaves both sides
            this many pixels: much faster, and slightly other pixels.

    Raises:
        ValueError: it cannot be decoded, or is a decompression bomb.
    """
    if not content:
        raise ValueError("is empty")
    try:
        with warnings.catch_warnings():
            # Pillow warns of images over 89 million pixels, and refuses those of twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Damaged Exif data and the like do not matter to the pixels.
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            with Image.open(io.BytesIO(content)) as image:
                if max(image.size) > MOST_ELONGATED * min(image.size):
                    raise ValueError("one side is over 100 times the other")
                if at_least is not None:
                    image.draft(None, (at_least, at_least))
                image.load()
                return image if image.mode == mode else image.convert(mode)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"is a decompression bomb ({error})") from error
    # Pillow's decoders raise all of these, and struct.error, on damaged files.
    except Exception as error:
        raise ValueError(f"cannot be decoded ({error or type(error).__name__})") from error
