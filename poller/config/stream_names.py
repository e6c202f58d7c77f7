"""The names of an account's streams: as listed, or from a file of names that is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..model import addressable
from .accounts import Account
from .file_watch import FileWatch, Unreadable

NAME_CHARACTERS_MAX = 512
"""Characters of the longest name; no vendor's id is a tenth as long."""

Say = Callable[[str | None], None]
"""Hears what is wrong with a file of names when that changes; None = it is good again."""


class StreamNames:
    """The names to poll, asked every second. A file that cannot be read keeps the last good list, and says so."""

    def __init__(self, listed: tuple[str, ...], file: Path | None, say: Say) -> None:
        self._names, self._file, self._say = listed, None if file is None else FileWatch(file), say
        self._problem: str | None = None

    def __call__(self) -> tuple[str, ...]:
        """Today's names."""
        if self._file is None:
            return self._names
        try:
            text = self._file.changed()
            if text is None:
                return self._names
            self._names, problem = names_in(text)
        except Unreadable as error:
            problem = f"cannot be read: {error}"
        if problem != self._problem:
            self._problem = problem
            self._say(None if problem is None else f"the file {self._file.path} {problem}")
        return self._names


def _silent(_: str | None) -> None:
    """Nobody listens."""


def stream_names(account: Account, say: Say = _silent) -> StreamNames:
    """An account's."""
    return StreamNames(account.streams, account.streams_file, say)


def names_in(text: str) -> tuple[tuple[str, ...], str | None]:
    """The names of a file, one a line, and what is wrong with it. Blank lines and lines after ``#`` are left out, and repetitions."""
    lines = (line.strip() for line in text.splitlines())
    written = dict.fromkeys(line for line in lines if line and line[0] != "#")
    good = tuple(name for name in written if addressable(name) and name.isprintable() and len(name) <= NAME_CHARACTERS_MAX)
    if len(good) < len(written):
        return good, f"has {len(written) - len(good)} lines that are no names; expected one id a line"
    return good, None if good else "names no stream; expected one id a line"
