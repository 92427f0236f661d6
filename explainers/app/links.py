"""Links to what the page shows of an example: its image, class and methods, as a query."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from explainers.app.view import View
from explainers.app.workbench import Workbench
from explainers.classifier.class_names import class_of
from explainers.errors import InputError, require_known


class Wanted(NamedTuple):
    """What a link asks for."""

    bench: str
    image: str
    methods: list[str]
    texts: tuple[str, ...]
    label: int | None


def link_to(view: View, several: bool) -> str:
    """The query of a link to a class of an example; empty for uploads, concepts and pairs.

    Args:
        view: what is shown.
        several: there are other classifiers, so that this one has to be named.
    """
    if not view.example or view.label is None or view.files is None:
        return ""
    query = {"model": view.bench} if several else {}
    query |= {"image": view.name, "class": str(view.label)}
    query |= {"method": ";".join(view.files.methods)}
    query |= {"text": "\n".join(view.texts)} if view.texts else {}
    return f"?{urlencode(query)}"


def read_link(
    query: Mapping[str, str], benches: Mapping[str, Workbench], images: Sequence[str]
) -> Wanted | None:
    """Read a query; None if it names no image.

    Only `image` is needed. A class may be given by its name, too.

    Raises:
        InputError: a classifier, image, method or class is unknown, or the classifier takes no texts.
    """
    if "image" not in query:
        return None
    name = query.get("model") or next(iter(benches))
    require_known("model", name, benches)
    require_known("image", query["image"], images)
    bench = benches[name]
    methods = [one for one in query.get("method", "").split(";") if one] or bench.of_classes[:1]
    for method in methods:
        require_known("method", method, bench.of_classes)
    texts = texts_of(query.get("text", ""))
    if texts and not bench.texts:
        raise InputError(f"{name} takes no texts for its classes")
    label = _label(query.get("class"), bench.class_names(texts))
    return Wanted(name, query["image"], methods, texts, label)


def texts_of(lines: str) -> tuple[str, ...]:
    """Texts that stand one a line."""
    return tuple(dict.fromkeys(line.strip() for line in lines.splitlines() if line.strip()))


def _label(given: str | None, names: Sequence[str]) -> int | None:
    if not given:
        return None
    if not given.isdecimal():
        return class_of(given, names)
    if len(given) > 9 or int(given) >= len(names):
        raise InputError(f"class {given[:20]} is none of 0 to {len(names) - 1}")
    return int(given)
