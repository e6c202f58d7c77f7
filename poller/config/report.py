"""Errors of a configuration as people read them: each in one plain line with its place, all of them at once."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel

from ..errors import ConfigError
from .file import AccountFile, ConfigFile
from .yaml_document import Document, Place

EXAMPLE_HINT = "see: poller config example"
"""Where a whole file is shown that can be used."""


class Errors:
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
        self.found.append((self.document.line(place), self.document.said(place, what)))

    def raise_any(self) -> None:
        """Raise ConfigError with all of them, if there are any."""
        if self.found:
            raise ConfigError([text for _, text in sorted(self.found, key=lambda pair: pair[0])])


_EXPECTED = {
    "missing": ("missing", "a value", "add it, " + EXAMPLE_HINT),
    "list_type": ("not a list", "a list such as [a, b]", "write it as a list"),
    "tuple_type": ("not a list", "a list such as [a, b]", "write it as a list"),
    "dict_type": ("not a mapping", "keys with values", EXAMPLE_HINT),
    "model_type": ("not a mapping", "keys with values", EXAMPLE_HINT),
    "model_attributes_type": ("not a mapping", "keys with values", EXAMPLE_HINT),
    "string_type": ("not a text", "a text", "put it in quotes"),
    "int_type": ("not a whole number", "a whole number such as 16", "write it in digits, without quotes"),
    "int_from_float": ("not a whole number", "a whole number such as 16", "write it without a fraction"),
    "int_parsing_size": ("too large", "a smaller number", "lower it"),
    "float_type": ("not a number", "a number", "write it in digits, without quotes"),
    "bool_type": ("not true or false", "true or false", "write true or false, without quotes"),
}
"""What is wrong, what was expected, and the fix, by the kind of an error of the file's shape."""


def translate(errors: Errors, error: Any) -> None:
    """One error of the file's shape as one of our lines. Values are never quoted: they may be secrets."""
    kind, where = error["type"], error["loc"]
    own = where[-1:] if kind == "extra_forbidden" else ()  # an unknown key may look like one of the library's own steps
    place: Place = (*(part for part in where[: len(where) - len(own)] if not (isinstance(part, str) and "[" in part)), *own)
    errors.add(place, _said(kind, error.get("ctx", {}), place))


def _said(kind: str, context: dict[str, Any], place: Place) -> str:
    """What is wrong, what was expected, and the fix."""
    if kind == "poller":
        return context["text"]
    if kind == "extra_forbidden":
        return unknown_key(str(place[-1]), _keys(place[:-1]))
    if kind == "literal_error":
        return f"not one of its values; expected {context['expected']}; fix: choose one of them"
    if kind in ("greater_than_equal", "less_than_equal"):
        least = kind == "greater_than_equal"
        bound = context["ge" if least else "le"]
        return f"too {'small' if least else 'large'}; expected at {'least' if least else 'most'} {bound}; fix: write {bound} or {'more' if least else 'less'}"
    if kind in ("too_short", "string_too_short"):
        return "empty; expected at least 1; fix: add one, or remove the key"
    if kind in ("too_long", "string_too_long"):
        return f"too long; expected at most {context['max_length']}; fix: shorten it"
    what, expected, fix = _EXPECTED.get(kind, ("not a value that can stand here", "another kind of value", EXAMPLE_HINT))
    return f"{what}; expected {expected}; fix: {fix}"


def unknown_key(name: str, known: list[str]) -> str:
    """A key that nobody knows, and the nearest one that somebody does."""
    near = difflib.get_close_matches(name.lower(), known, 1, 0.5)
    fix = f"did you mean {near[0]}?" if near else "remove it"
    return f"unknown key; expected one of {', '.join(known)}; fix: {fix}" if known else f"unknown key; expected no keys here; fix: {fix}"


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
