"""Matplotlib figures as SVG elements within an HTML page."""

import hashlib
import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from matplotlib.figure import Figure

# Matplotlib knows no CSS colours: these stand for them until the figure is text.
INK, SOFT, GRID = "#010203", "#010204", "#010205"
PAGE_COLOURS = {INK: "currentColor", SOFT: "var(--soft)", GRID: "var(--line)"}


def inline_svg(figure: Figure, label: str, titles: Mapping[str, str]) -> str:
    """Save a figure as an `<svg>` element in the colours of the page around it.

    What has a key of `titles` as its `gid` is marked with it in `data-row`, and shows its title
    when it is pointed at. Other ids are made unique to the figure, or left out.

    Args:
        figure: drawn with `INK`, `SOFT` and `GRID` where it is to follow the page.
        label: title for screen readers.
        titles: by `gid`.
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True)
    root = ElementTree.fromstring(file.getvalue())
    for part in [child for child in root if _name(child.tag) in ("metadata", "defs")]:
        root.remove(part)
    prefix = hashlib.sha256(label.encode()).hexdigest()[:8]
    used = {
        value[1:]
        for element in root.iter()
        for name, value in element.attrib.items()
        if _name(name) == "href"
    }
    for element in list(root.iter()):
        element.tag = _name(element.tag)
        element.text, element.tail = (element.text or "").strip(), None
        attributes = {_name(name): _themed(value) for name, value in element.attrib.items()}
        attributes.pop("clip-path", None)  # the axes hold everything that is in them
        identity = attributes.pop("id", "")
        if "href" in attributes:
            attributes["href"] = f"#{prefix}-{attributes['href'][1:]}"
        if identity in used:
            attributes["id"] = f"{prefix}-{identity}"
        element.attrib = attributes
        if identity in titles:
            element.set("data-row", identity)
            title = ElementTree.Element("title")
            title.text = titles[identity]
            element.insert(0, title)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def _name(name: str) -> str:
    """A tag or attribute without its namespace: HTML knows those of SVG by themselves."""
    return name.rpartition("}")[2]


def _themed(value: str) -> str:
    """An attribute's value on one line, in the colours of the page."""
    one_line = " ".join(value.split())
    return re.sub("|".join(PAGE_COLOURS), lambda found: PAGE_COLOURS[found[0]], one_line)
