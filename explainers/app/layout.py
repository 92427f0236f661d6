"""Layout of the web page of `explainers serve`, in gradio."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from explainers.app.events import Parts, class_choices, wire
from explainers.app.page import Page
from explainers.app.words import hint_of
from explainers.errors import InputError
from explainers.images.drawing_choices import COLOUR_MAPS, OPACITY, SIGNS

VIEWS_LIVE = 3600  # seconds without a click
MAX_VISITORS = 32  # whose images are kept in memory; beyond, the earliest visitor's is dropped
TITLE = "Ask a vision model why"
HEADER = f"""# {TITLE}
Give it a photograph: the colours show where the model sees what you ask for. Ask for one of its \
classes, for a concept that you show by a few images, or for what two images share."""
STYLE_SHEET = Path(__file__).parent / "templates" / "page.css"
SCRIPT = Path(__file__).parent / "templates" / "paste.js"


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
    parts = Parts()
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:  # the server deletes its files
        parts.view = gr.State(page.start(), time_to_live=VIEWS_LIVE)
        gr.Markdown(HEADER, elem_id="header")
        with gr.Row(equal_height=False, elem_id="work"):
            with gr.Column(scale=4, min_width=330, elem_id="asking"):
                with gr.Column(elem_id="source"):
                    _source(gr, page, examples, parts)
                with gr.Column(elem_id="question"):
                    _question(gr, page, parts)
            with gr.Column(scale=6, min_width=420, elem_id="answer"):
                _answer(gr, page, parts)
        # Outside of what is seen: the image of the clipboard, and the address of what is shown.
        parts.pasted = gr.UploadButton("pasted", file_types=["image"], visible="hidden")
        _leave_undecoded(parts.pasted)
        parts.link = gr.Textbox(visible="hidden", elem_id="link")
        wire(gr, blocks, page, examples, parts)
    return blocks.queue(default_concurrency_limit=2, max_size=2 * MAX_VISITORS)


def _source(gr: Any, page: Page, examples: Sequence[Path], parts: Parts) -> None:  # noqa: ANN401
    names = list(page.benches)
    parts.classifier = gr.Dropdown(
        names, value=page.start().bench, label="Classifier", visible=len(names) > 1
    )
    parts.photo = _image(gr, "Photograph: drop, paste or choose", "photo", 270)
    _error(gr, parts, "photo")
    parts.example = gr.Gallery(
        [(str(path), path.stem) for path in examples],
        label="Examples",
        show_label=False,
        columns=8,
        height=150,
        allow_preview=False,
        visible=bool(examples),
        elem_id="examples",
        buttons=[],
    )


def _question(gr: Any, page: Page, parts: Parts) -> None:  # noqa: ANN401
    start = page.start()
    bench = page.benches[start.bench]
    with gr.Tab("Why this class"):
        parts.classes = gr.Radio([], label="Likeliest classes", elem_id="classes")
        with gr.Group(visible=bool(bench.texts)) as parts.texts_group:
            parts.texts = gr.Textbox(
                "\n".join(bench.texts),
                label="Classes in your own words, one a line",
                info="The model tells them apart; a single one, from any other photo.",
                lines=3,
                max_lines=8,
                elem_id="texts",
            )
            parts.tell_apart = gr.Button("Tell apart", variant="primary", elem_id="tell-apart")
        _error(gr, parts, "texts")
        parts.of_classes = _methods(gr, bench.of_classes, "of-classes")
        _error(gr, parts, "of-classes")
        parts.other = gr.Dropdown(
            class_choices(page, start), value=None, label="Or any other class", elem_id="other"
        )
    with gr.Tab("A concept"):
        parts.concept = gr.File(
            label="A few images of the concept",
            file_count="multiple",
            file_types=["image"],
            height=140,
            elem_id="concept",
        )
        # Gradio would leave an empty file behind for each.
        parts.concept.preprocess = lambda files: files and [one.path for one in files]
        _error(gr, parts, "concept")
        parts.of_concepts = _methods(gr, bench.of_concepts, "of-concepts")
        _error(gr, parts, "of-concepts")
        parts.where = gr.Button("Show where it is", variant="primary", elem_id="where")
    with gr.Tab("Two images"):
        parts.partner = _image(gr, "Image to compare with", "partner", 200)
        _error(gr, parts, "partner")
        parts.of_pairs = _methods(gr, bench.of_pairs, "of-pairs")
        _error(gr, parts, "of-pairs")
        parts.compare = gr.Button("Compare", variant="primary", elem_id="compare")


def _answer(gr: Any, page: Page, parts: Parts) -> None:  # noqa: ANN401
    parts.message = gr.HTML(hint_of(page.start()), elem_id="message")
    parts.heading = gr.HTML(elem_id="heading")
    with gr.Tab("Maps"):
        parts.shown = gr.Gallery(
            label="Where the model sees it",
            show_label=False,
            object_fit="contain",
            elem_id="shown",
            buttons=["fullscreen"],
        )
    with gr.Tab("Slider", visible=False) as parts.slider_tab:
        parts.sides = gr.ImageSlider(
            label="Two maps, or the photograph and a map",
            show_label=False,
            type="filepath",
            interactive=False,
            elem_id="sides",
            buttons=["fullscreen"],
        )
        # The handle on the image itself cannot be moved by keys.
        parts.divide = gr.Slider(0, 100, 50, label="Divide at (%)", elem_id="divide")
        with gr.Row():
            parts.left = gr.Dropdown([], label="Left", elem_id="left")
            parts.right = gr.Dropdown([], label="Right", elem_id="right")
    with gr.Column(elem_id="style"):
        _style(gr, parts)


def _style(gr: Any, parts: Parts) -> None:  # noqa: ANN401
    with gr.Row():
        parts.opacity = gr.Slider(0, 1, OPACITY, step=0.05, label="Opacity", min_width=140)
        parts.colours = gr.Dropdown(list(COLOUR_MAPS), label="Colours", min_width=140)
        parts.sign = gr.Dropdown(
            list(SIGNS), label="Sign", visible=False, elem_id="sign", min_width=140
        )
        parts.beside = gr.Checkbox(label="Photograph beside it", elem_id="beside", min_width=140)
    with gr.Row():
        parts.png = gr.DownloadButton("Picture (PNG)", interactive=False, elem_id="png")
        parts.npz = gr.DownloadButton("Arrays (npz)", interactive=False, elem_id="npz")


def _image(gr: Any, label: str, name: str, height: int) -> Any:  # noqa: ANN401
    image = gr.Image(
        label=label,
        sources=["upload", "clipboard"],
        type="filepath",
        height=height,
        elem_id=name,
        buttons=["fullscreen"],
    )
    _leave_undecoded(image)
    return image


def _leave_undecoded(component: Any) -> None:  # noqa: ANN401
    """Keep gradio from decoding a file, and from telling what is wrong with it in its own way."""
    component.preprocess = lambda payload: payload and payload.path


def _methods(gr: Any, names: Sequence[str], name: str) -> Any:  # noqa: ANN401
    return gr.CheckboxGroup(list(names), value=list(names[:1]), label="Methods", elem_id=name)


def _error(gr: Any, parts: Parts, field: str) -> None:  # noqa: ANN401
    """The place of errors that concern the field above."""
    parts.errors[field] = gr.HTML(
        visible=False, elem_id=f"{field}-error", elem_classes=["field-error"]
    )
