"""A provider's own keys of an account: its list of streams, and its options. Only the provider knows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ..providers.contract import Fixed, Provider
from ..providers.registry import names, provider_of
from .file import AccountFile
from .forms import stream_ids
from .report import unknown_key
from .yaml_document import Place

Wrong = tuple[Place, str]
"""A key, and what is wrong with its value."""


def streams_key(provider: Provider) -> str | None:
    """The key under which an account lists its streams; None where it lists none."""
    return None if isinstance(provider.streams, Fixed) else provider.streams.key


def own_keys(provider: Provider) -> list[str]:
    """The provider's own keys of an account."""
    key = streams_key(provider)
    return [*([] if key is None else [key]), *(field.encode_name for field in msgspec.structs.fields(provider.Options))]


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


def options(provider: Provider, account: AccountFile) -> tuple[Struct, list[Wrong]]:
    """The provider's options. Values are never quoted: they may be secrets."""
    given, wrong, right = account.model_extra or {}, list[Wrong](), dict[str, Any]()
    for field in msgspec.structs.fields(provider.Options):
        name = field.encode_name
        if name not in given:
            if field.required:
                wrong.append(((name,), f"missing; expected a value for {account.provider}; fix: add it"))
            continue
        try:
            right[field.name] = msgspec.convert(given[name], field.type)
        except msgspec.ValidationError:
            wrong.append(((name,), f"not a value of it; expected {_kind(field.type)}; fix: correct it"))
    return provider.Options() if wrong else provider.Options(**right), wrong


def _kind(type_: Any) -> str:
    """What a type accepts, for people."""
    schema = msgspec.json.schema(type_)
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    kinds = {"string": "a text", "integer": "a whole number", "array": "a list", "object": "a mapping", "boolean": "true or false"}
    return kinds.get(schema.get("type", ""), "a value as the provider's page says")
