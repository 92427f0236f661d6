"""The state of the page for one visitor, and errors that concern one of the page's fields."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan

from PIL import Image

from explainers.app.answers import Files
from explainers.app.workbench import MethodAnswer, Ranked
from explainers.errors import InputError

BEGIN = "Choose a photograph to begin."


@dataclass(frozen=True)
class View:
    """What one visitor sees, which nobody else holds.

    Attributes:
        bench: the classifier, by its name.
        image: the image to explain.
        name: its file's name, without suffix.
        example: it is one of the page's examples, so that a link can name it.
        texts: classes of the visitor's own; empty for the classifier's.
        ranked: the likeliest classes of the image.
        label: the explained class; None while a concept or another image is explained.
        subject: what is explained, in words.
        probability: of the explained class; NaN without one.
        answers: the latest answers of the methods; emptied when later visitors need the memory.
        files: their pictures and arrays.
        sides: what is left and right of the slider, by index: 0 the photograph, then the overlays.
        hint: the next thing to do.
        error: message of the last step, if it failed; all else is as before that step.
        field: id of the component that the error concerns; empty if it concerns none.
    """

    bench: str
    image: Image.Image | None = None
    name: str = ""
    example: bool = False
    texts: tuple[str, ...] = ()
    ranked: Sequence[Ranked] = ()
    label: int | None = None
    subject: str = ""
    probability: float = nan
    answers: Sequence[MethodAnswer] = ()
    files: Files | None = None
    sides: tuple[int, int] | None = None
    hint: str = BEGIN
    error: str = ""
    field: str = ""


class FieldError(InputError):
    """What is in a field of the page cannot be used.

    Attributes:
        field: as for `View`.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def concerning(field: str) -> Iterator[None]:
    """Say of an InputError within that it concerns a field, unless it is said already."""
    try:
        yield
    except FieldError:
        raise
    except InputError as error:
        raise FieldError(str(error), field) from error
