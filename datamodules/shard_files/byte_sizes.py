"""Sizes of files as people write them."""

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def size_in_bytes(text: str) -> int:
    """Read `256M`, `1G` or `500000`.

    Raises:
        ValueError: it is none of these, or zero.
    """
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
    if not (number.isascii() and number.isdecimal()) or int(number) * unit < 1:
        raise ValueError(f"{text!r} is not a size like 256M, 1G or 500000")
    return int(number) * unit
