"""Layout of the web page of `explainers serve`, in gradio."""

import html
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from explainers.app.page import Page, View
from explainers.errors import InputError
from explainers.images.drawing_choices import COLOUR_MAPS, OPACITY, SIGNS
from explainers.images.drawing_style import DrawingStyle

VIEWS_LIVE = 3600  # seconds without a click
MAX_VISITORS = 32  # whose images are kept in memory; beyond, the earliest visitor's is dropped
TITLE = "Ask a vision model why"
HEADER = f"""# {TITLE}
Give it a photograph: the colours show where the model sees what you ask for. Ask for one of its \
classes, for a concept that you show by a few images, or for what two images share."""
CSS = """
footer {display: none !important}
.gradio-container {max-width: 1320px !important; margin: auto !important}
#classes .wrap {flex-direction: column; gap: 4px}
#examples .grid-container {grid-template-columns: repeat(8, minmax(0, 1fr)) !important;
  grid-auto-rows: auto; gap: 4px}
#examples .thumbnail-item {aspect-ratio: 1 !important; height: auto !important}
#shown .thumbnail-item {aspect-ratio: auto !important; height: auto !important}
#shown .thumbnail-item img {height: auto !important; max-height: 620px}
#shown .caption-label {position: static !important; max-width: none !important}
#message p {margin: 0; padding: 8px 12px; border-left: 4px solid #888; border-radius: 4px}
#message p.error {border-color: #c62828; background: #fdecea; color: #7a1712}
"""


