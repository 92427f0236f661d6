"""The `_info.json` beside shards, in the form that timm reads: which shards there are, how long."""

import json
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.shard_files.durable import atomic_write
from datamodules.shard_files.index import INFO


def read_info(folder: Path) -> dict[str, Any]:
    """What is known of the shards of a folder; no splits, where nothing is.

    Raises:
        DataError: there is such a file, and it has no splits.
    """
    path = folder / INFO
    if not path.is_file():
        return {"splits": {}}
    try:
        info: dict[str, Any] = json.loads(path.read_text())
        info["splits"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} has no splits to add to ({type(error).__name__}: {error}); correct or remove it"
        ) from error
    return info


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Put it in place, all of it or nothing."""
    with atomic_write(folder / INFO) as file:
        file.write((json.dumps(info, indent=2) + "\n").encode())
