"""Draws rooms.svg, the picture of docs/design.md: `python docs/figures/rooms.py`.

The floors are those that `tests/test_layers.py` holds the code to.
"""

import ast
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).with_suffix(".svg")
WORDS = {
    "cli": "the command explainers",
    "commands": "one command a file",
    "callbacks": "Lightning callbacks",
    "app": "the web page",
    "bundle": "save, load, share",
    "export": "ONNX, torch.export",
    "methods": "one method a file",
    "heads": "networks that are trained",
    "report": "table, panel, page",
    "training": "LearnedExplainer, losses",
    "baselines": "grad-cam, captum, RISE",
    "base": "Explainer: the contract",
    "evaluation": "one Evaluator",
    "classifier": "FrozenClassifier",
    "metrics": "one metric a file",
    "explanation": "the answer",
    "images": "read, resize, mask, draw",
    "from_config": "objects from YAML",
}
"""What each room is for; rooms without words are small."""

DATA = [
    ("data sets", "one a file"),
    ("samples", "decoding, order, crops"),
    ("shard_files", "index, packing, audit"),
]
STYLE = """
text { font-family: system-ui, sans-serif; font-size: 13px; fill: #222 }
.name { font-weight: 600 } .small { font-size: 11px; fill: #555 } .out { fill: #777 }
.room { fill: #ede7f6; stroke: #7e57c2 } .data { fill: #fff3d6; stroke: #d9a000 }
.house { fill: none; stroke: #999; stroke-dasharray: 4 4 } .arrow { stroke: #777; stroke-width: 1.5; fill: none }
"""


def floors() -> tuple[tuple[str, ...], ...]:
    """The floors of `explainers`, the ground first."""
    tree = ast.parse((ROOT / "tests/test_layers.py").read_text())
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS"
    )
    found: tuple[tuple[str, ...], ...] = ast.literal_eval(value)
    return found


def room(x: float, y: float, width: float, name: str, words: str, kind: str = "room") -> str:
    """A box with a name, and words below it."""
    centre = x + width / 2
    middle = y + (17 if words else 24)
    box = f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="38" rx="5"/>'
    title = f'<text class="name" x="{centre:g}" y="{middle:g}" text-anchor="middle">{name}</text>'
    note = f'<text class="small" x="{centre:g}" y="{y + 31:g}" text-anchor="middle">{words}</text>'
    return box + title + (note if words else "")


def drawn() -> str:
    """The picture, as SVG."""
    storeys = floors()
    left, wide, step = 60, 580, 46
    high = len(storeys) * step
    parts = [
        f'<rect class="house" x="{left - 10}" y="34" width="{wide + 20}" height="{high + 4}"/>'
    ]
    parts.append(f'<text class="out" x="{left - 10}" y="24">explainers/</text>')
    for number, names in enumerate(reversed(storeys)):
        width = (wide - 10 * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x, y = left + place * (width + 10), 40 + number * step
            parts.append(room(x, y, width, name, escape(WORDS.get(name, ""))))
    parts.append(f'<path class="arrow" d="M26 50 V{20 + high}" marker-end="url(#tip)"/>')
    middle = 35 + high / 2
    turned = f'transform="rotate(-90 18 {middle:g})"'
    parts.append(
        f'<text class="out" x="18" y="{middle:g}" text-anchor="middle" {turned}>imports point down</text>'
    )
    other, top = left + wide + 90, 40 + 4 * step
    parts.append(f'<rect class="house" x="{other - 10}" y="{top - 6}" width="200" height="142"/>')
    parts.append(f'<text class="out" x="{other - 10}" y="{top - 16}">datamodules/</text>')
    for number, (name, words) in enumerate(DATA):
        parts.append(room(other, top + number * step, 180, name, words, "data"))
    batch = top + 1.5 * step - 4
    parts.append(
        f'<path class="arrow" d="M{other - 12} {batch:g} H{left + wide + 18}" marker-end="url(#tip)"/>'
        f'<text x="{other - 46}" y="{batch - 8:g}" text-anchor="middle">batch</text>'
    )
    size = f'viewBox="0 0 {other + 200} {high + 48}"'
    tip = '<marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
    head = f'<defs>{tip}<path d="M0 0 L6 3 L0 6 Z" fill="#777"/></marker></defs>'
    ground = '<rect width="100%" height="100%" fill="#fff" rx="8"/>'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<style>{STYLE}</style>",
    ]
    return "\n".join([*lines, head, ground, *parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(drawn())
