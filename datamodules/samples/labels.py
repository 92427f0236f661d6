"""Labels as text: the content of `KEY.cls`."""

import re


def label_of(content: bytes) -> int:
    """Read a class's number: ASCII digits, with white space around them at most.

    Raises:
        ValueError: it is something else.
    """
    text = content.strip()
    if not re.fullmatch(rb"[0-9]{1,18}", text):
        raise ValueError(f"has the class {content[:20]!r}, which is not a number of ASCII digits")
    return int(text)
