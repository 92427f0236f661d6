"""Files about the project agree with pyproject.toml and with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = {path.stem: path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml")}


def test_citation_names_the_version_and_the_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_changelog_has_a_section_for_the_version():
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert PROJECT["version"] in sections


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_files_and_links_that_a_page_names_are_there(name):
    text = (ROOT / name).read_text()
    prose = "".join(text.split("\n```")[::2])
    named = re.findall(r"\]\(([\w./-]+)\)", prose)
    named += re.findall(r"`((?:tests|explainers|docs|\.ci|\.github)/[\w./]+)`", prose)
    assert named
    for target in named:
        assert (ROOT / target).exists(), target


def test_workflows_run_the_projects_own_check_and_publish_without_a_password():
    jobs = yaml.safe_load(WORKFLOWS["check"])["jobs"]
    assert {"run": ".ci/run"} in jobs["check"]["steps"]
    assert jobs["versions"]["strategy"]["matrix"]["resolution"] == ["lowest-direct", "highest"]
    publish = yaml.safe_load(WORKFLOWS["release"])["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert not any("secrets." in text for text in WORKFLOWS.values())


def test_hooks_of_commits_are_those_of_the_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    commands = [hook["entry"] for hook in hooks]
    check = (ROOT / ".ci/run").read_text()
    assert next(one for one in commands if one.startswith("mypy")) in check
