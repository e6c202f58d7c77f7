"""The keys of the configuration as a JSON Schema for editors, and as a page for people: both from :mod:`.file` and the providers."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel

from . import options
from .file import AccountFile, ConfigFile
from .forms import STREAM_IDS, Shape, StartFrom
from .provider_keys import all_own_keys, streams_key
from .units import spelled

Json = dict[str, Any]

_PLAIN: dict[Any, Json] = {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}


def schema() -> str:
    """JSON Schema 2020-12 of the file: every key with its form, default and description; no other key."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "poller"}
    return msgspec.json.format(msgspec.json.encode(head | _model(ConfigFile))).decode()


def _model(model: type[BaseModel]) -> Json:
    fields = {name: _field(field) for name, field in model.model_fields.items()}
    if model is AccountFile:
        fields |= _of_providers()
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    description = " ".join((model.__doc__ or "").split())
    return {"type": "object", "description": description, "additionalProperties": False, "required": required, "properties": fields}


def _field(field: Any) -> Json:
    """One key: its form, its default as people write it, and what it is for."""
    found = {**_form(field.annotation, field.metadata), "description": field.description}
    default = None if field.is_required() else _written(field.default, field)
    return found if default is None else {**found, "default": default}


def _form(kind: Any, metadata: Any = ()) -> Json:
    """How a value of a type is written."""
    shape = next((each for each in metadata if isinstance(each, Shape)), None)
    if shape is not None:
        return shape.schema
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _form(args[0], (*args[1:], *metadata))
    if origin in (Union, UnionType):
        return _form(next(each for each in args if each is not NoneType), metadata)
    if origin is Literal:
        return {"enum": list(args)}
    if origin is list:
        least = next((each.min_length for each in metadata if isinstance(each, MinLen)), 0)
        return {"type": "array", "items": _form(args[0]), "minItems": least}
    if origin is dict:
        return {"type": "object", "additionalProperties": _form(args[1])}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model(kind)
    return {**_PLAIN[kind], **_bounds(metadata)}


def _bounds(metadata: Any) -> Json:
    names = {Ge: ("ge", "minimum"), Le: ("le", "maximum"), MinLen: ("min_length", "minLength"), MaxLen: ("max_length", "maxLength")}
    return {names[type(each)][1]: getattr(each, names[type(each)][0]) for each in metadata if type(each) in names}


def _written(value: Any, field: Any) -> Any:
    """A default as it would be written in the file; None where the key is simply absent."""
    if isinstance(value, StartFrom):
        return spelled(value.value)
    if isinstance(value, BaseModel):
        return None
    if value is None and {"const": "auto"} in _form(field.annotation, field.metadata).get("oneOf", []):
        return "auto"
    return spelled(value) if isinstance(value, int) and any(isinstance(each, Shape) for each in field.metadata) else value


def _of_providers() -> Json:
    """The names of the providers, and their own keys of an account."""
    providers = list(all_own_keys())
    found: Json = {"provider": {"enum": [provider.name for provider, _ in providers], "description": "The vendor."}}
    for provider, keys in providers:
        types = {field.encode_name: field.type for field in msgspec.structs.fields(provider.Options)}
        for key in keys:
            form = STREAM_IDS.schema if key == streams_key(provider) else options.form(types[key])
            said = "its streams: ids, or a file of them, one a line" if key == streams_key(provider) else "see the provider's page"
            found[key] = {**form, "description": f"Only for {provider.name}: {form.get('description', said)}."}
    return found


def page() -> str:
    """docs/configuration.md: one table for each part of the file."""
    whole = msgspec.json.decode(schema())
    lines = [
        "# Configuration",
        "",
        "Made from the code by `make docs`. `poller config example` prints a file to begin with, `poller config schema` this",
        "page for editors, `poller check` says everything that is wrong with a file at once. `required` in the",
        "column of defaults: the key must be there; nothing there: it may be left out. `overlap` must be shorter than `reconcile.back`. Secrets are only `{env: NAME}` or `{file: PATH}`.",
        "",
    ]
    for name, part in _parts("", whole):
        lines += [
            f"## {name or 'The file'}",
            "",
            part.get("description", ""),
            "",
            "| key | form | default | what it is |",
            "| --- | --- | --- | --- |",
        ]
        for key, field in part["properties"].items():
            written = msgspec.json.encode(field.get("default")).decode().strip('"')
            default = "required" if key in part["required"] else f"`{written}`" if "default" in field else ""
            lines.append(f"| `{key}` | {_words(field)} | {default} | {field.get('description', '')} |")
        lines.append("")
    return "\n".join([*lines, *_providers()])


def _providers() -> Iterator[str]:
    """What an account of each provider needs, and what holds where its keys are left out."""
    yield from ("## Providers", "", "| provider | credentials | streams | base_url | rate_limit |", "| --- | --- | --- | --- | --- |")
    for provider, _ in all_own_keys():
        credentials = "; or ".join(", ".join(f"`{name}`" for name in sorted(each)) for each in provider.credentials)
        key, (count, seconds) = streams_key(provider), provider.rate_limit
        streams = f"`{key}`" if key else "one, the account's"
        link = f"[{provider.name}](../poller/providers/{provider.name}/README.md)"
        yield f"| {link} | {credentials} | {streams} | {provider.base_url or 'required'} | {count * 60 / seconds:.0f}/min |"
    yield ""


def _parts(name: str, part: Json) -> Iterator[tuple[str, Json]]:
    """The mappings of the file with known keys, outermost first."""
    yield name, part
    for key, field in part["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _parts(f"{name}.{key}".lstrip(".") + ("[]" if "items" in field else ""), inner)


def _words(field: Json) -> str:
    """A form in a few words."""
    if "enum" in field:
        return " \\| ".join(f"`{each}`" for each in field["enum"])
    if field.get("type") == "array" and "$comment" not in field:
        return f"list of {_words(field['items'])}"
    named = {"object": "mapping", "integer": "whole number", "boolean": "true or false", "string": "text"}
    return field.get("$comment") or named.get(field.get("type", ""), "see the provider's page")
