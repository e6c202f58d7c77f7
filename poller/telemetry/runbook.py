"""The runbook, as it is installed with the package: the entries of docs/operations.md by their names."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

_HEADING = re.compile(r"^###\s+(\S+)\s*$", re.MULTILINE)


class Entry(Struct, frozen=True):
    """One entry: the name of an alert or a kind of trouble, and what to do."""

    name: str
    text: str


def read(text: str) -> tuple[Entry, ...]:
    """The entries of a runbook: each third-level heading of one word, up to the next heading."""
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in re.finditer(r"^#{1,3}\s", text, re.MULTILINE)] + [len(text)]
    return tuple(Entry(match[1], text[match.end() : min(e for e in ends if e > match.start())].strip()) for match in found)


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """The entries in their order."""
    installed = files("poller") / "_docs" / "operations.md"
    if installed.is_file():
        return read(installed.read_text(encoding="utf-8"))
    return read((Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text(encoding="utf-8"))  # a checkout


def entry(name: str) -> Entry | None:
    """The entry of an alert or a kind; None where there is none."""
    return next((each for each in entries() if each.name == name), None)
