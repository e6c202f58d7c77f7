"""Secrets by reference: an environment variable, or a file that is read again when it changes. No value is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError
from .file_watch import FileWatch, Unreadable


class SecretRef:
    """Where a secret is."""

    def __init__(self, *, env: str | None = None, file: Path | None = None) -> None:
        self.env, self._file = env, None if file is None else FileWatch(file)
        self._value = ""

    @property
    def file(self) -> Path | None:
        """The file, where it is one."""
        return None if self._file is None else self._file.path

    def __repr__(self) -> str:
        """The place, never the value."""
        return f"SecretRef(env={self.env!r})" if self.env else f"SecretRef(file={str(self.file)!r})"

    def read(self) -> str:
        """The newest value, without white space around it.

        A file that vanishes or is empty for a moment keeps its last value. Raises ConfigError when there is none.
        """
        if self._file is None:
            assert self.env is not None
            return _usable(os.environ.get(self.env, ""), f"the environment variable {self.env}")
        try:
            text = self._file.changed()
            if text is not None and (text.strip() or not self._value):
                self._value = _usable(text, f"the file {self.file}")
        except Unreadable as error:
            if not self._value:
                raise ConfigError([f"the file {self.file} cannot be read: {error}"]) from None
        return self._value


def _usable(written: str, where: str) -> str:
    value = written.strip()
    if not value:
        raise ConfigError([f"{where} is missing or empty"])
    if not value.isprintable():
        raise ConfigError([f"{where} holds control characters or line breaks"])
    return value
