"""Objects described in YAML by a class_path and init_args: resolved, checked, then built."""

import importlib
import inspect
import re
from argparse import ArgumentError
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import yaml
from jsonargparse import ArgumentParser

from explainers.errors import InputError, did_you_mean, shown
from explainers.shipped import config_path


def config_file(source: str | Path) -> Path:
    """A config's file, as `config_path` finds it.

    Raises:
        InputError: there is none.
    """
    path = config_path(source)
    if not path.is_file():
        raise InputError(
            f"no config at {path.resolve()}; `explainers list --configs` names those that come "
            "with the package"
        )
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values, or a config of the package by its name.

    Raises:
        InputError: it cannot be read.
    """
    path = config_file(path)
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InputError(f"{path} is nested too deep; keys and values are enough") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold keys and values, got {type(config).__name__}")
    return config


def build(description: Mapping[str, Any], expected: type, **given: Any) -> Any:  # noqa: ANN401
    """Build an object of a subclass of `expected`.

    Args:
        description: `class_path` and, optionally, `init_args`.
        expected: the class that it must be a subclass of.
        given: arguments that the caller adds to `init_args`.

    Raises:
        InputError: the class is no such subclass, or cannot be built from these arguments.
    """
    class_path = description.get("class_path", "")
    if not isinstance(class_path, str):
        raise InputError(f"class_path must be a dotted name, got {shown(class_path)}")
    kind = resolve(class_path, expected)
    init_args = description.get("init_args") or {}
    if not isinstance(init_args, Mapping):
        raise InputError(
            f"the init_args of {class_path} must be arguments by name, got {shown(init_args)}"
        )
    return construct(kind, init_args, class_path, **given)


def construct(kind: type, init_args: Mapping[str, Any], what: str, **given: Any) -> Any:  # noqa: ANN401
    """Build an object from plain values, whose names and types are checked before.

    An argument that is an object itself is described as in `build`.

    Args:
        kind: its class.
        init_args: plain values by name.
        what: it is, for the message.
        given: arguments of the caller, taken as they are.

    Raises:
        InputError: an argument is unknown or of a wrong type, or the class refuses it.
    """
    try:
        parts = {
            name: build(value, expected)
            for name, value in init_args.items()
            if name not in given and (expected := _class_described(kind, name, value))
        }
        plain = {name: value for name, value in init_args.items() if name not in parts}
        return kind(**_checked(kind, plain, given | parts), **given, **parts)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} cannot be built: {error}") from error


def parameters_of(kind: type) -> Mapping[str, inspect.Parameter]:
    """The arguments of a class by name."""
    return inspect.signature(kind).parameters


def resolve(class_path: str, expected: type) -> type:
    """Import the class at `class_path`, without calling it.

    Raises:
        InputError: it is not in `explainers` or `datamodules`, or no subclass of `expected`.
    """
    module_name, _, name = class_path.rpartition(".")
    if module_name.partition(".")[0] not in ("explainers", "datamodules"):
        raise InputError(
            f"class_path {class_path!r} must be a class of explainers or datamodules, "
            f"a subclass of {expected.__name__}"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"{class_path} cannot be built: {error}") from error
    kind = getattr(module, name, None)
    if _is_subclass(kind, expected):
        return kind
    package = importlib.import_module(expected.__module__.partition(".")[0])
    known = _subclasses(module, expected) or _subclasses(package, expected)
    suggestion = did_you_mean(name, known)
    if kind is None:
        raise InputError(
            f"{class_path} cannot be built: no {name!r} in {module_name}; {suggestion}"
        )
    raise InputError(f"{class_path} is no subclass of {expected.__name__}; {suggestion}")


def _subclasses(module: ModuleType, expected: type) -> list[str]:
    return [name for name in dir(module) if _is_subclass(getattr(module, name, None), expected)]


def _is_subclass(kind: object, expected: type) -> TypeGuard[type]:
    return inspect.isclass(kind) and issubclass(kind, expected) and kind is not expected


def _class_described(kind: type, name: str, value: object) -> type | None:
    """The class of an argument, where it is one that a value describes; else None."""
    parameter = parameters_of(kind).get(name)
    described = isinstance(value, Mapping) and "class_path" in value
    if parameter is None or not described or not inspect.isclass(parameter.annotation):
        return None
    return parameter.annotation


def _checked(kind: type, init_args: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of known names and right types, as they are; numbers in quotes become numbers."""
    parameters = parameters_of(kind)
    known = [name for name in parameters if name not in given]
    for name in init_args:
        if name in given:
            raise InputError(f"{kind.__name__} is given {name!r} by the command; leave it out")
        if name not in known:
            raise TypeError(
                f"{kind.__name__} got an unexpected keyword argument {name!r}; "
                f"{did_you_mean(str(name), known)}"
            )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, skip=set(given))
    try:
        parsed = parser.parse_object(dict(init_args))
    except ArgumentError as error:
        found = re.search(r'Parser key "(\w+)', str(error))
        if not found or found[1] not in init_args:
            raise TypeError(" ".join(str(error).split())) from error
        rule = inspect.formatannotation(parameters[found[1]].annotation)
        raise TypeError(f"{found[1]} must be {rule}, got {shown(init_args[found[1]])}") from error
    numbers = {name: value for name, value in parsed.items() if isinstance(value, int | float)}
    return {
        name: numbers.get(name, value) if isinstance(value, str) else value
        for name, value in init_args.items()
    }
