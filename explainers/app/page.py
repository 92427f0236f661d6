"""What happens on the web page: each step takes what a visitor sees, and returns what they see."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from PIL import Image

from explainers.app.answers import Files, write_answers
from explainers.app.uploads import read_upload
from explainers.app.workbench import Answer, Ranked, Workbench
from explainers.errors import InputError
from explainers.images.drawing_style import DrawingStyle

FILES_LIVE = 900  # seconds; after that, a download needs a new answer
BEGIN = "Choose a photograph to begin."


@dataclass(frozen=True)
class View:
    """What one visitor sees; nobody else holds it.

    Attributes:
        bench: the classifier, by its name.
        image: what is explained.
        ranked: its likeliest classes.
        label: the class that is explained; None while it is something else.
        answers: what the methods said last.
        files: where that is drawn.
        hint: what to do next.
        error: what went wrong in the last step; what is seen besides is as it was before.
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
        benches: what can be asked, by the classifier's name.
        folder: where pictures and arrays are written, and uploads come.
        files_live: seconds after which a file in the folder is deleted, when somebody asks next.

    Attributes:
        kept: files that are not deleted.
    """

    def __init__(
        self, benches: Mapping[str, Workbench], folder: Path, files_live: float = FILES_LIVE
    ) -> None:
        self.benches = dict(benches)
        self.folder = folder
        self.files_live = files_live
        self.kept: frozenset[Path] = frozenset()

    def keep_files(self) -> None:
        """Never delete what is in the folder now."""
        self.kept = frozenset(self.folder.rglob("*"))

    def start(self) -> View:
        """What there is to see at first."""
        return View(next(iter(self.benches)))

    def open(
        self, view: View, path: str | None, methods: Sequence[str], look: DrawingStyle
    ) -> View:
        """Take an image, and ask for its likeliest class; nothing is left of the one before."""
        if path is None:
            return View(view.bench)
        try:
            return self._rank(view.bench, read_upload(path), methods, look)
        except InputError as error:
            return View(view.bench, error=str(error))

    def switch(self, view: View, bench: str, look: DrawingStyle) -> View:
        """Ask another classifier about the same image, by the first of its methods."""
        if view.image is None:
            return View(bench)
        return self._rank(bench, view.image, self.benches[bench].of_classes[:1], look)

    def ask(self, view: View, label: int, methods: Sequence[str], look: DrawingStyle) -> View:
        """Ask why it should be a class; what is known already is not asked again."""
        known = {one.method: one for one in view.answers if label == view.label}

        def why(bench: Workbench, image: Image.Image) -> list[Answer]:
            unknown = [method for method in methods if method not in known]
            fresh = bench.why(unknown, image, label) if unknown or not methods else []
            both = known | {one.method: one for one in fresh}
            return [both[method] for method in methods]

        return self._answer(view, look, label, why)

    def ask_more(self, view: View, methods: Sequence[str], look: DrawingStyle) -> View:
        """Ask other methods the same; nothing if no class was asked for."""
        return view if view.label is None else self.ask(view, view.label, methods, look)

    def show_concept(
        self, view: View, paths: Sequence[str] | None, methods: Sequence[str], look: DrawingStyle
    ) -> View:
        """Ask where a concept is."""
        return self._answer(
            view,
            look,
            None,
            lambda bench, image: bench.where(
                methods, image, [read_upload(path) for path in paths or ()]
            ),
        )

    def compare(
        self, view: View, path: str | None, methods: Sequence[str], look: DrawingStyle
    ) -> View:
        """Ask what the image shares with another one."""

        def ask(bench: Workbench, image: Image.Image) -> list[Answer]:
            if path is None:
                raise InputError("there is no image to compare with; choose one")
            return bench.alike(methods, image, read_upload(path))

        return self._answer(view, look, None, ask)

    def redraw(self, view: View, look: DrawingStyle) -> View:
        """Draw the same answers in another way."""
        if not view.answers:
            return view
        self._sweep()
        files = write_answers(view.answers, look, self.folder / uuid.uuid4().hex)
        return replace(view, files=files)

    def _rank(
        self, bench: str, image: Image.Image, methods: Sequence[str], look: DrawingStyle
    ) -> View:
        view = View(bench, image, self.benches[bench].top_classes(image))
        return self.ask(view, view.ranked[0].label, methods, look)

    def _answer(
        self,
        view: View,
        look: DrawingStyle,
        label: int | None,
        ask: Callable[[Workbench, Image.Image], list[Answer]],
    ) -> View:
        try:
            if view.image is None:
                raise InputError("there is no photograph to explain; choose one first")
            answers = ask(self.benches[view.bench], view.image)
        except InputError as error:
            return replace(view, error=str(error))
        answered = replace(view, label=label, answers=answers, hint="", error="")
        return self.redraw(answered, look)

    def _sweep(self) -> None:
        """Delete old files and empty folders; gradio's own clean-up ends when two people ask."""
        now = time()
        for path in self.folder.rglob("*"):
            with suppress(OSError):  # not empty, or deleted by somebody else
                # A folder is touched by what is deleted in it; uploads come soon after theirs.
                if path in self.kept or now - path.stat().st_mtime <= self.files_live:
                    continue
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
