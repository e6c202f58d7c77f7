"""Secrets by reference: an environment variable, or a file that is read again when it changes. No value is ever shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..model import Instant
from ..providers.contract import Headers, Provider, SecretOption, Token, TokenRequest
from .file_watch import FileWatch, Unreadable
from .paths import located


class SecretRef(SecretOption):
    """Where a secret is."""

    def __init__(self, *, env: str | None = None, file: Path | None = None) -> None:
        self.env, self._file = env, None if file is None else FileWatch(file)
        self._value = ""

    @property
    def file(self) -> Path | None:
        """The file, where it is one."""
        return None if self._file is None else self._file.path

    def within(self, folder: Path) -> SecretRef:
        """The same reference; a relative path is relative to a folder."""
        return self if self.file is None else SecretRef(file=located(folder, self.file))

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


def signed(provider: Provider, secrets: Mapping[str, str], token: Token | None, now: Instant) -> Headers | TokenRequest:
    """What authenticates an account. Raises ConfigError naming the secret that cannot be used, or that no header can carry (RFC 9110 section 5.5)."""
    try:
        made = provider.authenticate(dict(secrets), token, now)
    except ConfigError:
        raise
    except Exception as error:  # libraries refuse keys in many ways; what they say may hold the key
        why = f"the credentials cannot be used ({type(error).__name__})"
        raise ConfigError([f"{why}; expected those that the vendor gave; fix: check them"]) from None
    if all(value.isascii() and value.isprintable() and value == value.strip() for value in made.headers.values()):
        return made
    names = [name for name, value in secrets.items() if not value.isascii()] or list(secrets)
    what = "holds characters that no header can carry, such as typographic quotes"
    said = f"{' and '.join(names)} {what}; expected the secret as the vendor shows it; fix: write it again without them"
    raise ConfigError([said], about=tuple(names))
