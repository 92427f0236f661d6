"""Links of the documentation that lead out of docs/: a hook of mkdocs (`hooks` in mkdocs.yml).

A page may link to any file of the repository, as a forge shows it. On the site, files other than
pages are copied and linked to; of a link to a page outside docs/ the words stay.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?\[(?P<words>[^][]*)\]\()(?P<target>(?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that lead out of docs/."""

    def rewritten(link: re.Match[str]) -> str:
        source = Path(page.file.abs_src_path or "").parent / link["target"]
        source = source.resolve()
        if source.is_relative_to(config.docs_dir) or not source.is_file():
            return link[0]
        if source.suffix == ".md":
            return link["words"]
        copied = source.relative_to(ROOT).as_posix()
        if files.get_file_from_path(copied) is None:
            files.append(File.generated(config, copied, abs_src_path=str(source)))
        up = "../" * page.file.src_uri.count("/")
        return f"{link[1]}{up}{copied})"

    return LINK.sub(rewritten, markdown)
