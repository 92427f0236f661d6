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


GRAD_CAM = Paper(
    "selvaraju2016gradcam",
    "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
    "Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and Vedantam, Ramakrishna "
    "and Parikh, Devi and Batra, Dhruv",
    "1610.02391",
)
"""Of a method of ours and of a baseline, which do not know each other."""
