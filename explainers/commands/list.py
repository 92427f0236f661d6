"""`explainers list`: methods, baselines and bundles, with what each needs; or the configs.

The source of the classes is read and not imported, as that would import torch.
"""

import argparse
import ast
import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from explainers.shipped import PACKAGE, shipped_bundles, shipped_configs

NOT_A_TERMINAL = (1000, 24)
"""Columns and lines of a file or a pipe, whose lines are not wrapped."""


class Entry(NamedTuple):
    """An entry of the list: a name, what it needs beside images and a classifier, and a line."""

    name: str
    needs: str
    summary: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--configs", action="store_true", help="list the configs that come with the package"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    if arguments.configs:
        _print("config", configs())
        return 0
    classes = _classes()
    for title, folder in (("explainer", "methods"), ("baseline", "baselines")):
        _print(title, offered(folder, classes))
        print()
    _print("bundle", bundles())
    return 0


def offered(folder: str, classes: dict[str, ast.ClassDef] | None = None) -> list[Entry]:
    """The explainers that a folder of the package offers: first those that need nothing more."""
    classes = _classes() if classes is None else classes
    body = ast.parse((PACKAGE / folder / "__init__.py").read_text()).body
    names: Any = _value(body, "_MODULES") or _value(body, "__all__")  # by name, where lazy
    found = [
        Entry(name, _needs(name, classes), (ast.get_docstring(classes[name]) or "").splitlines()[0])
        for name in names or ()
        if name in classes
    ]
    return sorted(found, key=lambda entry: entry.needs)


def bundles() -> list[Entry]:
    """The bundles that come with the package, and the classifier of each."""
    found = []
    for name, folder in shipped_bundles().items():
        config = json.loads((folder / "config.json").read_text())
        source = config["hyperparameters"]["classifier"]
        model = source["model"] if isinstance(source, dict) else source
        found.append(Entry(name, "", f"{config['class']} of {model}"))
    return found


def configs() -> list[Entry]:
    """The configs that come with the package, and the comment that each begins with."""
    found = []
    for name, path in shipped_configs().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
        found.append(Entry(name, "", comment.partition(". ")[0].rstrip(".")))
    return found


def _classes() -> dict[str, ast.ClassDef]:
    """The classes in the source of all that explains by their names."""
    bases = [PACKAGE / "base.py", PACKAGE / "training/learned_explainer.py"]
    paths = [*bases, *PACKAGE.glob("methods/**/*.py"), *PACKAGE.glob("baselines/*.py")]
    parsed = (ast.parse(path.read_text(encoding="utf-8")) for path in paths)
    return {
        node.name: node for one in parsed for node in one.body if isinstance(node, ast.ClassDef)
    }


def _needs(name: str, classes: dict[str, ast.ClassDef]) -> str:
    """The attribute `needs` of a class, its own or inherited."""
    if name not in classes:
        return ""
    own = _value(classes[name].body, "needs")
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    return str(own) if own is not None else _needs(bases[0] if bases else "", classes)


def _value(body: Sequence[ast.stmt], name: str) -> object:
    """The plain value that a name is assigned in a body; None where it is not."""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return None


def _print(title: str, entries: Sequence[Entry]) -> None:
    """Print a table whose last column is wrapped to the terminal."""
    needs = any(entry.needs for entry in entries)
    rows = [Entry(title.upper(), "NEEDS", ""), *entries]
    first, second = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    columns = shutil.get_terminal_size(NOT_A_TERMINAL).columns
    for row in rows:
        start = f"{row.name:{first}}" + f"{row.needs:{second}}" * needs
        width = max(columns, len(start) + 40)
        line = textwrap.fill(
            row.summary, width, initial_indent=start, subsequent_indent=" " * len(start)
        )
        print(line or start.rstrip())
