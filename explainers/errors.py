"""Errors that the user, not the code, has to mend, and checks of names and numbers."""

import difflib
import errno
import math
import signal
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

MOST_COUNTED = 100_000
"""Largest width, number of steps or other count of a method."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit code after a Ctrl-C, as shells have it."""


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


def require_whole(what: str, value: object, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no whole number, or one out of its range; both ends are allowed.

    Raises:
        InputError: it is no whole number, or below `least` or above `most`.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and value >= least and (most is None or value <= most):  # type: ignore[operator]
        return
    rule = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise InputError(f"{what} must be a whole number {rule}, got {shown(value)}")


def require_number(
    what: str,
    value: object,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Refuse what is no finite number, or one out of its range.

    Args:
        what: it is, for the message.
        value: as it was given.
        least: smallest that is allowed; None for no limit.
        most: largest that is allowed; None for no limit.
        above: a limit that it has to exceed; None for none.
        below: a limit that it must not reach; None for none.

    Raises:
        InputError: it is no finite number, or out of the range.
    """
    if (
        _is_finite(value)
        and (least is None or value >= least)  # type: ignore[operator]
        and (most is None or value <= most)  # type: ignore[operator]
        and (above is None or value > above)  # type: ignore[operator]
        and (below is None or value < below)  # type: ignore[operator]
    ):
        return
    limits = {"of at least": least, "above": above, "at most": most, "below": below}
    rules = [f"{words} {limit}" for words, limit in limits.items() if limit is not None]
    rule = f" {' and '.join(rules)}" if rules else ""
    raise InputError(f"{what} must be a finite number{rule}, got {shown(value)}")


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        return False


def shown(value: object) -> str:
    """A value as error messages show it: in one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # of an int of too many digits, of lists too deep
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:99]}…"


SYSTEM_RULES = {
    errno.EEXIST: "is there already, and is no folder; name another",
    errno.ENOTDIR: "goes through a file as if it were a folder; name another",
    errno.EISDIR: "is a folder, and a file is needed; name a file",
    errno.ENOENT: "is not there; check its name",
    errno.EACCES: "may not be read or written; change its permissions, or name another",
    errno.EPERM: "may not be read or written; change its permissions, or name another",
    errno.EROFS: "is on a disk that cannot be written; name another",
    errno.ENOSPC: "cannot be written: the disk is full; free some space, or name another disk",
    errno.ENAMETOOLONG: "is too long a name; name another",
    errno.ELOOP: "is a link that leads to itself; name another",
}
"""Rule and way out by the number of an error of the system."""


def system_error_in_words(error: OSError) -> str:
    """An error of the system as file, rule and way out."""
    name = error.filename2 or error.filename
    if error.errno is None or name is None:
        return error.strerror or str(error)
    rule = SYSTEM_RULES.get(error.errno, f"cannot be used ({error.strerror}); name another")
    return f"{name} {rule}"
