"""Files that are there completely or not at all."""

import os
from pathlib import Path


def write_aside(path: Path, content: bytes) -> None:
    """Write a file aside, and put it in place only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