def gradio() -> Any:  # noqa: ANN401  a module without types
    """Import gradio with its analytics off; raise InputError without it."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # it looks at the import
    try:
        return import_module("gradio")
    except ImportError as error:
        raise InputError(
            f"the web page needs gradio, which cannot be imported ({error}); "
            'run: pip install "learned-explainers[app]"'
        ) from error


def build_page(page: Page, examples: Sequence[Path]) -> Any:  # noqa: ANN401
    """Build the page.

    Args:
        page: the steps of a visit.
        examples: image files to pick from.
    """
    gr = gradio()
    start = page.start()
    names, bench = list(page.benches), page.benches[start.bench]
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:  # the server deletes its files
        view = gr.State(start, time_to_live=VIEWS_LIVE)
        gr.Markdown(HEADER)
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=330):
                classifier = gr.Dropdown(
                    names, value=start.bench, label="Classifier", visible=len(names) > 1
                )
                photo = _image(
                    gr, "Photograph: drop, paste, choose, or take an example", "photo", 270
                )
                example = gr.Gallery(
                    [str(path) for path in examples],
                    label="Examples",
                    show_label=False,
                    columns=8,
                    height=150,
                    allow_preview=False,
                    visible=bool(examples),
                    elem_id="examples",
                    buttons=[],
                )
                with gr.Tab("Why this class"):
                    classes = gr.Radio([], label="Likeliest classes", elem_id="classes")
                    of_classes = _methods(gr, bench.of_classes, "of-classes")
                    other = gr.Dropdown(
                        _classes(page, start.bench), value=None, label="Or any other class"
                    )
                with gr.Tab("A concept"):
                    concept = gr.File(
                        label="A few images of the concept",
                        file_count="multiple",
                        file_types=["image"],
                        height=140,
                        elem_id="concept",
                    )
                    # Gradio would leave an empty file behind for each.
                    concept.preprocess = lambda files: files and [one.path for one in files]
                    of_concepts = _methods(gr, bench.of_concepts, "of-concepts")
                    where = gr.Button("Show where it is", variant="primary", elem_id="where")
                with gr.Tab("Two images"):
                    partner = _image(gr, "Image to compare with", "partner", 200)
                    of_pairs = _methods(gr, bench.of_pairs, "of-pairs")
                    compare = gr.Button("Compare", variant="primary", elem_id="compare")
            with gr.Column(scale=6, min_width=420):
                message = gr.HTML(_message(start), elem_id="message")
                shown = gr.Gallery(
                    label="Where the model sees it",
                    show_label=False,
                    height=620,
                    object_fit="contain",
                    elem_id="shown",
                    buttons=["fullscreen"],
                )
                with gr.Row():
                    opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity")
                    colours = gr.Dropdown(list(COLOUR_MAPS), label="Colours")
                    sign = gr.Dropdown(list(SIGNS), label="Sign (of signed methods)")
                    beside = gr.Checkbox(label="Photograph beside it", elem_id="beside")
                with gr.Row():
                    png = gr.DownloadButton("Picture (PNG)", interactive=False, elem_id="png")
                    npz = gr.DownloadButton("Arrays (npz)", interactive=False, elem_id="npz")

        seen = [view, photo, message, classes, other, shown, png, npz]
        style = [opacity, colours, sign, beside]

        def show(now: View) -> list[Any]:
            chances = [
                (f"{100 * one.probability:.1f} %  {one.name}", one.label) for one in now.ranked
            ]
            known = any(one.label == now.label for one in now.ranked)
            pictures = [(str(file), text) for file, text in now.files.pictures] if now.files else []
            return [
                now,
                None if now.error and now.image is None else gr.skip(),  # no broken picture
                gr.HTML(_message(now), visible=bool(now.error or now.hint)),
                gr.Radio(chances, value=now.label if known else None),
                None if known else now.label,
                gr.Gallery(pictures, columns=min(2, len(pictures)) or 1, selected_index=None),
                _download(gr, now.files and now.files.png),
                _download(gr, now.files and now.files.npz),
            ]

        selection: Any = gr.SelectData  # gradio goes by this annotation

        def when(
            events: Sequence[Any], name: str, step: Callable[..., View], inputs: Sequence[Any]
        ) -> None:
            def run(now: View, *values: Any) -> list[Any]:  # noqa: ANN401
                count = len(inputs)
                return show(step(now, *values[:count], DrawingStyle(*values[count:])))

            inputs = list(inputs)
            given = [view, *inputs, *style]
            gr.on(events, run, given, seen, api_name=name, trigger_mode="always_last")

        def pick(event: selection, now: View, methods: Any, *values: Any) -> list[Any]:  # noqa: ANN401
            path = str(examples[event.index])
            updates = show(page.open(now, path, methods, DrawingStyle(*values)))
            updates[seen.index(photo)] = path
            return updates

        def switch(now: View, name: str, *values: Any) -> list[Any]:  # noqa: ANN401
            chosen = page.benches[name]
            groups = (chosen.of_classes, chosen.of_concepts, chosen.of_pairs)
            choices = [gr.CheckboxGroup(group, value=group[:1]) for group in groups]
            updates = show(page.switch(now, name, DrawingStyle(*values)))
            updates[seen.index(other)] = gr.Dropdown(_classes(page, name), value=None)
            return [*choices, *updates]

        when([photo.upload, photo.clear], "open", page.open, [photo, of_classes])
        when([classes.input], "ask", page.ask, [classes, of_classes])
        when([other.input], "ask_other", page.ask, [other, of_classes])
        when([of_classes.input], "ask_more", page.ask_more, [of_classes])
        when([where.click], "show_concept", page.show_concept, [concept, of_concepts])
        when([compare.click], "compare", page.compare, [partner, of_pairs])
        when([opacity.release, colours.input, sign.input, beside.input], "redraw", page.redraw, [])
        example.select(pick, [view, of_classes, *style], seen, api_visibility="private")
        groups = [of_classes, of_concepts, of_pairs]
        classifier.input(
            switch, [view, classifier, *style], [*groups, *seen], api_visibility="private"
        )
    return blocks.queue(default_concurrency_limit=2, max_size=2 * MAX_VISITORS)


def _image(gr: Any, label: str, name: str, height: int) -> Any:  # noqa: ANN401
    image = gr.Image(
        label=label,
        sources=["upload", "clipboard"],
        type="filepath",
        height=height,
        elem_id=name,
        buttons=["fullscreen"],
    )
    # Gradio would decode the file first, and tell what is wrong with it in its own way.
    image.preprocess = lambda payload: payload and payload.path
    return image


def _methods(gr: Any, names: Sequence[str], name: str) -> Any:  # noqa: ANN401
    return gr.CheckboxGroup(list(names), value=list(names[:1]), label="Methods", elem_id=name)


def _classes(page: Page, bench: str) -> list[tuple[str, int]]:
    names = page.benches[bench].classifier.class_names
    return [(name, label) for label, name in enumerate(names)]


def _download(gr: Any, file: Path | None) -> Any:  # noqa: ANN401
    return gr.DownloadButton(value=str(file) if file else None, interactive=file is not None)


def _message(view: View) -> str:
    if view.error:
        return f'<p class="error" role="alert">{html.escape(view.error)}</p>'
    return f"<p>{html.escape(view.hint)}</p>" if view.hint else ""
