"""A vendor's own options of an account: made of what is written, with the place of all that is wrong; their secrets; their form for editors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct

from ..providers.contract import Provider, SecretOption
from .file import AccountFile
from .forms import SECRET, secret_at
from .report import unknown_key
from .secrets import SecretRef
from .yaml_document import Place

Wrong = tuple[Place, str]
"""A key, and what is wrong with its value."""

Json = dict[str, Any]


def names(provider: Provider) -> list[str]:
    """The keys of its options."""
    return [field.encode_name for field in msgspec.structs.fields(provider.Options)]


def options(provider: Provider, account: AccountFile, folder: Path) -> tuple[Struct, list[Wrong]]:
    """The account's, paths relative to ``folder``; the defaults where something is wrong. Values are never quoted: they may be secrets."""
    given = {name: value for name, value in (account.model_extra or {}).items() if name in names(provider)}
    wrong = list(_wrong(provider.Options, given, ()))
    return (provider.Options() if wrong else _made(provider.Options, given, folder)), wrong


def _made(kind: Any, value: Any, folder: Path = Path()) -> Any:
    """A value of a type. Raises ValidationError."""
    return msgspec.convert(value, kind, dec_hook=partial(_referred, folder))


def _referred(folder: Path, kind: type, value: object) -> SecretRef:
    """A secret's reference, the one type beside those of JSON that an option may have. Raises ValueError with a whole sentence."""
    if kind is not SecretOption:
        raise TypeError("an option of another type")
    return secret_at(value, folder)


def _wrong(kind: Any, value: Any, place: Place) -> Iterator[Wrong]:
    """All that is wrong with a value, by the type that it is to be: of its parts, else of the whole."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    parts = list(_wrong_parts(plain, value, place))
    if parts:
        yield from parts
        return
    try:
        _made(kind, value)
    except msgspec.ValidationError as error:
        said = plain is SecretOption or (_is_struct(plain) and isinstance(value, dict))  # by secret_at, or by __post_init__
        yield place, str(error).partition(" - at `$")[0] if said else f"not a value of it; expected {_words(kind)}; fix: correct it"


def _wrong_parts(kind: Any, value: Any, place: Place) -> Iterator[Wrong]:
    """What is wrong within a mapping. A name that somebody chose is not quoted where it is wrong: it may be a phone number."""
    if not isinstance(value, dict):
        return
    if _is_struct(kind):
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        yield from (((*place, name), unknown_key(str(name), list(fields))) for name in value if name not in fields)
        for name, field in fields.items():
            if name in value:
                yield from _wrong(field.type, value[name], (*place, name))
            elif field.required:
                yield (*place, name), f"missing; expected {_words(field.type)}; fix: add it"
    elif get_origin(kind) is dict:
        names, each = get_args(kind)
        for name, inner in value.items():
            try:
                msgspec.convert(name, names)
            except msgspec.ValidationError:
                yield place, f"a name in it cannot be used; expected {_words(names)}; fix: choose another"
            else:
                yield from _wrong(each, inner, (*place, name))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def secrets(value: Any, place: Place = ()) -> Iterator[tuple[Place, SecretRef]]:
    """The secrets within options, each with its place."""
    if isinstance(value, SecretRef):
        yield place, value
    elif isinstance(value, Struct):
        yield from secrets({field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}, place)
    elif isinstance(value, dict | tuple | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from secrets(inner, (*place, name))


def form(kind: Any) -> Json:
    """How a value of a type is written: a JSON Schema without references; ``$comment`` says it in words for people."""
    (found,), parts = msgspec.json.schema_components([kind], schema_hook=lambda _: SECRET, ref_template="{name}")
    return _inlined(found, parts)


def _inlined(value: Any, parts: Json) -> Any:
    """A schema with the parts that it refers to in their places."""
    if isinstance(value, list):
        return [_inlined(each, parts) for each in value]
    if not isinstance(value, dict):
        return value
    named = _inlined(parts[value["$ref"]], parts) if "$ref" in value else {}
    return named | {name: _inlined(each, parts) for name, each in value.items() if name != "$ref"}


def _words(kind: Any) -> str:
    """What a type accepts, for people."""
    found = form(kind)
    if "enum" in found:
        return "one of " + ", ".join(map(str, found["enum"]))
    kinds = {"string": "a text", "integer": "a whole number", "array": "a list", "object": "a mapping", "boolean": "true or false"}
    return found.get("$comment") or kinds.get(found.get("type", ""), "a value as the provider's page says")
