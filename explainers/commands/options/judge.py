"""Options of `explainers judge`."""

from explainers.commands.comparison_config import ComparisonParser

Parser = ComparisonParser
"""Class of the parser that `add_arguments` needs."""


def add_arguments(parser: ComparisonParser) -> None:
    """Add the options."""
    parser.add_config()
    parser.add_argument(
        "--output", required=True, metavar="FOLDER", help="folder of the judge and of the scores"
    )
    parser.add_argument(
        "--checkpoint", nargs="*", default=[], metavar="BUNDLE", help="bundles to judge too"
    )
    parser.add_argument("--steps", type=int, default=1000, help="training steps of the judge")
    parser.add_argument("--lr", type=float, default=1e-4, help="peak learning rate of the judge")
    parser.add_argument("--cells", type=int, default=14, help="cells on each side of its masks")
