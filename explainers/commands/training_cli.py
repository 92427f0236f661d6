"""The command line of `train.py`: its options, checks before a run, and one-line errors."""

import json
import logging
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from datamodules.errors import DataError
from explainers.base import Explainer
from explainers.errors import INTERRUPTED, InputError
from explainers.evaluation.evaluator import CONFIDENCE_METRICS
from explainers.methods import METHODS  # noqa: F401  so that configs can name them by class alone

Result = TypeVar("Result")

LEAST = {
    "max_epochs": (1, (-1,)),
    "min_epochs": (1, ()),
    "max_steps": (1, (-1,)),
    "accumulate_grad_batches": (1, ()),
    "num_nodes": (1, ()),
    "log_every_n_steps": (1, ()),
    "check_val_every_n_epoch": (1, ()),
    "devices": (1, (-1,)),
}
"""Least value of the trainer's whole numbers, and what stands for no limit."""

SHARES = ("limit_train_batches", "limit_test_batches", "limit_predict_batches")
"""Batches, or a share of them, of which there has to be something."""


class OneLineTrainingParser(LightningArgumentParser):
    """Reports a bad argument or config key in one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message and exit with 2."""
        refuse(message)


def refuse(message: str) -> NoReturn:
    """Print an error in one line, and exit with 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def add_run_options(parser: LightningArgumentParser) -> None:
    """Add the options of a run that are neither of the model, the data, nor the trainer."""
    parser.add_argument(
        "--bundle",
        type=str | None,
        help="folder to write the trained explainer to, as a bundle",
    )
    parser.add_argument(
        "--log_level",
        type=Literal["error", "warning", "info"],
        default="warning",
        help="what Lightning says on the screen, from this level on",
    )
    parser.add_argument(
        "--metrics",
        type=list[str],
        default=list(CONFIDENCE_METRICS),
        help="what a test reports",
    )
    parser.add_argument(
        "--mosaics",
        type=int,
        default=0,
        help="2x2 mosaics of test images, on which a test also reports grid pointing",
    )
    parser.add_argument(
        "--chunk_size", type=int, default=64, help="images in the classifier at once, in a test"
    )
    parser.add_argument(
        "--map_normalisation",
        type=Literal["answered", "minmax"],
        default="answered",
        help="score maps as the explainer answers, or each from its minimum to its maximum",
    )


@rank_zero_only
def note(line: str) -> None:
    """Print a line that a user should know of a run."""
    print(f"note: {line}", file=sys.stderr)


def quiet_libraries(level: str) -> None:
    """Keep what libraries say below a level off the screen, and warnings nobody can act on."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(level.upper())
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    for message in (
        "Found .* module.* in eval mode",  # frozen networks are, on purpose
        ".*isinstance.treespec, LeafSpec.* is deprecated",
        ".*does not have many workers",
        "Checkpoint directory .* exists and is not empty",  # as of every fit that is resumed
        "The dirpath has changed from",
        ".* was deprecated in v4.49.0",  # jsonargparse, of what Lightning calls
    ):
        warnings.filterwarnings("ignore", message=message)


def run_in_one_line(run: Callable[[], Result]) -> Result:
    """Run a command; what the user has to change is one line and exit code 2, a Ctrl-C is 130."""
    try:
        return run()
    except (InputError, DataError, MisconfigurationException) as error:
        refuse(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except ProcessExitedException as error:
        _leave_like(error)
    except ProcessRaisedException as error:
        # Its text ends with the exception that the process raised.
        name, _, reason = error.msg.strip().rpartition("\n")[2].partition(": ")
        if not name.startswith(("explainers.errors.", "datamodules.errors.")):
            raise
        refuse(reason)


def _leave_like(error: ProcessExitedException) -> NoReturn:
    """Exit as the process that ended first did; that says why, unless a signal has ended it."""
    if error.exit_code < 0:
        print(
            f"error: process {error.error_index} (pid {error.error_pid}) was ended by "
            f"{signal.Signals(-error.exit_code).name}, so the others of the run end too; go on with "
            "--ckpt_path and the last checkpoint",
            file=sys.stderr,
        )
    sys.exit(error.exit_code if error.exit_code > 0 else 128 - error.exit_code)


def reason_of(error: BaseException) -> str:
    """The user's error, out of what jsonargparse wrapped it in; a bug is raised."""
    chain = [error]
    while inner := chain[-1].__cause__:
        chain.append(inner)
    for link in chain:
        if isinstance(link, InputError | DataError):
            return str(link)
    if isinstance(chain[-1], (ValueError, TypeError, OSError, ImportError)):
        return str(chain[-1])
    raise chain[-1]


def take_class_names(explainer: Explainer, classes: Sequence[str] | None) -> None:
    """Name a classifier's classes as the data do, where it has no names of its own.

    Args:
        explainer: its classifier is named, also in its hyperparameters.
        classes: names in the order of the labels; None where the data have none.
    """
    classifier = explainer.classifier
    if not classes or not classifier.num_classes or classifier.known_names:
        return
    if len(classes) != classifier.num_classes:
        note(
            f"{classifier.name} has {classifier.num_classes} classes and the data {len(classes)}, "
            "so its classes have no names; give class_names, a file with a name a line"
        )
        return
    note(f"the classes of {classifier.name} are named as the data's: {', '.join(classes[:3])}, …")
    classifier.name_classes(classes)
    explainer.save_hyperparameters({"classifier": classifier.source})


def check_trainer(config: Mapping[str, Any]) -> None:
    """Refuse numbers of a run that none can have.

    Args:
        config: of the subcommand: `trainer` and `seed_everything`.

    Raises:
        InputError: one is out of its range, or the folder of the run is a file.
    """
    seed = config.get("seed_everything")
    if isinstance(seed, int) and not isinstance(seed, bool) and not 0 <= seed < 2**32:
        raise InputError(f"seed_everything must be 0 to {2**32 - 1}, got {seed}")
    options = config.get("trainer") or {}
    for name, (least, special) in LEAST.items():
        value = options.get(name)
        number = isinstance(value, int) and not isinstance(value, bool)
        if number and value < least and value not in special:  # type: ignore[operator]
            more = "".join(f", or {one} for no limit" for one in special)
            raise InputError(f"trainer.{name} must be at least {least}{more}, got {value}")
    for name in SHARES:
        value = options.get(name)
        if isinstance(value, int | float) and not value > 0:
            raise InputError(f"trainer.{name} must be above 0, got {value}; leave it out for all")
    folder = options.get("default_root_dir")
    if folder and Path(folder).is_file():
        raise InputError(f"trainer.default_root_dir {folder} is a file; name a folder")


def require_writable(folder: str) -> None:
    """Refuse a folder for a bundle that cannot be written, before anything is trained.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    path = Path(folder)
    missing = [parent for parent in (path, *path.parents) if not parent.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(
            f"the bundle cannot be written to {path.absolute()} ({error.strerror or error}); name "
            "another --bundle"
        ) from error
    finally:
        for made in missing:  # nothing is left of a run that ends with an error
            if made.is_dir():
                made.rmdir()


def plain_data_settings(data: Any) -> dict[str, Any]:  # noqa: ANN401  jsonargparse's own
    """A datamodule's settings, without those that change nothing about its test split."""
    settings = {
        name: value for name, value in dict(data["init_args"]).items() if name != "num_workers"
    }
    plain: dict[str, Any] = json.loads(
        json.dumps({"class_path": data["class_path"], "init_args": settings}, default=str)
    )
    return plain
