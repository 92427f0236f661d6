"""Web page of `explainers serve`: server, layout, steps of a visit, and uploads."""

from explainers.app.layout import build_page, gradio
from explainers.app.server import serve_page

__all__ = ["build_page", "gradio", "serve_page"]
