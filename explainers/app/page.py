"""Steps of a visit to the web page: each maps what the visitor sees to what they see next."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from explainers.app.answer_memory import ANSWERS_KEPT, AnswerMemory
from explainers.app.answers import file_name, write_answers
from explainers.app.links import link_to, read_link, texts_of
from explainers.app.uploads import read_upload
from explainers.app.view import FieldError, View, concerning
from explainers.app.workbench import MethodAnswer, Workbench
from explainers.classifier.freed_memory import release_freed_memory
from explainers.classifier.text_tower import NEUTRAL_TEXT
from explainers.errors import InputError
from explainers.images.drawing_style import DrawingStyle

FORGOTTEN = "These maps made room for those of other visitors; choose another class or image."
NO_CLASSES = "This model has no classes: show it a concept, or two images."
MOST_TEXTS = 100  # of a visitor; each goes through the text tower
LONGEST_TEXT = 300  # characters


class Page:
    """The steps that visitors take. None raises `InputError`: it is shown, as `View.error`.

    Args:
        benches: the workbenches, by the classifier's name.
        folder: of pictures and arrays.
        examples: image files that links can name.
        answers_kept: bytes of the answers that can be drawn again, of all visitors together.
    """

    def __init__(
        self,
        benches: Mapping[str, Workbench],
        folder: Path,
        examples: Sequence[Path] = (),
        answers_kept: int = ANSWERS_KEPT,
    ) -> None:
        self.benches = dict(benches)
        self.folder = folder
        self.examples = {path.stem: path for path in examples}
        self._memory = AnswerMemory(answers_kept)

    def start(self) -> View:
        """The view that a visit begins with."""
        return View(next(iter(self.benches)))

    def open(
        self, view: View, path: str | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Take an image and explain its likeliest class; nothing of the previous image is kept."""
        empty = View(view.bench, texts=view.texts)
        if path is None:
            return empty
        try:
            image = read_upload(path)
        except InputError as error:
            return replace(empty, error=str(error), field="photo")
        name = Path(path).stem
        example = self.examples.get(name) == Path(path)
        return self._rank(replace(empty, image=image, name=name, example=example), methods, style)

    def follow(self, view: View, query: Mapping[str, str], style: DrawingStyle) -> View:
        """Show what the query of a link names: see `link`."""
        try:
            wanted = read_link(query, self.benches, list(self.examples))
            if wanted is None:
                return view
            _check_texts(wanted.texts)
            image = read_upload(self.examples[wanted.image])
        except InputError as error:
            return replace(view, error=f"This link shows nothing: {error}", field="")
        found = View(wanted.bench, image, wanted.image, example=True, texts=wanted.texts)
        return self._rank(found, wanted.methods, style, wanted.label)

    def link(self, view: View) -> str:
        """The query of a link to what is shown; empty where only an example could be linked to."""
        return link_to(view, len(self.benches) > 1)

    def switch(self, view: View, bench: str, style: DrawingStyle) -> View:
        """Explain the same image for another classifier, by the first of its methods."""
        return self._rank(View(bench, view.image, view.name, view.example), None, style)

    def tell_apart(
        self, view: View, lines: str, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Take texts, one a line, for classes; a single one is told apart from `NEUTRAL_TEXT`."""
        texts = texts_of(lines)
        single = len(texts) == 1
        texts = tuple(dict.fromkeys([*texts, NEUTRAL_TEXT])) if single else texts
        try:
            _check_texts(texts)
        except InputError as error:
            return replace(view, error=str(error), field="texts")
        other = View(view.bench, view.image, view.name, view.example, texts)
        found = self._rank(other, methods, style, 0 if single else None)
        return replace(view, error=found.error, field=found.field) if found.error else found

    def ask(
        self, view: View, label: int | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Explain a class; methods that have answered for it already are not run again."""
        if label is None:  # the field was emptied
            return view
        known = {one.method: one for one in view.answers if label == view.label}

        def why(bench: Workbench, image: Image.Image) -> list[MethodAnswer]:
            unknown = [method for method in methods if method not in known]
            fresh = []
            if unknown or not methods:
                with concerning("of-classes"):
                    fresh = bench.why(unknown, image, label, view.texts)
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

        def ask(bench: Workbench, image: Image.Image) -> list[MethodAnswer]:
            with concerning("concept"):
                if not paths:
                    raise InputError("a concept needs at least one image; choose some")
                shown = [read_upload(path) for path in paths]
            with concerning("of-concepts"):
                return bench.where(methods, image, shown)

        return self._answer(view, style, None, ask, "concept")

    def compare(
        self, view: View, path: str | None, methods: Sequence[str], style: DrawingStyle
    ) -> View:
        """Explain the similarity of the image and another one."""

        def ask(bench: Workbench, image: Image.Image) -> list[MethodAnswer]:
            with concerning("partner"):
                if path is None:
                    raise InputError("there is no image to compare with; choose one")
                other = read_upload(path)
            with concerning("of-pairs"):
                return bench.alike(methods, image, other)

        return self._answer(view, style, None, ask, Path(path or "").stem)

    def put_beside(self, view: View, left: int, right: int) -> View:
        """Choose what is on either side of the slider; see `View.sides`."""
        return replace(view, sides=(left, right))

    def redraw(self, view: View, style: DrawingStyle) -> View:
        """Draw the same answers in another style."""
        if view.files is None:
            return view
        answers = tuple(view.answers)  # before others need their memory
        return (
            self._draw(view, answers, style)
            if answers
            else replace(view, error=FORGOTTEN, field="")
        )

    def _rank(
        self,
        view: View,
        methods: Sequence[str] | None,
        style: DrawingStyle,
        label: int | None = None,
    ) -> View:
        """Explain a class of the image, if there is one: by default the likeliest.

        By default, the first of the classifier's methods explains it.
        """
        bench, image = self.benches[view.bench], view.image
        if image is None:
            return view
        try:
            with concerning("texts"):
                ranked = bench.top_classes(image, view.texts)
        except FieldError as error:
            return replace(view, error=str(error), field=error.field)
        if not ranked:
            return replace(view, hint=NO_CLASSES)
        view = replace(view, ranked=ranked)
        label = ranked[0].label if label is None else label
        return self.ask(view, label, bench.of_classes[:1] if methods is None else methods, style)

    def _answer(
        self,
        view: View,
        style: DrawingStyle,
        label: int | None,
        ask: Callable[[Workbench, Image.Image], list[MethodAnswer]],
        subject: str = "",
    ) -> View:
        bench = self.benches[view.bench]
        try:
            if view.image is None:
                raise FieldError("there is no photograph to explain; choose one first", "photo")
            answers = ask(bench, view.image)
        except InputError as error:
            field = error.field if isinstance(error, FieldError) else ""
            return replace(view, error=str(error), field=field)
        answered = replace(
            view,
            label=label,
            subject=subject if label is None else bench.class_names(view.texts)[label],
            probability=float(answers[0].explanation.probabilities[0]),
            answers=self._memory.keep(answers),
            hint="",
        )
        return self._draw(answered, answers, style)

    def _draw(self, view: View, answers: Sequence[MethodAnswer], style: DrawingStyle) -> View:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()  # fails once the server has ended and deleted its files
        files = write_answers(answers, style, folder, file_name(view.name, view.subject))
        release_freed_memory()  # commands keep it for the next pass, but a server lives long
        return replace(view, files=files, error="", field="")


def _check_texts(texts: Sequence[str]) -> None:
    if len(texts) > MOST_TEXTS:
        raise InputError(f"{len(texts)} texts are too many; give up to {MOST_TEXTS}, one a line")
    longest = max(map(len, texts), default=0)
    if longest > LONGEST_TEXT:
        raise InputError(f"a text has {longest} characters; give up to {LONGEST_TEXT}")
