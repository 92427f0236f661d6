"""The web page of `explainers serve`, from the server down to the files that strangers send."""

from explainers.app.layout import build_page, gradio
from explainers.app.server import serve_page

__all__ = ["build_page", "gradio", "serve_page"]
