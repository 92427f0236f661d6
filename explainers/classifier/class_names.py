"""Names of a classifier's outputs, and classes by name."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset

from explainers.errors import InputError, shown


def class_names(
    model: Any,  # noqa: ANN401  any timm model
    num_classes: int,
    given: Sequence[str] | None = None,
) -> list[str] | None:
    """Given names, or the model's own, else ImageNet's if it has as many classes; None without any.

    Raises:
        InputError: other than `num_classes` names are given.
    """
    if given is not None:
        if len(given) != num_classes:
            raise InputError(
                f"class_names must name all {num_classes} classes in the order of the logits, got "
                f"{len(given)} names"
            )
        return list(given)
    config = getattr(model, "pretrained_cfg", None) or {}
    labels = config.get("label_names") or ()
    if len(labels) == num_classes:
        descriptions = config.get("label_descriptions") or {}
        return [descriptions.get(label, label) for label in labels]
    subset = infer_imagenet_subset(model) if config else None
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return [info.index_to_description(index) for index in range(num_classes)]


def read_class_names(
    given: Sequence[str] | str | None, kind: str = "class names"
) -> Sequence[str] | None:
    """The names in a text file, one a line, without empty lines; a list or None as it is.

    Args:
        given: a list, or the path of the file.
        kind: what the names are, for the message.

    Raises:
        InputError: there is no such file, or it is no text.
    """
    if not isinstance(given, str):
        return given
    file = Path(given)
    if not file.is_file():
        raise InputError(
            f"no file of {kind} at {file.absolute()}; write one {kind.split()[-1][:-1]} a line"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def class_of(name: str, names: Sequence[str]) -> int:
    """The number of the class of a name: its whole name, or one of its synonyms between commas.

    Upper and lower case are the same.

    Raises:
        InputError: no class has that name, or several have.
    """
    wanted = _plain(name)
    whole = [index for index, known in enumerate(names) if _plain(known) == wanted]
    found = whole or [
        index for index, known in enumerate(names) if wanted in map(_plain, known.split(","))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{index} ({names[index]})" for index in found[:8])
        raise InputError(f"several classes are called {name!r}: {several}; give the number of one")
    parts = {_plain(part): index for index, known in enumerate(names) for part in known.split(",")}
    near = [parts[part] for part in difflib.get_close_matches(wanted, parts, n=3, cutoff=0.5)]
    near += [index for part, index in parts.items() if wanted and wanted in part.split()]
    suggested = ", ".join(f"{names[index]} ({index})" for index in list(dict.fromkeys(near))[:3])
    way_out = f"did you mean {suggested}?" if near else f"give a number, 0 to {len(names) - 1}"
    raise InputError(f"no class is called {shown(name)}; {way_out}")


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())
