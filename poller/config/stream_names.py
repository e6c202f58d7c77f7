"""stream_names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ..model import addressable
from .load import Account as AccountConfig


def stream_names(config: AccountConfig) -> Callable[[], Iterable[str]]:
    """The names to poll, asked every second: a file of names is read again when it changed."""
    if config.streams_file is None:
        return lambda: config.streams
    path, last = config.streams_file, _Names(())

    def names() -> Iterable[str]:
        last.follow(path)
        return last.names

    return names


class _Names:
    """One id a line; blank lines and ``#`` comments are left out. A file that cannot be read keeps the last names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self._stamp: tuple[int, int, int] | None = None

    def follow(self, path: Path) -> None:
        try:
            found = path.stat()
            stamp = found.st_mtime_ns, found.st_ino, found.st_size
            if stamp != self._stamp:
                lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
                self.names, self._stamp = tuple(dict.fromkeys(name for name in lines if addressable(name) and name[0] != "#")), stamp
        except (OSError, UnicodeDecodeError):
            return
