"""Links of README and docs/ lead somewhere, and the site shows every page."""

import importlib.util
import re

import pytest

from tests.docs.pages import PAGES, ROOT, SITE, anchors_of, name_of, prose_of

each_page = pytest.mark.parametrize("path", PAGES, ids=name_of)


@each_page
def test_links_and_pictures_are_there(path):
    text = re.sub(r"`[^`\n]+`", "`", prose_of(path))
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        there = path.parent / target if target else path
        assert there.is_file(), f"{path.name} links to {target}"
        if anchor:
            assert there.suffix == ".md", f"{path.name}: anchors of {there.name} differ by viewer"
            assert anchor in anchors_of(there), f"{path.name} links to {target}#{anchor}"


@each_page
def test_headings_have_anchors_of_their_own(path):
    if path.suffix == ".md":
        assert len(set(anchors_of(path))) == len(anchors_of(path))


@pytest.mark.parametrize("path", SITE, ids=name_of)
def test_page_begins_with_a_sentence(path):
    title, first, *_ = re.split(r"\n\s*\n", prose_of(path).strip())
    assert re.fullmatch(r"# .+", title)
    assert re.match(r"[\w(]", first.strip("`* ")), first
    assert re.search(r"[.:]", first), first


def test_site_shows_every_page_once():
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2].partition("\n\n")[0]
    shown = re.findall(r"[\w/]+\.(?:md|ipynb)", nav)
    assert sorted(shown) == sorted(str(path.relative_to(ROOT / "docs")) for path in SITE)


def test_picture_of_the_rooms_is_up_to_date():
    script = ROOT / "docs/figures/rooms.py"
    spec = importlib.util.spec_from_file_location("rooms", script)
    rooms = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rooms)
    assert rooms.PICTURE.read_text() == rooms.drawn(), f"run: python {script.relative_to(ROOT)}"


def test_reference_describes_all_that_is_public():
    import datamodules
    import explainers
    from explainers import baselines, bundle, callbacks, export, metrics

    told = "\n".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
    described = set(re.findall(r"^::: ([\w.]+)$", told, re.MULTILINE))
    for module in (explainers, datamodules, metrics, baselines, callbacks, export, bundle):
        names = [name for name in module.__all__ if not name.endswith("_METHODS")]
        for name in names:
            places = {module.__name__, "explainers", "explainers.methods"}  # it may have two
            assert {f"{place}.{name}" for place in places} & described, f"{module.__name__}.{name}"
