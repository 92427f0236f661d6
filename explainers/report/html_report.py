"""What a comparison found, as one page that needs nothing else: `report.html`."""

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from explainers.evaluation.costs import sentences
from explainers.evaluation.records import Row
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.metrics import CHOICES
from explainers.report.comparison_figures import curve_figures, trade_off_figures
from explainers.report.page_style import SCRIPT, STYLE
from explainers.report.row_styles import styles
from explainers.report.summary import (
    TITLES,
    best_of,
    description,
    higher_is_better,
    interval_of,
    notes,
    number,
    title,
)

SIDE = 272  # pixels of a picture's longer side: twice what is shown, for fine screens


def report(results: Row, pictures: Mapping[str, Sequence[Tensor]]) -> str:
    """Lay out a comparison.

    Args:
        results: what results.json holds; null, None, stands for what is not known.
        pictures: of the same images in the same order, (3 h w) in [0, 1]: by method, its overlays;
            and under `image` and `reference`, what was given.

    Returns:
        HTML, its pictures and figures within.
    """
    rows = results["rows"]
    looks = styles([row["explainer"] for row in rows], list(UNINFORMATIVE))
    metrics = [name for name in CHOICES if any(name in row for row in rows)]
    images = max((row["images"] for row in rows), default=0)
    classifier = results["protocol"].get("classifier", {}).get("source", {}).get("model", "")
    methods = sum(row["explainer"] not in UNINFORMATIVE for row in rows)
    target = escape(str(results["protocol"].get("target", "unknown")))
    heading = (
        f"<h1>Explainers compared{escape(f': {classifier}' if classifier else '')}</h1>"
        f'<p class="soft">{methods} methods and {len(rows) - methods} trivial maps, {images} '
        f"images; target: {target}</p>"
    )
    sections = [
        heading,
        "<h2>At a glance</h2>" + _list(notes(rows, metrics)),
        "<h2>Scores</h2>" + _table(rows, metrics) + _costs(rows),
        curve_figures(rows, looks),
        trade_off_figures(rows, metrics, looks),
        _pictures(pictures),
        _explained(metrics),
        _protocol(results),
    ]
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Explainers compared</title><style>{STYLE}</style></head><body>"
        f"<main>{''.join(sections)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _table(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    names = [*metrics, *(name for name in TITLES if any(name in row for row in rows))]
    head = '<th scope="col"><button>explainer</button></th>'
    for name in names:
        better = higher_is_better(name)
        first = "descending" if better else "ascending"
        hint = escape(description(name) or name.replace("_", " "))
        head += f'<th scope="col" data-first="{first}" title="{hint}">'
        head += f"<button>{title(name)}{_arrow(better)}</button></th>"
    differing = [name for name in metrics if len({row.get(name) for row in rows}) > 1]
    best = {name: best_of(rows, name) for name in differing}
    body = ""
    for row in rows:
        trivial = ' class="trivial"' if row["explainer"] in UNINFORMATIVE else ""
        cells = "".join(_cell(row, name, best.get(name) is row) for name in names)
        name = escape(row["explainer"])
        body += f'<tr{trivial}><th scope="row" data-value="{name}">{name}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="scores"><table><caption>'
        "Mean over the images, and below it the 95 % bootstrap interval. Best of a column in "
        "bold; maps that explain nothing in italics. A heading sorts.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(row: Row, name: str, best: bool) -> str:
    value = row.get(name)
    if value is None:
        return f'<td data-value="">{"unknown" if name == "training_seconds" else "-"}</td>'
    text = f"<b>{number(value)}</b>" if best else number(value)
    between = interval_of(row, name)
    if between is not None:
        text += f"<small>{number(between[0])} … {number(between[1])}</small>"
    return f'<td data-value="{value!r}"{" class=best" if best else ""}>{text}</td>'


def _arrow(better: bool | None) -> str:
    return "" if better is None else " ↑" if better else " ↓"


def _list(items: Iterable[str]) -> str:
    return '<ul class="notes">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _costs(rows: Sequence[Row]) -> str:
    """What training took, and when it is paid for."""
    marked = [re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text)) for text in sentences(rows)]
    return _list(marked) if marked else ""


def _pictures(pictures: Mapping[str, Sequence[Tensor]]) -> str:
    """A strip an image: the image, and what each method laid over it."""
    count = min((len(shown) for shown in pictures.values()), default=0)
    strips = ""
    for index in range(count):
        cards = "".join(
            f'<figure><img src="{_inline(shown[index])}" alt="image {index + 1}, {escape(name)}" '
            f'loading="lazy"><figcaption>{escape(name)}</figcaption></figure>'
            for name, shown in pictures.items()
        )
        strips += f'<div class="strip">{cards}</div>'
    return f"<h2>Maps</h2>{strips}" if strips else ""


def _inline(picture: Tensor) -> str:
    """A picture (3 h w) in [0, 1] as a data URI."""
    image = to_pil_image(picture.clamp(0, 1).float().cpu())
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _explained(metrics: Sequence[str]) -> str:
    items = "".join(
        f"<dt>{escape(title(name))}{_arrow(higher_is_better(name))}</dt>"
        f"<dd>{escape(description(name))}</dd>"
        for name in metrics
    )
    area = "<dt>area %</dt><dd>Mean of the map's values, in percent: how much it keeps.</dd>"
    return f"<h2>What the columns say</h2><dl>{items}{area}</dl>"


def _protocol(results: dict[str, Any]) -> str:
    text = json.dumps({name: part for name, part in results.items() if name != "rows"}, indent=2)
    return f'<h2>Protocol</h2><pre tabindex="0">{escape(text)}</pre>'
