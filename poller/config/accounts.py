"""An account with everything resolved: its own keys, the defaults, and what its provider says; rules between values are checked here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from ..errors import ConfigError
from ..model import Instant
from ..providers.registry import provider_of
from .file import AccountFile, Defaults
from .forms import StartFrom, url_problem
from .options import options, secrets
from .paths import located
from .provider_keys import streams, unknown_keys
from .report import Errors
from .secrets import SecretRef
from .yaml_document import Place


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
    def secrets(self) -> dict[str, SecretRef]:
        """The credentials by their keys, and the options that are secrets by their dotted names."""
        return self.credentials | {".".join(map(str, place)): secret for place, secret in secrets(self.options)}

    @property
    def key(self) -> str:
        """``provider/account``."""
        return f"{self.provider}/{self.name}"


def resolve_all(errors: Errors, accounts: dict[int, AccountFile], defaults: Defaults, path: Path) -> dict[int, Account]:
    """Every account that has the right shape, by its number in the file."""
    resolved = {number: _resolve(errors, number, account, defaults, path) for number, account in accounts.items()}
    _unique(errors, resolved)
    return resolved


def _resolve(errors: Errors, number: int, account: AccountFile, defaults: Defaults, path: Path) -> Account:
    place: Place = ("accounts", number)
    provider = provider_of(account.provider)
    reconcile = account.reconcile or defaults.reconcile
    overlap = defaults.overlap if account.overlap is None else account.overlap
    base_url = account.base_url or provider.base_url or ""
    _check_url(errors, place, base_url)
    _check_credentials(errors, place, account, provider.credentials)
    own, names = _own(errors, place, account, path.parent)
    count, seconds = account.rate_limit or provider.rate_limit
    resolved = Account(
        name=account.name,
        provider=account.provider,
        base_url=base_url,
        credentials={name: secret.within(path.parent) for name, secret in account.credentials.items()},
        streams=names if isinstance(names, tuple) else (),
        streams_file=located(path.parent, names) if isinstance(names, Path) else None,
        interval=_first(account.interval, defaults.interval),
        overlap=None if isinstance(overlap, str) else overlap,
        start_from=account.start_from or defaults.start_from,
        status_horizon=_first(account.status_horizon, defaults.status_horizon),
        reconcile_every=reconcile.every,
        reconcile_back=reconcile.back,
        timeout=_first(account.timeout, defaults.timeout),
        rate_count=count,
        rate_seconds=seconds,
        burst=account.burst,
        proxy=account.proxy,
        ca_file=located(path.parent, account.ca_file) if account.ca_file else None,
        enabled=account.enabled,
        drafts=account.drafts,
        channels=tuple(account.channels),
        options=own,
    )
    _check_times(errors, place, account, resolved)
    return resolved


def _first(own: Instant | None, default: Instant) -> Instant:
    return default if own is None else own


def _check_times(errors: Errors, place: Place, written: AccountFile, account: Account) -> None:
    """Rules between values; said where the value was written, in the account or in the defaults."""

    def where(name: str) -> Place:
        return (*place, name) if getattr(written, name) is not None else ("defaults", name)

    if account.reconcile_back < 4 * account.reconcile_every:
        errors.add(where("reconcile"), "back is too short for every; expected back >= 4 x every; fix: lower every, or raise back")
    if account.overlap is not None and account.overlap >= account.reconcile_back:
        errors.add(where("overlap"), "too long; expected less than reconcile.back; fix: lower overlap, or raise reconcile.back")


def _check_url(errors: Errors, place: Place, url: str) -> None:
    if not url:
        errors.add((*place, "base_url"), "missing; expected the vendor's URL for this provider; fix: add e.g. https://api.stuut.ai")
    elif (problem := url_problem(url, "a base URL")) is not None:
        errors.add((*place, "base_url"), problem)


def _check_credentials(errors: Errors, place: Place, account: AccountFile, sets: tuple[frozenset[str], ...]) -> None:
    if set(account.credentials) not in sets:
        wanted = " or ".join("{" + ", ".join(sorted(each)) + "}" for each in sets)
        errors.add((*place, "credentials"), f"not the credentials of {account.provider}; expected {wanted}; fix: give exactly these")


def _own(errors: Errors, place: Place, account: AccountFile, folder: Path) -> tuple[Struct, tuple[str, ...] | Path]:
    """The provider's options, and its streams, which may follow from them, or the file that lists them."""
    provider = provider_of(account.provider)
    made, wrong = options(provider, account, folder)
    names, absent = streams(provider_of(account.provider, made), account)
    for where, what in (*unknown_keys(provider, account), *wrong, *absent):
        errors.add((*place, *where), what)
    return made, names


def _unique(errors: Errors, accounts: dict[int, Account]) -> None:
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
