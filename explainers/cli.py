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

from explainers.errors import InputError, system_error_in_words

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

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells expect


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
    with exit_on_interrupt():
        # Only now, as they import torch: `explainers --help` has to answer at once.
        module = import_module(f"explainers.commands.{name}")
        from datamodules.errors import DataError

    parser_class: type[argparse.ArgumentParser] = getattr(module, "Parser", OneLineParser)
    parser = parser_class(prog=f"explainers {name}", description=f"{COMMANDS[name]}.".capitalize())
    module.add_arguments(parser)
    if "torch" in sys.modules:  # list does without
        from explainers.classifier.freed_memory import keep_freed_memory

        keep_freed_memory()
    try:
        code: int = module.run(parser.parse_args(words))
    except DataError as error:
        raise InputError(str(error)) from error
    return code


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
