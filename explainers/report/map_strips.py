"""Maps of a comparison for its page: a strip an image, with class, probability and scores."""

import base64
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from explainers.evaluation.comparison_results import Pictured
from explainers.evaluation.records import Row
from explainers.images.drawing_style import DEFAULT_STYLE
from explainers.images.tiles import to_bytes
from explainers.report.summary import number, title

SIDE = 448
"""Pixels of a picture's longer side, at most: enough to enlarge it."""

MAP_SIDE = 96
"""Pixels of the longer side of the maps that differences are drawn from."""


@dataclass(frozen=True)
class MapCell:
    """A map in a strip.

    Attributes:
        name: of its row.
        picture: its address, with the picture within.
        values: that of the map alone, grey, from its minimum to its maximum.
        score: of the image by the page's metric, with its name; empty where there is none.
        scores: all of the image's scores, a line each.
        uninformative: it is of a baseline.
    """

    name: str
    picture: str
    values: str
    score: str
    scores: str
    uninformative: bool


@dataclass(frozen=True)
class Strip:
    """An image and its maps.

    Attributes:
        key: of the image.
        caption: the explained class.
        percent: its probability; empty where it has none.
        caveat: a warning where the class is ruled out.
        image: its address.
        reference: that of what it was compared with; None without one.
        cells: the maps.
        values: scores by method and metric, as JSON, to sort by.
    """

    key: str
    caption: str
    percent: str
    caveat: str
    image: str
    reference: str | None
    cells: list[MapCell]
    values: str


def strips(
    pictures: Sequence[Pictured],
    records: Sequence[Row],
    baselines: Collection[str],
    metrics: Sequence[str],
    shown: str | None,
) -> list[Strip]:
    """Lay out the pictured images.

    Args:
        pictures: images and maps.
        records: one an image and method.
        baselines: names of the uninformative rows.
        metrics: names of the metrics.
        shown: the one that stands below each map.
    """
    known = {(row["key"], row["explainer"]): row for row in records}
    found = []
    for one in pictures:
        scores = {
            name: {
                metric: record[metric]
                for metric in metrics
                if (record := known.get((one.key, name), {})).get(metric) is not None
                and record[metric] == record[metric]  # not NaN
            }
            for name in one.maps
        }
        first = next(iter(one.maps.values()))
        found.append(
            Strip(
                one.key,
                first.caption,
                first.percent,
                first.caveat,
                _jpeg(one.image),
                None if one.reference is None else _jpeg(one.reference),
                [_cell(name, one, scores[name], name in baselines, shown) for name in one.maps],
                json.dumps(scores),
            )
        )
    return found


def _cell(
    name: str, one: Pictured, scores: Mapping[str, float], baseline: bool, shown: str | None
) -> MapCell:
    drawn = one.maps[name]
    values = DEFAULT_STYLE.drawable(drawn.one_map, drawn.scores, drawn.signed)
    picture = DEFAULT_STYLE.tile(drawn.image, values, bool(drawn.caveat)).picture
    lines = [f"{title(metric)} {number(value)}" for metric, value in scores.items()]
    score = ""
    if shown is not None and shown in scores:
        score = f"{title(shown)} {number(scores[shown])}"
    return MapCell(name, _jpeg(picture), _grey(drawn.one_map), score, "\n".join(lines), baseline)


def _jpeg(picture: Tensor) -> str:
    """A picture (3 h w) in [0, 1] as a JPEG within an address."""
    image = Image.fromarray(to_bytes(picture.float()))
    image.thumbnail((SIDE, SIDE))
    return _address(image, "jpeg", quality=88)


def _grey(one_map: Tensor) -> str:
    """A map (1 h w) in [0, 1] as a small grey PNG within an address."""
    scale = min(1.0, MAP_SIDE / max(one_map.shape[-2:]))
    size = [max(1, round(side * scale)) for side in one_map.shape[-2:]]
    small = F.interpolate(one_map[None].float(), size, mode="bilinear", antialias=True)[0]
    return _address(Image.fromarray(to_bytes(small)[..., 0]), "png")


def _address(image: Image.Image, kind: str, **options: int) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
