"""What the page says about an answer, as HTML: its class, how to read its colours, and errors."""

from html import escape
from math import isnan

from explainers.app.overlays import Legend
from explainers.app.view import View

SHOWN_AS_ZERO = 0.0005  # a probability, which is 0.0 % once rounded


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
    if view.probability < SHOWN_AS_ZERO:
        words += (
            '<p class="caveat">The model all but rules this class out. The colours show what '
            "speaks for it most, which may be next to nothing.</p>"
        )
    return words


def _reading_of(view: View) -> str:
    """The legends of the colours, and what methods with rivals mean by them."""
    if view.files is None:
        return ""
    bars = "".join(map(_bar, view.files.legends))
    rivals = [one.name for one in view.ranked if one.label != view.label]
    methods = view.files.contrastive
    if not methods or not rivals:
        return bars
    some = len(methods) < len(view.files.methods)
    shows = f"{escape(', '.join(methods))}:" if some else "The colours show"
    return (
        f"{bars}<p>{shows} what speaks for <b>{_short(view.subject)}</b> rather than for others, "
        f"above all <b>{_short(rivals[0])}</b> (log-odds)</p>"
    )


def _bar(legend: Legend) -> str:
    return (
        f'<div class="legend"><span>{escape(legend.low)}</span>'
        f'<i style="background: linear-gradient(90deg, {", ".join(legend.colours)})"></i>'
        f"<span>{escape(legend.high)}</span></div>"
    )


def _short(name: str) -> str:
    return escape(name.partition(",")[0])
