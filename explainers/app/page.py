"""Steps of a visit to the web page: each maps what the visitor sees to what they see next."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from explainers.app.answer_memory import ANSWERS_KEPT, AnswerMemory
from explainers.app.answers import Files, write_answers
from explainers.app.uploads import read_upload
from explainers.app.workbench import Answer, Ranked, Workbench
from explainers.classifier.freed_memory import release_freed_memory
from explainers.errors import InputError
from explainers.images.drawing_style import DrawingStyle

FORGOTTEN = "These maps made room for those of other visitors; choose another class or image."
BEGIN = "Choose a photograph to begin."


@dataclass(frozen=True)
class View:
    """The state of the page for one visitor, which nobody else holds.

    Attributes:
        bench: the classifier, by its name.
        image: the image to explain.
        ranked: its likeliest classes.
        label: the explained class; None while a concept or another image is explained.
        answers: the latest answers of the methods; emptied when later visitors need the memory.
        files: their pictures and arrays.
        hint: the next thing to do.
        error: message of the last step, if it failed; all else is as before that step.
    """

    bench: str
    image: Image.Image | None = None
    ranked: Sequence[Ranked] = ()
    label: int | None = None
    answers: Sequence[Answer] = ()
    files: Files | None = None
    hint: str = BEGIN
    error: str = ""


class Page:
    """The steps that visitors take. None raises `InputError`: it is shown, as `View.error`.

    Args:
        benches: the workbenches, by the classifier's name.
        folder: of pictures and arrays.
        answers_kept: bytes of the answers that can be drawn again, of all visitors together.
    """

    def __init__(
        self, benches: Mapping[str, Workbench], folder: Path, answers_kept: int = ANSWERS_KEPT
    ) -> None:
        self.benches = dict(benches)
        self.folder = folder
        self._memory = AnswerMemory(answers_kept)

    def start(self) -> View:
        """The view that a visit begins with."""
        return View(next(iter(self.benches)))

    def open(
        self, view: View, path: str | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Take an image and explain its likeliest class; nothing of the previous image is kept."""
        if path is None:
            return View(view.bench)
        try:
            return self._rank(view.bench, read_upload(path), methods, style)
        except InputError as error:
            return View(view.bench, error=str(error))

    def switch(self, view: View, bench: str, style: DrawingStyle) -> View:
        """Explain the same image for another classifier, by the first of its methods."""
        if view.image is None:
            return View(bench)
        return self._rank(bench, view.image, self.benches[bench].of_classes[:1], style)

    def ask(self, view: View, label: int, methods: Sequence[str], style: DrawingStyle) -> View:
        """Explain a class; methods that have answered for it already are not run again."""
        known = {one.method: one for one in view.answers if label == view.label}

        def why(bench: Workbench, image: Image.Image) -> list[Answer]:
            unknown = [method for method in methods if method not in known]
            fresh = bench.why(unknown, image, label) if unknown or not methods else []
            both = known | {one.method: one for one in fresh}
            return [both[method] for method in methods]

        return self._answer(view, style, label, why)

    def ask_more(self, view: View, methods: Sequence[str], style: DrawingStyle) -> View:
        """Explain the same class by other methods; nothing if no class is explained."""
        return view if view.label is None else self.ask(view, view.label, methods, style)

    def show_concept(
        self, view: View, paths: Sequence[str] | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Explain a concept that a few images show."""
        return self._answer(
            view,
            style,
            None,
            lambda bench, image: bench.where(
                methods, image, [read_upload(path) for path in paths or ()]
            ),
        )

    def compare(
        self, view: View, path: str | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Explain the similarity of the image and another one."""

        def ask(bench: Workbench, image: Image.Image) -> list[Answer]:
            if path is None:
                raise InputError("there is no image to compare with; choose one")
            return bench.alike(methods, image, read_upload(path))

        return self._answer(view, style, None, ask)

    def redraw(self, view: View, style: DrawingStyle) -> View:
        """Draw the same answers in another style."""
        if view.files is None:
            return view
        answers = tuple(view.answers)  # before others need their memory
        return self._draw(view, answers, style) if answers else replace(view, error=FORGOTTEN)

    def _rank(
        self, bench: str, image: Image.Image, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        view = View(bench, image, self.benches[bench].top_classes(image))
        return self.ask(view, view.ranked[0].label, methods, style)

    def _answer(
        self,
        view: View,
        style: DrawingStyle,
        label: int | None,
        ask: Callable[[Workbench, Image.Image], list[Answer]],
    ) -> View:
        try:
            if view.image is None:
                raise InputError("there is no photograph to explain; choose one first")
            answers = ask(self.benches[view.bench], view.image)
        except InputError as error:
            return replace(view, error=str(error))
        answered = replace(view, label=label, answers=self._memory.keep(answers), hint="", error="")
        return self._draw(answered, answers, style)

    def _draw(self, view: View, answers: Sequence[Answer], style: DrawingStyle) -> View:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()  # fails once the server has ended and deleted its files
        files = write_answers(answers, style, folder)
        release_freed_memory()  # commands keep it for the next pass, but a server lives long
        return replace(view, files=files)
