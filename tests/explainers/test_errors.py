"""Checks of numbers, and errors of the system in words."""

import errno

import numpy as np
import pytest

from explainers.errors import (
    InputError,
    require_number,
    require_whole,
    shown,
    system_error_in_words,
)


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_whole_number_within_its_range_is_taken(value):
    assert require_whole("steps", value, 1, 7) is None


@pytest.mark.parametrize("value", [0, 8, 1.0, 1.5, True, "3", None, float("nan"), [1], 10**400])
def test_anything_else_is_no_whole_number(value):
    with pytest.raises(InputError, match="steps must be a whole number from 1 to 7, got"):
        require_whole("steps", value, 1, 7)


def test_whole_number_without_a_limit_has_a_least_value():
    require_whole("steps", 10**9)
    with pytest.raises(InputError, match="steps must be a whole number of at least 1, got 0"):
        require_whole("steps", 0)


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.25)])
def test_number_within_its_range_is_taken(value):
    assert require_number("budget", value, 0, 1) is None


@pytest.mark.parametrize(
    ("limits", "value", "rule"),
    [
        ({}, float("nan"), "a finite number, got nan"),
        ({}, float("-inf"), "a finite number, got -inf"),
        ({}, 10**400, "a finite number, got 1000"),
        ({}, True, "a finite number, got True"),
        ({}, "1", "a finite number, got '1'"),
        ({"least": 0}, -1e-9, "a finite number of at least 0, got -1e-09"),
        ({"above": 0}, 0, "a finite number above 0, got 0"),
        ({"least": 0, "most": 1}, 1.5, "a finite number of at least 0 and at most 1, got 1.5"),
        ({"least": 0, "below": 1}, 1, "a finite number of at least 0 and below 1, got 1"),
    ],
)
def test_number_out_of_its_range_names_the_rule(limits, value, rule):
    with pytest.raises(InputError) as refused:
        require_number("lr", value, **limits)
    assert str(refused.value).startswith(f"lr must be {rule}")


def test_long_and_deep_values_are_cut():
    deep = []
    for _ in range(10**5):
        deep = [deep]
    assert shown("x" * 1000) == "'" + "x" * 98 + "…"
    assert shown(deep) == "a value of type list"
    assert shown(10**5000) == "a value of type int"
    assert shown("a\nb") == r"'a\nb'"
    while deep:  # or its end is as deep a recursion
        (deep,) = deep


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EEXIST, "out is there already, and is no folder; name another"),
        (errno.ENOTDIR, "out goes through a file as if it were a folder; name another"),
        (errno.ENOSPC, "out cannot be written: the disk is full"),
        (errno.EACCES, "out may not be read or written; change its permissions, or name another"),
        (errno.EIO, "out cannot be used (odd); name another"),
    ],
)
def test_error_of_the_system_names_file_rule_and_way_out(number, words):
    assert system_error_in_words(OSError(number, "odd", "out")).startswith(words)


def test_error_of_the_system_without_a_file_stays_as_it_is():
    assert system_error_in_words(OSError("the port is taken")) == "the port is taken"
    assert system_error_in_words(OSError(errno.ENOSPC, "No space left")) == "No space left"
