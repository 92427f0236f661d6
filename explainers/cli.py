"""The `explainers` command: its commands by name, each loaded when it is asked for."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from explainers.errors import INTERRUPTED, InputError, system_error_in_words

COMMANDS = {
    "explain": "write the maps of images",
    "compare": "score methods on one data set",
    "judge": "score methods by a judge of masked images (EVAL-X)",
    "sanity": "test whether a trained head depends on its classifier",
    "train": "fit, validate, test or predict: what train.py of a checkout does",
    "serve": "show a web page that explains images",
    "export": "write a file that runs without this library",
    "list": "list the explainers",
    "layers": "list the layers of a classifier that features can be read at",
}
"""One-line help by name; the name is that of the module in `explainers.commands` too."""

QUICK = ("explain",)
"""Commands that are done within seconds, of which the imports would be most."""

UNUSED = ("matplotlib", "scipy", "transformers")
"""Packages that torchmetrics imports, where they are there, for metrics that no command has."""

HELP, HELP_ALL = ("-h", "--help"), "--help-all"
"""Words that ask for the help of a command, and for all of it where a short one is written."""


class OneLineParser(argparse.ArgumentParser):
    """Reports a bad argument in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        text = " ".join(message.split())
        text = text if len(text) <= 300 else f"{text[:299]}…"
        print(f"error: {text}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all of it was done, 2 on bad input, 130 after a Ctrl-C."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _run(_command(words[:1]), words[1:])
    except InputError as error:
        return _refused(str(error))
    except OSError as error:
        return _refused(system_error_in_words(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return INTERRUPTED


def _run(name: str, words: list[str]) -> int:
    program = f"explainers {name}"
    words = with_short_help(name, words, program)
    options = import_module(_options_of(name))
    parser_class: type[argparse.ArgumentParser] = getattr(options, "Parser", OneLineParser)
    summary = COMMANDS[name]
    parser = parser_class(prog=program, description=f"{summary[0].upper()}{summary[1:]}.")
    options.add_arguments(parser)
    arguments = parser.parse_args(words)
    with exit_on_interrupt():
        # Only now, as they import torch: help and errors of options have to come at once.
        if name in QUICK:
            _import_lightning()
        module = import_module(f"explainers.commands.{name}")
        from datamodules.errors import DataError

    if "torch" in sys.modules:  # list does without
        from explainers.classifier.freed_memory import keep_freed_memory

        keep_freed_memory()
    try:
        code: int = module.run(arguments)
    except DataError as error:
        raise InputError(str(error)) from error
    return code


def _options_of(name: str) -> str:
    """The module with the options of a command: one of `commands.options`, or its own."""
    apart = f"explainers.commands.options.{name}"
    return apart if find_spec(apart) else f"explainers.commands.{name}"


def with_short_help(name: str, words: list[str], program: str) -> list[str]:
    """Answer `--help` of a command or its subcommands by a short text, before slow imports.

    Args:
        name: of the command, and of its text in `commands/templates`; without one, nothing is done.
        words: of the command line, after the command.
        program: what the user calls it.

    Returns:
        The words, with those that ask for all of the help as the command's own parser knows them.

    Raises:
        SystemExit: the help was asked for, and printed.
    """
    text = Path(__file__).parent / "commands/templates" / f"{name}.txt"
    if not text.is_file():
        return words
    if not words or (len(words) <= 2 and words[-1] in HELP):
        print(text.read_text(encoding="utf-8").format(program=program), end="")
        sys.exit(0 if words else 2)
    return [HELP[-1] if word == HELP_ALL else word for word in words]


def _import_lightning() -> None:
    """Import Lightning without `UNUSED`, which are three quarters of its time.

    Lightning imports torchmetrics, and that has these only where they seem to be installed. What
    needs them later imports them as ever.
    """
    if "lightning_utilities" in sys.modules or set(UNUSED) & sys.modules.keys():
        return  # too late
    import timm  # noqa: F401  with torch and torchvision, which may need them

    found, hidden = metadata.version, set(UNUSED) - sys.modules.keys()

    def version(distribution_name: str) -> str:
        if distribution_name in hidden:
            raise metadata.PackageNotFoundError(distribution_name)
        return found(distribution_name)

    metadata.version = version
    absent: dict[str, Any] = dict.fromkeys(hidden)  # as the import system marks what is not there
    sys.modules.update(absent)
    try:
        import lightning.pytorch  # noqa: F401
    finally:
        metadata.version = found
        for name in hidden:
            del sys.modules[name]
        hidden.clear()


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Exit at once on Ctrl-C: some libraries take KeyboardInterrupt for a failed import."""

    def stop(number: int, frame: object) -> NoReturn:
        os.write(2, b"\nstopped\n")
        os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # no signals come here
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _refused(reason: str) -> int:
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return 2


def _command(words: list[str]) -> str:
    parser = OneLineParser(
        prog="explainers",
        description="Ask a vision model why.",
        epilog="explainers COMMAND --help lists the options of a command.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    chosen: str = parser.parse_args(words).name
    return chosen


if __name__ == "__main__":
    sys.exit(main())
