"""Reading of uploaded images, of limited bytes and pixels; others are refused in one sentence."""

from pathlib import Path
from threading import Lock

from PIL import Image

from explainers.errors import InputError
from explainers.images.reading import open_image

MAX_BYTES = 20 << 20
MAX_PIXELS = 50_000_000
SHOWN_SIDE = 768  # pixels of the longer side; pages keep images of several people in memory
_decoding = Lock()  # for one file at a time: 50 million pixels take several hundred megabytes
# Pillow's readers that run no other program and read no other file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_upload(path: str | Path) -> Image.Image:
    """Return an upright RGB image, reduced to `SHOWN_SIDE` pixels of its longer side.

    Raises:
        InputError: the file is gone, has too many bytes or pixels, or is no image of `FORMATS`.
    """
    path = Path(path)
    if not path.is_file():  # such as one that was sent too long ago
        raise InputError(f"{path.name} is no longer here; choose it again")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"{path.name} has {path.stat().st_size / 2**20:.0f} MB, and the page takes up to "
            f"{MAX_BYTES >> 20}; make the image smaller, or explain it on the command line"
        )
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]  # some come with newer Pillows
    try:
        with Image.open(path, formats=formats) as header:  # nothing is decoded yet
            width, height = header.size
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS  # more than Pillow itself takes
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(_unreadable(path)) from error
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{path.name} has too many pixels, and the page takes up to "
            f"{MAX_PIXELS // 1_000_000} million; make the image smaller"
        )
    with _decoding:
        try:
            image = open_image(path)
        except (InputError, ValueError) as error:
            raise InputError(_unreadable(path)) from error
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return image


def _unreadable(path: Path) -> str:
    return (
        f"{path.name} cannot be read as an image: it is damaged, or something else by another "
        "name; choose a photograph as PNG, JPEG or WebP"
    )
