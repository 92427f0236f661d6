"""Every block of code of README and docs/ is run by a test, or the page says why not."""

import importlib
import inspect
import re

import pytest
import yaml

from tests.docs.pages import PAGES, blocks_of, name_of
from tests.docs.test_commands import command_of, commands
from tests.docs.test_docs import WITH_SNIPPETS

RUN_ELSEWHERE = {"docs/export.md": "tests/explainers/export/test_export_command.py"}
NOT_RUN = {
    r"pip install .*": "sets up an environment, which .ci/run does",
    r"(ruff|mypy|pytest|mkdocs|pip install \S+ && pytest) .*": "is what .ci/run runs",
    r"python -m explainers\.bundle\.zoo": "is compared with the page by tests/explainers/bundle",
    r"cp OUT/results\.json .*": "copies one file",
    r"tensorboard .*": "is another project's, and does not end",
}
"""Lines that no test runs, and why."""

LANGUAGES = ("", "python", "yaml")
BLOCKS = [block for path in PAGES for block in blocks_of(path) if not block.reason]


def of(language):
    found = [block for block in BLOCKS if block.language == language]
    return pytest.mark.parametrize("block", found, ids=[name_of(one.page) for one in found])


def test_blocks_are_of_languages_that_are_tested():
    assert not [block for block in BLOCKS if block.language not in LANGUAGES]


@of("python")
def test_python_is_run(block):
    assert name_of(block.page) in [*WITH_SNIPPETS, *RUN_ELSEWHERE]


@of("")
def test_each_line_is_a_command_that_is_run(block):
    if "train.py        " in block.text:
        pytest.skip("it is the layout of the repository")
    for line in block.text.strip().splitlines():
        known = command_of(line) in commands() or any(re.fullmatch(one, line) for one in NOT_RUN)
        assert known, f"no test runs: {line}"


@of("yaml")
def test_settings_are_those_of_the_class(block):
    def check(value):
        if not isinstance(value, dict):
            return
        if "class_path" in value:
            module, _, name = value["class_path"].rpartition(".")
            known = inspect.signature(getattr(importlib.import_module(module), name)).parameters
            assert value.get("init_args", {}).keys() <= known.keys()
        for one in value.values():
            for part in one if isinstance(one, list) else [one]:
                check(part)

    check(yaml.safe_load(block.text))
