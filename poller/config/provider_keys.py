"""A provider's own keys of an account: its list of streams, and the names of its options. Only the provider knows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..providers.contract import Fixed, Provider
from ..providers.registry import names, provider_of
from . import options
from .file import AccountFile
from .forms import stream_ids
from .options import Wrong
from .report import unknown_key


def streams_key(provider: Provider) -> str | None:
    """The key under which an account lists its streams; None where it lists none."""
    return None if isinstance(provider.streams, Fixed) else provider.streams.key


def own_keys(provider: Provider) -> list[str]:
    """The provider's own keys of an account."""
    key = streams_key(provider)
    return [*([] if key is None else [key]), *options.names(provider)]


def all_own_keys() -> Iterator[tuple[Provider, list[str]]]:
    """Of every provider."""
    for name in names():
        provider = provider_of(name)
        yield provider, own_keys(provider)


def unknown_keys(provider: Provider, account: AccountFile) -> Iterator[Wrong]:
    """What neither accounts nor this provider know."""
    known = [*AccountFile.model_fields, *own_keys(provider)]
    for name in account.model_extra or {}:
        if name in known:
            continue
        if any(name in keys for _, keys in all_own_keys()):
            yield (name,), f"not a key of {account.provider}; expected no {name} here; fix: remove it"
            continue
        yield (name,), unknown_key(name, known)


def streams(provider: Provider, account: AccountFile) -> tuple[tuple[str, ...] | Path, list[Wrong]]:
    """The account's streams, or the file that lists them."""
    if isinstance(provider.streams, Fixed):
        return provider.streams.names, []
    key, default = provider.streams.key, provider.streams.default
    if key not in (account.model_extra or {}):
        return default, [] if default else [((key,), f"missing; expected the {key} to poll; fix: list their ids")]
    try:
        return stream_ids((account.model_extra or {})[key]), []
    except ValueError as error:
        return (), [((key,), str(error))]
