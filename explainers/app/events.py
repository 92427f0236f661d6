"""Events of the web page: each runs one step of a visit, and shows the view that it gives."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from explainers.app.answers import PHOTOGRAPH
from explainers.app.page import Page
from explainers.app.view import View
from explainers.app.words import error_of, heading_of, hint_of
from explainers.images.drawing_style import DrawingStyle

MOVE = "(at) => ({__type__: 'update', slider_position: at})"
ADDRESS = "(link) => history.replaceState(null, '', link || location.pathname)"


class Parts(SimpleNamespace):
    """The components of the page by name, and the places of errors by field."""

    def __init__(self) -> None:
        super().__init__(errors={})


def class_choices(page: Page, view: View) -> list[tuple[str, int]]:
    """Names of all classes, each with its label."""
    names = page.benches[view.bench].class_names(view.texts)
    return [(name, label) for label, name in enumerate(names)]


def wire(gr: Any, blocks: Any, page: Page, examples: Sequence[Path], at: Parts) -> None:  # noqa: ANN401
    """Connect the components.

    Args:
        gr: gradio.
        blocks: the page that is being built.
        page: the steps of a visit.
        examples: image files, in the order of the gallery.
        at: the components.
    """
    style = [at.opacity, at.colours, at.sign, at.beside]
    asked = [at.classifier, at.of_classes, at.of_concepts, at.of_pairs, at.texts, at.texts_group]
    seen = [at.view, *asked, at.photo, at.classes, at.other, *at.errors.values()]
    seen += [at.message, at.heading, at.shown, at.slider_tab, at.sides, at.left, at.right]
    seen += [at.sign, at.link, at.png, at.npz]
    progress = {"show_progress_on": [at.shown, at.sides]}  # all else stays to be seen

    def show(view: View, photo: str | None = None, anew: bool = False) -> list[Any]:
        """Updates of `seen`; `anew` if the classifier or its classes are others."""
        chances = [(f"{100 * one.probability:.1f} %  {one.name}", one.label) for one in view.ranked]
        known = any(one.label == view.label for one in view.ranked)
        unseen = view.image is None and view.field == "photo"  # no broken picture
        other: dict[str, Any] = {"choices": class_choices(page, view)} if anew else {}
        errors = [error_of(view, field) for field in at.errors]
        hint, files = hint_of(view), view.files
        return [
            view,
            *(_asked(gr, page, view) if anew else [gr.skip()] * len(asked)),
            None if unseen else photo or gr.skip(),
            gr.Radio(chances, value=view.label if known else None),
            gr.Dropdown(value=None if known else view.label, **other),
            *(gr.HTML(error, visible=bool(error)) for error in errors),
            gr.HTML(hint, visible=bool(hint)),
            heading_of(view),
            *_pictures(gr, view),
            gr.Dropdown(visible=bool(files and files.signed)),
            page.link(view),
            _download(gr, files and files.png),
            _download(gr, files and files.npz),
        ]

    def when(
        events: Sequence[Any],
        name: str,
        step: Callable[..., View],
        inputs: Sequence[Any],
        anew: bool = False,
        preprocess: bool = True,
    ) -> None:
        def run(view: View, *values: Any) -> list[Any]:  # noqa: ANN401
            count = len(inputs)
            return show(step(view, *values[:count], DrawingStyle(*values[count:])), anew=anew)

        given = [at.view, *inputs, *style]
        options = {"api_name": name, "preprocess": preprocess, "trigger_mode": "always_last"}
        gr.on(events, run, given, seen, **options, **progress)

    def take(view: View, path: str, methods: Any, *values: Any) -> list[Any]:  # noqa: ANN401
        return show(page.open(view, path, methods, DrawingStyle(*values)), path)

    selection: Any = gr.SelectData  # gradio goes by these annotations
    request: Any = gr.Request

    def pick(event: selection, view: View, methods: Any, *values: Any) -> list[Any]:  # noqa: ANN401
        return take(view, str(examples[event.index]), methods, *values)

    def follow(visit: request, view: View, *values: Any) -> list[Any]:  # noqa: ANN401
        found = page.follow(view, dict(visit.query_params), DrawingStyle(*values))
        if found is view:
            return [gr.skip()] * len(seen)
        return show(found, str(page.examples[found.name]) if found.example else None, anew=True)

    def opened(view: View, photo: Any, *values: Any) -> View:  # noqa: ANN401
        return page.open(view, photo and photo["path"], *values)

    # Raw, as gradio would decode the file, and tell in its own way what is wrong with it.
    taken = [at.photo, at.of_classes]
    when([at.photo.upload, at.photo.clear], "open", opened, taken, preprocess=False)
    when([at.classes.input], "ask", page.ask, [at.classes, at.of_classes])
    when([at.other.input], "ask_other", page.ask, [at.other, at.of_classes])
    when([at.of_classes.input], "ask_more", page.ask_more, [at.of_classes])
    texts = [at.texts, at.of_classes]
    when([at.tell_apart.click], "tell_apart", page.tell_apart, texts, anew=True)
    concept = [at.concept, at.of_concepts]
    when([at.where.click], "show_concept", page.show_concept, concept)
    when([at.compare.click], "compare", page.compare, [at.partner, at.of_pairs])
    drawn = [at.opacity.release, at.colours.input, at.sign.input, at.beside.input]
    when(drawn, "redraw", page.redraw, [])
    when([at.classifier.input], "switch", page.switch, [at.classifier], anew=True)

    chosen = [at.view, at.of_classes, *style]
    at.example.select(pick, chosen, seen, api_visibility="private", **progress)
    taken = [at.view, at.pasted, at.of_classes, *style]
    at.pasted.upload(take, taken, seen, api_visibility="private", **progress)
    # Unqueued: gradio's client ends its stream of answers with the last of them, and loses that to an
    # upload which joined the queue meanwhile.
    blocks.load(follow, [at.view, *style], seen, api_visibility="private", queue=False, **progress)

    def put(view: View, left: int, right: int) -> list[Any]:
        view = page.put_beside(view, left, right)
        return [view, _pictures(gr, view)[2]]

    given = [at.view, at.left, at.right]
    gr.on(
        [at.left.input, at.right.input], put, given, [at.view, at.sides], api_visibility="private"
    )
    at.divide.input(None, at.divide, at.sides, js=MOVE)
    at.link.change(None, at.link, js=ADDRESS)


def _asked(gr: Any, page: Page, view: View) -> list[Any]:  # noqa: ANN401
    """Updates of what depends on the classifier and its classes."""
    bench = page.benches[view.bench]
    groups = (bench.of_classes, bench.of_concepts, bench.of_pairs)
    of_classes, *others = (group[:1] for group in groups)
    if view.label is not None and view.files:
        of_classes = list(view.files.methods)
    chosen = (of_classes, *others)
    lines = "\n".join(view.texts or bench.texts)
    return [
        view.bench,
        *(gr.CheckboxGroup(group, value=one) for group, one in zip(groups, chosen, strict=True)),
        gr.skip() if view.field == "texts" else lines,  # or what was typed is lost
        gr.Group(visible=bool(bench.texts)),
    ]


def _pictures(gr: Any, view: View) -> list[Any]:  # noqa: ANN401
    """Updates of the gallery, the slider's tab, the slider, and what is on its sides."""
    files = view.files
    overlays = files.overlays if files else []
    if files is None or files.photograph is None:  # two images cannot be laid over each other
        columns = min(2, len(overlays)) or 1
        gallery = gr.Gallery(_items(overlays), columns=columns, selected_index=None)
        none = gr.Dropdown([], value=None)
        return [gallery, gr.Tab(visible=False), None, none, none]
    all_of_them = [(files.photograph, PHOTOGRAPH), *overlays]
    shown = all_of_them if files.beside else overlays
    left, right = view.sides or ((0, 1) if len(overlays) == 1 else (1, 2))
    if max(left, right) >= len(all_of_them):
        left, right = 0, 1
    choices = [(text, index) for index, (_, text) in enumerate(all_of_them)]
    return [
        gr.Gallery(_items(shown), columns=min(2, len(shown)), selected_index=None),
        gr.Tab(visible=True),
        tuple(str(all_of_them[side][0]) for side in (left, right)),
        gr.Dropdown(choices, value=left),
        gr.Dropdown(choices, value=right),
    ]


def _items(pictures: Sequence[tuple[Path, str]]) -> list[tuple[str, str]]:
    return [(str(file), text) for file, text in pictures]


def _download(gr: Any, file: Path | None) -> Any:  # noqa: ANN401
    return gr.DownloadButton(value=str(file) if file else None, interactive=file is not None)
