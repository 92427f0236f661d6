"""Folders of what is made, named by its settings, so that other settings never find it."""

import hashlib
import json
from pathlib import Path


def folder_of(parent: Path, name: str, settings: object) -> Path:
    """The folder of a name and of plain settings below a parent."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return parent / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
