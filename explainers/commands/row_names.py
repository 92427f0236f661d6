"""Names of the rows of a comparison: of bundles, and distinct."""

from collections.abc import Iterable, Sequence

from explainers.errors import InputError, shown
from explainers.evaluation.uninformative import UNINFORMATIVE
from explainers.training.bundle_files import bundle_name

FORBIDDEN = "/\\"
"""Characters that the name of a row cannot have: names become parts of file names and tables."""


def bundle_names(bundles: Sequence[str]) -> list[str]:
    """Names of the rows of bundles: those of their folders, or on the hub.

    Raises:
        InputError: one is empty.
    """
    if not all(bundle.strip() for bundle in bundles):
        raise InputError("--checkpoint has an empty name; name a bundle's folder")
    return [bundle_name(bundle) for bundle in bundles]


def require_distinct_rows(names: Iterable[str]) -> None:
    """Refuse names of rows that would overwrite each other, or cannot be written.

    Raises:
        InputError: two differ by case only or not at all, one is that of an uninformative
            baseline, or one is empty or has a slash in it.
    """
    taken = {name.casefold(): "an uninformative baseline" for name in UNINFORMATIVE}
    for name in names:
        if not name.strip() or set(name) & set(FORBIDDEN) or not name.isprintable():
            raise InputError(
                f"the name of a method must be a word without slashes, got {shown(name)}; rename it"
            )
        if other := taken.get(name.casefold()):
            raise InputError(
                f"the row {name!r} has the name of {other}, upper and lower case alike; rename the "
                "method, or the bundle's folder"
            )
        taken[name.casefold()] = f"another row, {name!r}"
