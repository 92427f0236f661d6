"""Labels as text: the content of `KEY.cls`."""

import re

MOST = 2**63 - 1  # of int64


def label_of(content: bytes, num_classes: int | None = None) -> int:
    """Read a class's number: ASCII digits, with white space around them at most.

    Args:
        content: the text.
        num_classes: the labels end before this number; None where it is unknown.

    Raises:
        ValueError: it is something else.
    """
    text = content.strip()
    if not re.fullmatch(rb"[0-9]+", text):
        raise ValueError(f"has the class {content[:20]!r}, which is not a number of ASCII digits")
    if len(text) > 1000 or int(text) > MOST:
        raise ValueError(f"has the class {text[:30].decode()}, which is beyond 64 bits")
    if num_classes is not None and int(text) >= num_classes:
        raise ValueError(f"has the class {int(text)}, and num_classes is {num_classes}")
    return int(text)
