"""Secrets by reference: an environment variable, or a file that is read again when it changes.

A file is looked at whenever it is used, through every symbolic link, so the swap that
Kubernetes makes of a mounted secret is seen by the next request. No value is ever shown.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError


class SecretRef:
    """Where a secret is."""

    def __init__(self, *, env: str | None = None, file: Path | None = None) -> None:
        self.env, self.file = env, file
        self._stamp: tuple[int, int, int] | None = None
        self._value = ""

    def __repr__(self) -> str:
        """The place, never the value."""
        return f"SecretRef(env={self.env!r})" if self.env else f"SecretRef(file={str(self.file)!r})"

    def read(self) -> str:
        """The newest value, without white space around it.

        A file that vanishes for a moment keeps its last value. Raises ConfigError when there is none.
        """
        if self.env is not None:
            value = os.environ.get(self.env, "").strip()
            return _usable(value, f"the environment variable {self.env}")
        assert self.file is not None
        try:
            found = self.file.stat()
            stamp = found.st_mtime_ns, found.st_ino, found.st_size
            if stamp != self._stamp:
                value = self.file.read_text(encoding="utf-8").strip()
                if value or not self._value:
                    self._value, self._stamp = _usable(value, f"the file {self.file}"), stamp
        except (OSError, UnicodeDecodeError) as error:
            if not self._value:
                why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
                raise ConfigError([f"the file {self.file} cannot be read: {why}"]) from None
        return self._value


def _usable(value: str, where: str) -> str:
    if not value:
        raise ConfigError([f"{where} is missing or empty"])
    if not value.isprintable():
        raise ConfigError([f"{where} holds control characters or line breaks"])
    return value
