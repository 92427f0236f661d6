"""The pages of the documentation, in parts: prose, headings, blocks of code."""

import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SITE = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs/tutorials").glob("*.ipynb")),
]
PAGES = [ROOT / "README.md", ROOT / "checkpoints/README.md", *SITE]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code of a page.

    Attributes:
        page: the file that it stands in.
        language: after its fence; empty for commands and the like.
        text: the code.
        reason: why it is not run, as the comment before it says: `<!-- not run: … -->`.
    """

    page: Path
    language: str
    text: str
    reason: str | None


def name_of(path: Path) -> str:
    """A page's path in the repository."""
    return str(path.relative_to(ROOT))


def text_of(path: Path, code: bool = False) -> str:
    """The text of a page, or the Markdown of a notebook and, if asked for, its code."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    kinds = ("markdown", "code") if code else ("markdown",)
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] in kinds)


def prose_of(path: Path) -> str:
    """The text of a page without its blocks of code."""
    return BLOCK.sub("", text_of(path))


def anchors_of(path: Path) -> list[str]:
    """The anchors of the headings of a page, as forges and mkdocs.yml make them."""
    headings = re.findall(r"^#+ (.*)$", prose_of(path), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]


def blocks_of(path: Path) -> list[Block]:
    """The blocks of code of a page."""
    text = text_of(path)
    found = []
    for block in BLOCK.finditer(text):
        before = text[: block.start()].rstrip().rpartition("\n")[2]
        reason = re.fullmatch(r"<!-- not run: (.+) -->", before)
        found.append(Block(path, block[1], block[2], reason[1] if reason else None))
    return found
