"""Errors that the user, not the code, has to mend, and the check of a name against known ones."""

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Something given cannot be used; the message names the value, the rule and the way out."""


class TargetError(InputError, TypeError):
    """A target of a kind that the method cannot explain."""


class ArchitectureError(InputError):
    """A classifier of a kind that the method cannot explain."""


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not among the known ones.

    Args:
        what: what it names, for the message.
        name: as it was given.
        known: all that there are.

    Raises:
        InputError: it is unknown; the message suggests the nearest.
    """
    names = list(known)
    if name not in names:
        raise InputError(f"unknown {what} {name!r}; {did_you_mean(name, names)}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The clause of an error message that lists the known names nearest to `name`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return (
        f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(sorted(known)[:8])}, …"
    )
