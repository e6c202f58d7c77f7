"""The configuration: read, checked as a whole, resolved to frozen values; every error at once, each in one plain line."""

from __future__ import annotations

import contextlib
import copy
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..model import Instant
from ..providers.contract import Provider
from ..providers.registry import provider_of
from .file import AccountFile, Admin, ConfigFile, Defaults, Kafka, Log, PrivacyConfig, StartFrom
from .provider_keys import options, streams, unknown_keys
from .references import SECURITY_SECRETS, missing
from .secrets import SecretRef
from .yaml_document import Document, Place

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
EXAMPLE_HINT = "see: poller config example"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account with everything resolved. Durations in microseconds."""

    name: str
    provider: str
    base_url: str
    credentials: dict[str, SecretRef]
    streams: tuple[str, ...]
    streams_file: Path | None
    interval: Instant
    overlap: Instant | None
    """None: learned from what arrives late."""
    start_from: StartFrom
    status_horizon: Instant
    reconcile_every: Instant
    reconcile_back: Instant
    timeout: Instant
    rate_count: int
    rate_seconds: float
    burst: int
    proxy: str | None
    ca_file: Path | None
    enabled: bool
    drafts: str
    channels: tuple[str, ...]
    options: Struct
    """The provider's own keys: an instance of its ``Options``."""

    @property
    def key(self) -> str:
        """``provider/account``."""
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration."""

    path: Path
    kafka: Kafka
    directory: Path
    admin: Admin
    privacy: PrivacyConfig
    log: Log
    accounts: tuple[Account, ...]


class _Errors:
    """Errors as they are found, each with its place; raised together, in the order of the lines."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[tuple[int, str]] = []
        self.places: list[Place] = []

    def add(self, place: Place, what: str) -> None:
        """Note one error, unless something there is known to be wrong already."""
        if any(place[: len(other)] == other or other[: len(place)] == place for other in self.places):
            return
        self.places.append(place)
        line = self.document.line(place)
        text = f"{self.document.name}:{line}: {_path(place)}: {what}"
        self.found.append((line, text))

    def raise_any(self) -> None:
        if self.found:
            raise ConfigError([text for _, text in sorted(self.found, key=lambda pair: pair[0])])


