"""Options of `explainers compare`."""

from explainers.commands.comparison_config import ComparisonParser

Parser = ComparisonParser
"""Class of the parser that `add_arguments` needs."""


def add_arguments(parser: ComparisonParser) -> None:
    """Add the options."""
    parser.add_config()
    parser.add_argument(
        "--output", required=True, metavar="FOLDER", help="folder of results.json, report.html …"
    )
    parser.add_argument(
        "--checkpoint",
        nargs="*",
        default=[],
        metavar="BUNDLE",
        help="bundles to compare too, each under its name",
    )
