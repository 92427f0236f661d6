"""Names of splits, files and samples that lead nowhere else."""

import re

from datamodules.errors import DataError

LONGEST = 100  # bytes of a split's name; a file's has 255 at most


def check_split(name: str) -> None:
    """Refuse a split's name that cannot begin plain file names, or would be read as a pattern.

    Raises:
        DataError: it cannot.
    """
    plain = re.fullmatch(r"\w[\w .,+=@()~-]*", name)
    if not plain or name.startswith("_info") or len(name.encode(errors="replace")) > LONGEST:
        raise DataError(
            f"the name of the split, {name!r}, cannot begin the names of files; give up to "
            f"{LONGEST} letters, digits, spaces, '-', '_' and '.' as --split"
        )


def leads_outside(name: str) -> bool:
    """Whether a path, followed from a folder, may leave it."""
    return name.startswith("/") or ".." in re.split(r"[/\\]", name) or "\0" in name


def check_key(key: str) -> None:
    """Refuse a sample's key that leads outside the folder of its shard.

    Raises:
        ValueError: it does.
    """
    if leads_outside(key):
        raise ValueError("has a name that leads outside")
