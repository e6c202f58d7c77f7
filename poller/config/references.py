"""The files and variables that a configuration names: what is missing is told together with all else that is wrong.

They are looked for in the plain document, whatever other errors it has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from ..errors import ConfigError
from .file import secret_at
from .provider_keys import all_own_keys, streams_key
from .yaml_document import Place

SECURITY_SECRETS = ("password", "token", "key_password")
SECURITY_FILES = ("ca_file", "cert_file", "key_file")


def missing(document: dict[str, Any], folder: Path) -> Iterator[tuple[Place, str]]:
    """What cannot be read, and where it is named; relative paths are relative to ``folder``."""
    for place, written in _secrets(document):
        with contextlib.suppress(PydanticCustomError):  # not a reference: that is said already
            secret = secret_at(written, folder)
            try:
                secret.read()
            except ConfigError as error:
                yield place, f"{error}; expected a readable secret; fix: create it, or name another"
    for place, written in _files(document):
        if isinstance(written, str) and not (file := folder / written).is_file():
            yield place, f"the file {file} is missing; expected a readable file; fix: create it"


def _inside(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _accounts(document: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    listed = document.get("accounts")
    for number, account in enumerate(listed if isinstance(listed, list) else ()):
        yield ("accounts", number), account


def _secrets(document: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    for place, account in _accounts(document):
        credentials = _inside(account, "credentials")
        for name, written in credentials.items() if isinstance(credentials, dict) else ():
            yield (*place, "credentials", name), written
    for name in SECURITY_SECRETS:
        yield ("kafka", "security", name), _inside(document, "kafka", "security", name)
    yield ("privacy", "key"), _inside(document, "privacy", "key")


def _files(document: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    for place, account in _accounts(document):
        for name in {key for provider, _ in all_own_keys() if (key := streams_key(provider)) is not None}:
            yield (*place, name, "file"), _inside(account, name, "file")
        yield (*place, "ca_file"), _inside(account, "ca_file")
    for name in SECURITY_FILES:
        yield ("kafka", "security", name), _inside(document, "kafka", "security", name)
