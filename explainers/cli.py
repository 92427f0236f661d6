"""The `explainers` command: which commands there are, and how each of them ends."""

import argparse
import inspect
import sys
from pathlib import Path
from typing import NoReturn

from datamodules.errors import DataError
from explainers.classifier.freed_memory import keep_freed_memory
from explainers.commands import explain, export
from explainers.commands.compare import load_comparison
from explainers.errors import InputError
from explainers.evaluation.costs import sentences
from explainers.methods import METHODS
from explainers.report.comparison_files import write_comparison
from explainers.report.table import table


def compare(arguments: argparse.Namespace) -> int:
    """Score methods on one data set; 2 if one failed on an image."""
    comparison = load_comparison(arguments.config, arguments.checkpoint, arguments.output)
    results = comparison.run()
    write_comparison(results, arguments.output)
    rows = results.rows
    print(f"\n{table(rows)}")
    for sentence in sentences(rows):
        print(f"\n{sentence}")
    if results.references:
        low, high = results.references["accuracy_interval"]
        print(
            "\nthe nearest reference is of the image's own class for "
            f"{results.references['accuracy']:.1f} % [{low:.1f}, {high:.1f}] of "
            f"{results.references['images']} images"
        )
    print(f"\nwrote {arguments.output}; look at {arguments.output / 'report.html'}")
    return 2 if any(row["failed"] for row in rows) else 0


def list_explainers(arguments: argparse.Namespace) -> int:
    """Print each explainer and what it is."""
    for name, kind in METHODS.items():
        print(f"{name:10} {(inspect.getdoc(kind) or '').splitlines()[0]}")
    return 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve the web page until it is interrupted."""
    from explainers.app import serve_page  # only this command needs it

    serve_page(arguments.checkpoint, arguments.config, arguments.host, arguments.port)
    return 0


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all of it was done, 2 on bad input."""
    parser = _OneLineParser(prog="explainers", description="Ask a vision model why.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("explain", help="write the maps of images")
    explain.add_arguments(command)
    command = commands.add_parser("compare", help="score methods on one data set")
    command.add_argument("--config", required=True, type=Path, metavar="FILE")
    command.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    command.add_argument(
        "--checkpoint", nargs="*", default=[], help="bundles to compare too, each under its name"
    )
    command.set_defaults(run=compare)
    command = commands.add_parser("serve", help="show a web page that explains images")
    command.add_argument("--checkpoint", nargs="*", default=[], help="bundles; default: all here")
    command.add_argument("--config", nargs="*", default=[], type=Path, metavar="FILE")
    command.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    command.add_argument("--port", type=int, default=7860)
    command.set_defaults(run=serve)
    command = commands.add_parser("export", help="write a file that runs without this library")
    export.add_arguments(command)
    command = commands.add_parser("list", help="list the explainers")
    command.set_defaults(run=list_explainers)
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    try:
        code: int = arguments.run(arguments)
    except (InputError, DataError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
