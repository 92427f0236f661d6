"""References of the papers that methods come from."""

from typing import NamedTuple


class Paper(NamedTuple):
    """A paper to cite.

    Attributes:
        key: of its BibTeX entry.
        title: as printed.
        authors: as BibTeX takes them.
        arxiv: its number there, such as 2501.17813.
    """

    key: str
    title: str
    authors: str
    arxiv: str

    @property
    def url(self) -> str:
        """The address of its abstract."""
        return f"https://arxiv.org/abs/{self.arxiv}"

    @property
    def bibtex(self) -> str:
        """Its BibTeX entry."""
        year = f"20{self.arxiv[:2]}"
        lines = {"title": f"{{{self.title}}}", "author": self.authors, "year": year}
        lines |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in lines.items())
        return f"@misc{{{self.key},\n{body}}}"
