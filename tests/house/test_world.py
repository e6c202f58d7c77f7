"""Each kind of input of docs/world.md is held by tests, and tried in more ways than the page names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import takewhile
from typing import Any

import pytest

from tests.house.rooms import ROOT

PAGE = ROOT / "docs" / "world.md"

MORE = 5
"""Ways in which each kind is tried beyond those that its row names."""

LAW = 20
"""What a law of hypothesis counts for: it tries at least as many of a kind, and others each time."""


def rows(page: str) -> list[tuple[str, list[str]]]:
    """What comes, and the tests that hold it, of each row of a page's tables."""
    told = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| what", "| ---"))]
    cells = [line.split(" | ") for line in told]
    return [(row[0].removeprefix("| "), re.findall(r"`(test_\w+)`", row[-1])) for row in cells]


def named(what: str) -> int:
    """The ways that a row names, or a few more: what stands between its commas."""
    return len(re.split(r", |; | or ", what))


def places() -> dict[str, list[str]]:
    """The modules in which each test lies."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in re.findall(r"def (test_\w+)", path.read_text()):
            found.setdefault(name, []).append(module)
    return found


def cases(test: Callable[..., Any]) -> int:
    """How often pytest runs a test, and how much a law tries."""
    marks: Iterable[pytest.Mark] = getattr(test, "pytestmark", ())
    return math.prod(len(list(mark.args[1])) for mark in marks if mark.name == "parametrize") * (LAW if hasattr(test, "hypothesis") else 1)


def inputs() -> list[tuple[str, list[str]]]:
    """The rows of the kinds of inputs; the last table is of changes to the code."""
    return rows("\n".join(takewhile(lambda line: line != "## Small changes to the code", PAGE.read_text().splitlines())))


def test_each_input_of_the_world_has_its_test() -> None:
    """No row of the table of what was met says what happens without a test that holds it."""
    told = rows(PAGE.read_text())
    assert len(told) > 40
    assert not [what for what, tests in told if not tests]


def test_each_kind_is_tried_in_more_ways_than_its_row_names() -> None:
    """By five at least: the cases of its tests are counted as pytest runs them."""
    where, few = places(), dict[str, int]()
    for what, tests in inputs():
        tried = sum(cases(getattr(import_module(module), name)) for name in tests for module in where[name])
        if tried < named(what) + MORE:
            few[what] = tried
    assert len(inputs()) > 40
    assert not few
