"""The `explainers` command: its commands by name, each loaded when it is asked for."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import NoReturn

from explainers.errors import InputError

COMMANDS = {
    "explain": "write the maps of images",
    "compare": "score methods on one data set",
    "serve": "show a web page that explains images",
    "export": "write a file that runs without this library",
    "list": "list the explainers",
}
"""One-line help by name; the name is that of the module in `explainers.commands` too."""

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells expect


class OneLineParser(argparse.ArgumentParser):
    """Reports a bad argument in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all of it was done, 2 on bad input, 130 on Ctrl-C."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _run(_command(words[:1]), words[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(name: str, words: list[str]) -> int:
    # Only now, as they import torch: `explainers --help` has to answer at once.
    with _exit_on_interrupt():
        module = import_module(f"explainers.commands.{name}")
        from datamodules.errors import DataError
        from explainers.classifier.freed_memory import keep_freed_memory

    parser_class: type[argparse.ArgumentParser] = getattr(module, "Parser", OneLineParser)
    parser = parser_class(prog=f"explainers {name}", description=f"{COMMANDS[name]}.".capitalize())
    module.add_arguments(parser)
    keep_freed_memory()
    try:
        code: int = module.run(parser.parse_args(words))
    except (InputError, DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return code


@contextmanager
def _exit_on_interrupt() -> Iterator[None]:
    """Exit at once on Ctrl-C: some libraries take KeyboardInterrupt for a failed import."""
    if threading.current_thread() is not threading.main_thread():  # no signals come here
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
