"""What the page says about an answer, as HTML: its class, how to read its colours, and errors."""

from html import escape
from math import isnan

from explainers.app.overlays import Legend
from explainers.app.view import View
from explainers.base import Explainer
from explainers.images.labelled_maps import RULED_OUT


def error_of(view: View, field: str) -> str:
    """The error that concerns a field; empty if there is none. "" stands for no field at all."""
    if not view.error or view.field != field:
        return ""
    return f'<p class="error" role="alert">{escape(view.error)}</p>'


def hint_of(view: View) -> str:
    """The error that concerns no field, or the next thing to do."""
    return error_of(view, "") or (f"<p>{escape(view.hint)}</p>" if view.hint else "")


def heading_of(view: View) -> str:
    """What is explained, and how to read the colours; empty where nothing is."""
    return f"{_subject_of(view)}{_reading_of(view)}" if view.files else ""


def _subject_of(view: View) -> str:
    """What is explained, with its probability, and a caveat where that is next to nothing."""
    if view.label is None:
        asked = "Concept" if view.files and view.files.photograph else "What two images share"
        return f"<h2>{asked}</h2>"
    words = f"<h2>{escape(view.subject)}"
    if isnan(view.probability):
        return f"{words}</h2>"
    words += f" <span>{100 * view.probability:.1f} %</span></h2>"
    if view.probability < RULED_OUT:
        words += (
            '<p class="caveat">The model rules this class out: the colours show what speaks for '
            "it most, which may be next to nothing.</p>"
        )
    return words


def _reading_of(view: View) -> str:
    """The legends of the colours, and what they measure where that is said of a method."""
    if view.files is None:
        return ""
    bars = "".join(map(_bar, view.files.legends))
    methods, meanings = view.files.methods, view.files.meanings
    told = [
        f"<p>{f'{escape(method)}: ' if len(methods) > 1 else ''}{_meaning(meaning, view)}</p>"
        for method, meaning in zip(methods, meanings, strict=True)
        if meaning not in ("", Explainer.map_meaning)
    ]
    return bars + "".join(told)


def _meaning(meaning: str, view: View) -> str:
    """A meaning, and the likeliest rival of the class where it speaks of rivals."""
    rivals = [one.name for one in view.ranked if one.label != view.label]
    if not rivals or not meaning.endswith("rivals"):
        return escape(meaning)
    of_both = f"<b>{_short(view.subject)}</b>, not <b>{_short(rivals[0])}</b>"
    return f"{escape(meaning)}: {of_both}"


def _bar(legend: Legend) -> str:
    return (
        f'<div class="legend"><span>{escape(legend.low)}</span>'
        f'<i style="background: linear-gradient(90deg, {", ".join(legend.colours)})"></i>'
        f"<span>{escape(legend.high)}</span></div>"
    )


def _short(name: str) -> str:
    return escape(name.partition(",")[0])
