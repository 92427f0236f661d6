"""Server of the web page, `explainers serve`: on this machine only, unless told otherwise.

Neither it nor the browser that shows the page loads anything from the network.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from socket import socket

from datamodules.photos import package_photographs
from explainers.app.layout import MAX_VISITORS, SCRIPT, STYLE_SHEET, build_page, gradio
from explainers.app.listening import listening
from explainers.app.page import Page
from explainers.app.security import Application, SameOriginOnly
from explainers.app.temporary_files import TemporaryFiles
from explainers.app.uploads import MAX_BYTES
from explainers.app.workbench import Workbench
from explainers.app.workbenches import load_workbenches

FILES_LIVE = 900  # seconds; after that, a download needs a new answer
FAREWELL = 1  # seconds for answers that are on their way when the server ends
TERMINATED = 128 + signal.SIGTERM


def serve_page(
    bundles: Sequence[str],
    configs: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 7860,
    allowed_hosts: Sequence[str] = (),
    files_live: float = FILES_LIVE,
    classifier_weights: Path | None = None,
) -> None:
    """Serve the page until it is interrupted.

    Args:
        bundles: folders or hub names of trained explainers.
        configs: configs of methods that need no training.
        host: name or address to listen at.
        port: from 1 to 65535.
        allowed_hosts: names of this machine that browsers may ask for, beside its addresses.
        files_live: seconds after which uploads and answers are deleted.
        classifier_weights: as for `load_workbenches`.

    Raises:
        InputError: the port is taken or out of range, the host is not this machine's, gradio is
            missing, or a bundle or config cannot be loaded.
        KeyboardInterrupt: Ctrl-C was pressed; the files are deleted.
    """
    with (
        _signals() as check,
        tempfile.TemporaryDirectory(prefix="explainers-", ignore_cleanup_errors=True) as folder,
        TemporaryFiles(Path(folder), files_live) as files,
    ):
        os.environ["GRADIO_TEMP_DIR"] = folder  # it looks at the import
        gradio()
        with listening(host, port) as sockets:
            benches = load_workbenches(bundles, configs, classifier_weights)
            name = f"[{host}]" if ":" in host and "[" not in host else host
            app = SameOriginOnly(_application(benches, files), port, [name, *allowed_hosts])
            shown = "localhost" if name in ("0.0.0.0", "[::]") else name
            check()
            print(f"{', '.join(benches)} at http://{shown}:{port}/ (Ctrl-C ends it)", flush=True)
            _run(app, sockets)


def _application(benches: dict[str, Workbench], files: TemporaryFiles) -> Application:
    gr = gradio()
    examples = _examples()
    blocks = build_page(Page(benches, files.folder, examples), examples)
    blocks.state_session_capacity = MAX_VISITORS
    files.start()  # the examples' thumbnails, copies as old as their images, are kept
    app: Application = gr.mount_gradio_app(
        import_module("fastapi").FastAPI(),
        blocks,
        path="/",
        allowed_paths=[str(path) for path in examples],  # they lie where packages are installed
        max_file_size=MAX_BYTES,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        theme=gr.themes.Default(primary_hue="indigo"),  # its fonts come with gradio
        css_paths=STYLE_SHEET,
        js=SCRIPT.read_text(),
    )
    return app


def _run(app: Application, sockets: list[socket]) -> None:
    """Answer requests until a signal comes, which is raised again at the end."""
    uvicorn = import_module("uvicorn")
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=FAREWELL)
    uvicorn.Server(config).run(sockets=sockets)


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Turn SIGTERM into SystemExit, as SIGINT is KeyboardInterrupt, so that files are deleted.

    Gives a check that raises it again: some libraries take either for a failed import.
    """
    caught: list[int] = []

    def check() -> None:
        if signal.SIGTERM in caught:
            sys.exit(TERMINATED)
        if caught:
            raise KeyboardInterrupt

    def end(number: int, frame: object) -> None:
        caught.append(number)
        check()

    before = {one: signal.signal(one, end) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _examples() -> list[Path]:
    try:
        return package_photographs()[::-1]  # those of ImageNet first
    except ModuleNotFoundError:  # the extra "demo" is not there
        return []
