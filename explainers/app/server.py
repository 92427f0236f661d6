"""Server of the web page, `explainers serve`: on this machine only, unless told otherwise.

Neither it nor the browser that shows the page loads anything from the network.
"""

import os
import signal
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from datamodules.photos import package_photographs
from explainers.app.layout import CSS, MAX_VISITORS, build_page, gradio
from explainers.app.page import FILES_LIVE, Page
from explainers.app.security import SameOriginOnly
from explainers.app.uploads import MAX_BYTES
from explainers.app.workbenches import load_workbenches


def serve_page(
    bundles: Sequence[str],
    configs: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 7860,
    files_live: float = FILES_LIVE,
) -> None:
    """Serve the page until it is interrupted.

    Raises:
        InputError: gradio is missing, or a bundle or config cannot be loaded.
        OSError: the port is taken.
    """
    gr = gradio()
    benches = load_workbenches(bundles, configs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the files are deleted
    with tempfile.TemporaryDirectory(prefix="explainers-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        blocks = build_page(Page(benches, Path(folder), files_live), _examples())
        _, url, _ = blocks.launch(
            server_name=host,
            server_port=port,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_BYTES,
            state_session_capacity=MAX_VISITORS,
            footer_links=[],
            theme=gr.themes.Default(primary_hue="indigo"),  # its fonts come with gradio
            css=CSS,
            app_kwargs={"middleware": [_same_origin_only()]},
        )
        print(f"{', '.join(benches)} at {url} (Ctrl-C ends it)", flush=True)
        blocks.block_thread()
        blocks.close()


def _same_origin_only() -> Any:  # noqa: ANN401
    return import_module("starlette.middleware").Middleware(SameOriginOnly)


def _examples() -> list[Path]:
    try:
        return package_photographs()[::-1]  # those of ImageNet first
    except ModuleNotFoundError:  # the extra "demo" is not there
        return []