def _path(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "(document)"


def load(path: Path | str, *, referenced: bool = False) -> Config:
    """Read and check a file; with ``referenced``, every file and variable that it names too. Raises ConfigError with every error."""
    path = Path(path)
    document = Document(_text(path), str(path))
    errors = _Errors(document)
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
            _translate(errors, each)
        defaults, written = _what_is_right(document.value, errors.places)
    accounts = _resolve_all(errors, written, defaults, path)
    for place, what in missing(document.value, path.parent) if referenced else ():
        errors.add(place, what)
    errors.raise_any()
    assert file is not None, "a validation error names what is wrong"
    _anchor(file.privacy.key, path)
    for name in SECURITY_SECRETS:
        _anchor(getattr(file.kafka.security, name), path)
    return Config(
        path=path,
        kafka=file.kafka,
        directory=path.parent / file.state.directory,
        admin=file.admin,
        privacy=file.privacy,
        log=file.log,
        accounts=accounts,
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


def _resolve_all(errors: _Errors, accounts: dict[int, AccountFile], defaults: Defaults, path: Path) -> tuple[Account, ...]:
    resolved = {number: _resolve(errors, number, account, defaults, path) for number, account in accounts.items()}
    _unique(errors, resolved)
    return tuple(resolved.values())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = (error.strerror or "cannot be read").lower()
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    raise ConfigError([f"{path}:1: (document): {why}; expected a readable YAML file; fix: {EXAMPLE_HINT}"]) from None


def _translate(errors: _Errors, error: Any) -> None:
    """One pydantic error as one of our lines. Values are never quoted: they may be secrets."""
    kind, context, where = error["type"], error.get("ctx", {}), error["loc"]
    own = where[-1:] if kind == "extra_forbidden" else ()  # an unknown key may look like one of the library's own steps
    place: Place = (*(part for part in where[: len(where) - len(own)] if not (isinstance(part, str) and "[" in part)), *own)
    if kind == "poller":
        what = context["text"]
    elif kind == "extra_forbidden":
        known = _keys(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, 1, 0.5)
        fix = f"did you mean {near[0]}?" if near else "remove it"
        what = f"unknown key; expected one of {', '.join(known)}; fix: {fix}"
    elif kind == "missing":
        what = f"missing; expected a value; fix: add it, {EXAMPLE_HINT}"
    elif kind == "literal_error":
        what = f"not one of its values; expected {context['expected']}; fix: choose one of them"
    elif kind == "string_pattern_mismatch":
        what = f"not of its form; expected text matching {context['pattern']}; fix: rename it"
    else:
        what = f"{error['msg'][0].lower()}{error['msg'][1:]}; expected as in the example; fix: {EXAMPLE_HINT}"
    errors.add(place, what)


def _keys(place: Place) -> list[str]:
    """The keys that are known at a place of the file."""
    model: Any = ConfigFile
    for part in place:
        if isinstance(part, int):
            continue
        if part == "accounts":
            model = AccountFile
            continue
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field is not None else []
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return list(model.model_fields) if model is not None else []


def _resolve(errors: _Errors, number: int, account: AccountFile, defaults: Defaults, path: Path) -> Account:
    place: Place = ("accounts", number)
    provider = provider_of(account.provider)
    reconcile = account.reconcile or defaults.reconcile
    overlap = defaults.overlap if account.overlap is None else None if account.overlap == "auto" else account.overlap
    base_url = account.base_url or provider.base_url or ""
    _check_url(errors, place, base_url)
    _check_credentials(errors, place, account, provider.credentials)
    own, names = _own(errors, place, provider, account)
    count, seconds = account.rate_limit or provider.rate_limit
    for secret in account.credentials.values():
        _anchor(secret, path)
    resolved = Account(
        name=account.name,
        provider=account.provider,
        base_url=base_url,
        credentials=dict(account.credentials),
        streams=names if isinstance(names, tuple) else (),
        streams_file=path.parent / names if isinstance(names, Path) else None,
        interval=_first(account.interval, defaults.interval),
        overlap=overlap,
        start_from=account.start_from or defaults.start_from,
        status_horizon=_first(account.status_horizon, defaults.status_horizon),
        reconcile_every=reconcile.every,
        reconcile_back=reconcile.back,
        timeout=_first(account.timeout, defaults.timeout),
        rate_count=count,
        rate_seconds=seconds,
        burst=account.burst,
        proxy=account.proxy,
        ca_file=path.parent / account.ca_file if account.ca_file else None,
        enabled=account.enabled,
        drafts=account.drafts,
        channels=tuple(account.channels),
        options=own,
    )
    _check_times(errors, place, account, resolved)
    return resolved


def _first(own: Instant | None, default: Instant) -> Instant:
    return default if own is None else own


def _check_times(errors: _Errors, place: Place, written: AccountFile, account: Account) -> None:
    """Rules between values; said where the value was written, in the account or in the defaults."""

    def where(name: str) -> Place:
        return (*place, name) if getattr(written, name) is not None else ("defaults", name)

    if account.interval < 100_000:
        errors.add(where("interval"), "too short; expected at least 100ms; fix: write 100ms or more")
    if account.timeout <= 0:
        errors.add(where("timeout"), "too short; expected more than 0; fix: write e.g. 20s")
    if account.reconcile_every <= 0 or account.reconcile_back < 4 * account.reconcile_every:
        errors.add(where("reconcile"), "back is too short for every; expected back >= 4 x every; fix: lower every, or raise back")
    if account.overlap is not None and account.overlap <= 0:
        errors.add(where("overlap"), "too short; expected more than 0; fix: write e.g. 10m")
    if account.overlap is not None and account.overlap >= account.reconcile_back:
        errors.add(where("overlap"), "too long; expected less than reconcile.back; fix: lower overlap, or raise reconcile.back")


def _check_url(errors: _Errors, place: Place, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not url:
        errors.add((*place, "base_url"), "missing; expected the vendor's URL for this provider; fix: add e.g. https://api.stuut.ai")
    elif not host or parts.scheme not in ("http", "https") or parts.query or parts.username:
        errors.add((*place, "base_url"), "not a base URL; expected https://HOST[:PORT][/PREFIX]; fix: correct it")
    elif parts.scheme == "http" and host not in LOOPBACK:
        errors.add((*place, "base_url"), "plain http would show the credentials to everybody; expected https; fix: write https://")


def _check_credentials(errors: _Errors, place: Place, account: AccountFile, sets: tuple[frozenset[str], ...]) -> None:
    if set(account.credentials) not in sets:
        wanted = " or ".join("{" + ", ".join(sorted(each)) + "}" for each in sets)
        errors.add((*place, "credentials"), f"not the credentials of {account.provider}; expected {wanted}; fix: give exactly these")


def _own(errors: _Errors, place: Place, provider: Provider, account: AccountFile) -> tuple[Struct, tuple[str, ...] | Path]:
    """The provider's options, and its streams or the file that lists them."""
    made, wrong = options(provider, account)
    names, absent = streams(provider, account)
    for where, what in (*unknown_keys(provider, account), *wrong, *absent):
        errors.add((*place, *where), what)
    return made, names


def _unique(errors: _Errors, accounts: dict[int, Account]) -> None:
    names: dict[str, int] = {}
    identities: dict[tuple[str, ...], int] = {}
    for number, account in accounts.items():
        if names.setdefault(account.name, number) != number:
            errors.add(("accounts", number, "name"), "this name is taken; expected a name of its own; fix: rename one of the accounts")
        identity = _identity(account)
        if identity is not None and identities.setdefault(identity, number) != number:
            errors.add(
                ("accounts", number, "credentials"),
                f"the same account as {accounts[identities[identity]].name}; expected other credentials; fix: remove one of them",
            )


def _identity(account: Account) -> tuple[str, ...] | None:
    """What two accounts may not share: as the provider says, by values where they can be read, else by where they come from."""
    values: dict[str, str] = {}
    for name, secret in account.credentials.items():
        try:
            values[name] = secret.read()
        except ConfigError:
            values[name] = repr(secret)
    provider = provider_of(account.provider, account.options)
    if values.keys() not in provider.credentials:
        return None
    return account.provider, account.base_url.rstrip("/"), provider.identity(values)


def _anchor(secret: SecretRef | None, path: Path) -> None:
    """Relative paths are relative to the configuration file."""
    if secret is not None and secret.file is not None:
        secret.file = path.parent / secret.file
