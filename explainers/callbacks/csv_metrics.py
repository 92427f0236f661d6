"""Metrics of a fit in a CSV file, kept through the test after it."""

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.utilities import rank_zero_only

from explainers.durable_files import write_aside


@contextmanager
def kept_csv_metrics(loggers: Sequence[Logger]) -> Iterator[None]:
    """Put the rows that were in metrics.csv before back in front of those that came.

    Lightning's CSVLogger begins the file anew in each forked process, also in one that is stopped.
    """
    paths = [Path(one.log_dir) / "metrics.csv" for one in loggers if isinstance(one, CSVLogger)]
    before = {path: _rows(path) for path in paths}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Experiment logs directory .* exists and is not empty")
        try:
            yield
        finally:
            for path, rows in before.items():
                _put_in_front(rows, path)


@rank_zero_only
def _put_in_front(rows: list[dict[str, str]], path: Path) -> None:
    came = _rows(path)
    if not rows or came[: len(rows)] == [_with_columns_of(came, row) for row in rows]:
        return  # the file went on
    together = [*rows, *came]
    names = list(dict.fromkeys(name for row in together for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(together)
    write_aside(path, text.getvalue().encode())


def _with_columns_of(rows: list[dict[str, str]], row: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(rows[0] if rows else (), "") | row


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
