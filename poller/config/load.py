"""The configuration: read, checked as a whole, resolved to frozen values; every error at once, each in one plain line."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError
from .accounts import Account, resolve_all
from .file import AccountFile, Admin, ConfigFile, Defaults, Kafka, Log, PrivacyConfig, Traces
from .paths import located
from .references import missing, unusable
from .report import EXAMPLE_HINT, Errors, translate
from .yaml_document import Document, Place


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration."""

    path: Path
    kafka: Kafka
    directory: Path
    admin: Admin
    privacy: PrivacyConfig
    log: Log
    traces: Traces | None
    accounts: tuple[Account, ...]
    document: Document

    @contextlib.contextmanager
    def at(self, *place: str) -> Iterator[None]:
        """What is found wrong in this block, after the file was read, is told as errors of the file are: with its line and key.

        Raises ConfigError.
        """
        try:
            yield
        except ConfigError as error:
            raise ConfigError([self.document.said(place, what) for what in error.lines]) from None

    def demand_topic(self, role: str) -> None:
        """Raises ConfigError where no topic is named for a role."""
        if role not in self.kafka.topics.by_role():
            with self.at("kafka", "topics"):
                raise ConfigError([f"no topic is named for {role.replace('_', '-')}; expected a name; fix: set kafka.topics.{role}"])


def load(path: Path | str, *, referenced: bool = False) -> Config:
    """Read and check a file; with ``referenced``, every file and variable that it names too. Raises ConfigError with every error."""
    path = Path(path)
    document = Document(_text(path), str(path))
    errors = Errors(document)
    for place, what in document.wrong:
        errors.add(place, what)
    if not isinstance(document.value, dict):
        errors.add((), f"not a mapping; expected the keys kafka and accounts; fix: {EXAMPLE_HINT}")
        errors.raise_any()
    file = None
    try:
        file = ConfigFile.model_validate(document.value)
        defaults, written = file.defaults, dict(enumerate(file.accounts))
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            translate(errors, each)
        defaults, written = _what_is_right(document.value, errors.places)
    accounts = resolve_all(errors, written, defaults, path)
    for place, what in missing(document.value, path.parent) if referenced else ():
        errors.add(place, what)
    for place, what in unusable(accounts, file, path.parent) if referenced else ():
        errors.add(place, what)
    errors.raise_any()
    assert file is not None, "a validation error names what is wrong"
    return Config(
        path=path,
        kafka=file.kafka.within(path.parent),
        directory=located(path.parent, file.state.directory),
        admin=file.admin,
        privacy=file.privacy.within(path.parent),
        log=file.log,
        traces=file.traces,
        accounts=tuple(accounts.values()),
        document=document,
    )


def _what_is_right(value: dict[str, Any], wrong: list[Place]) -> tuple[Defaults, dict[int, AccountFile]]:
    """The defaults and accounts without their wrong keys, so that rules between values are checked all the same."""
    right: Any = copy.deepcopy(value)
    for place in wrong:
        inner: Any = right
        for part in place[:-1]:
            try:
                inner = inner[part]
            except (KeyError, IndexError, TypeError):
                inner = None
        if isinstance(inner, dict):
            inner.pop(place[-1], None)
    try:
        defaults = Defaults.model_validate(right.get("defaults", {}))
    except ValidationError:
        defaults = Defaults()
    accounts: dict[int, AccountFile] = {}
    listed = right.get("accounts")
    for number, each in enumerate(listed if isinstance(listed, list) else ()):
        with contextlib.suppress(ValidationError):
            accounts[number] = AccountFile.model_validate(each)
    return defaults, accounts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = (error.strerror or "cannot be read").lower()
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    raise ConfigError([f"{path}:1: (document): {why}; expected a readable YAML file; fix: {EXAMPLE_HINT}"]) from None
