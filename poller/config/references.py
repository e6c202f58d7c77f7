"""The files and variables that a configuration names: what is missing or cannot be used is told together with all else that is wrong.

What is missing is looked for in the plain document, whatever other errors it has. What is there is tried by the
functions that the daemon uses, so that what ``poller check`` calls good can be used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..providers.registry import provider_of
from .accounts import Account
from .certificates import tls_context
from .file import ConfigFile
from .file_watch import FileWatch, Unreadable
from .forms import secret_at
from .options import secrets
from .paths import located
from .provider_keys import all_own_keys, streams_key
from .proxies import proxy_of
from .secrets import SecretRef, signed
from .stream_names import names_in
from .yaml_document import Place

FOLDER = "expected one that this user may write; fix: let this user write there, or name another"
"""How a message about a folder ends."""

SECURITY_SECRETS = ("password", "token", "key_password")
"""Keys of ``kafka.security`` that are references to secrets, never values."""

REGISTRY = ("kafka", "schema_registry")
"""Where the section of the schema registry lies."""

SECURITY_FILES = ("ca_file", "cert_file", "key_file")
"""Keys of ``kafka.security`` that name files, which must be readable at the start."""


def missing(document: dict[str, Any], folder: Path) -> Iterator[tuple[Place, str]]:
    """What cannot be read, and where it is named; relative paths are relative to ``folder``."""
    for place, written in _secrets(document):
        with contextlib.suppress(ValueError):  # not a reference: that is said already
            yield from _unread(place, secret_at(written, folder))
    for place, file in _located(_files(document), folder):
        if not file.is_file():
            yield place, f"the file {file} is missing; expected a readable file; fix: create it"
    for place, file in _located(_names(document), folder):
        if problem := _of_names(file):
            yield place, f"the file {file} {problem}; fix: write one id a line, as UTF-8"


def _located(found: Iterator[tuple[Place, Any]], folder: Path) -> Iterator[tuple[Place, Path]]:
    """Where each lies; what is no path is said already."""
    for place, written in found:
        with contextlib.suppress(ValueError):
            if isinstance(written, str):
                yield place, located(folder, written)


def _unread(place: Place, secret: SecretRef) -> Iterator[tuple[Place, str]]:
    try:
        secret.read()
    except ConfigError as error:
        yield place, f"{error}; expected a readable secret; fix: create it, or name another"


def _of_names(file: Path) -> str | None:
    """What is wrong with a file of names; an empty one may be filled later, and is only said."""
    try:
        names, problem = names_in(FileWatch(file).changed() or "")
    except Unreadable as error:
        return f"cannot be read: {error}; expected a file of names"
    return problem if names else None


def folder_problem(folder: Path) -> str | None:
    """Why this user can neither use a folder nor make it, as far as that can be told without touching the disk."""
    there = folder.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    usable = there.is_dir() and os.access(there, os.W_OK | os.X_OK) and "\0" not in str(folder)
    what = "written to" if there == folder.absolute() else f"made in {there}"
    return None if usable else f"the folder {str(folder)!r} cannot be {what}; {FOLDER}"


def unusable(accounts: dict[int, Account], file: ConfigFile | None, folder: Path) -> Iterator[tuple[Place, str]]:
    """What is there and cannot be used, and where it is named."""
    kafka = file and file.kafka
    if file is not None and (problem := folder_problem(located(folder, file.state.directory))) is not None:
        yield ("state", "directory"), problem
    for number, account in accounts.items():
        place: Place = ("accounts", number)
        yield from _tried((*place, "proxy"), lambda account=account: proxy_of(account.proxy, account.base_url))
        yield from _tried((*place, "ca_file"), lambda account=account: tls_context(account.ca_file))
        for where, secret in secrets(account.options):
            yield from _unread((*place, *where), secret)
        yield from _unsigned(place, account)
    if kafka is not None:
        yield from _tried(("kafka", "security"), lambda: kafka.security.context(folder))
    if kafka is not None and (registry := kafka.schema_registry) is not None:
        yield from _tried(REGISTRY, lambda: (tls_context(registry.within(folder).authorities), proxy_of(None, registry.url)))


def _unsigned(place: Place, account: Account) -> Iterator[tuple[Place, str]]:
    """Why the account's secrets cannot sign a request, at the key of each secret that is wrong, or at all of them."""
    options = {".".join(map(str, where)): where for where, _ in secrets(account.options)}
    with contextlib.suppress(ConfigError):  # a secret that cannot be read is said already
        values = {name: secret.read() for name, secret in account.secrets.items()}
        try:
            signed(provider_of(account.provider, account.options), values, None, 0)
        except ConfigError as error:
            for where in [options.get(name, ("credentials", name)) for name in error.about] or [("credentials",)]:
                yield (*place, *where), str(error)


def _tried(place: Place, use: Callable[[], object]) -> Iterator[tuple[Place, str]]:
    try:
        use()
    except ConfigError as error:
        yield place, str(error)


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
    yield (*REGISTRY, "password"), _inside(document, *REGISTRY, "password")
    yield ("privacy", "key"), _inside(document, "privacy", "key")


def _files(document: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    for place, account in _accounts(document):
        yield (*place, "ca_file"), _inside(account, "ca_file")
    for name in SECURITY_FILES:
        yield ("kafka", "security", name), _inside(document, "kafka", "security", name)
    yield (*REGISTRY, "ca_file"), _inside(document, *REGISTRY, "ca_file")


def _names(document: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    """The files of names."""
    keys = {key for provider, _ in all_own_keys() if (key := streams_key(provider)) is not None}
    for place, account in _accounts(document):
        for name in keys:
            yield (*place, name, "file"), _inside(account, name, "file")
