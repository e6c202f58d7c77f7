"""values."""

from __future__ import annotations

import re
from typing import Any

ID_CHARACTERS_MAX = 512


def words(value: object) -> str | None:
    """A non-empty text; numbers are written out, anything else is absent."""
    if isinstance(value, str):
        return clean(value) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def clean(value: str) -> str:
    """Text that UTF-8 can carry: lone surrogates are replaced."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def identity(value: object) -> str | None:
    """An id: a non-empty text or an integer, as text; None where it is neither."""
    if isinstance(value, str) and 0 < len(value) <= ID_CHARACTERS_MAX:
        return clean(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 127:
        return str(value)
    return None


def optional_id(value: object) -> str | None:
    """An id whose 0, "" and null all mean none."""
    return None if value in (0, "0") else identity(value)


def flag(value: object) -> bool | None:
    """A boolean, else absent."""
    return value if isinstance(value, bool) else None


def number(value: object) -> int | None:
    """A small whole number, else absent."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


_DIGITS = re.compile(r"\+?\d+")


_FORMATTING = str.maketrans("", "", "- ().")


def phone(value: object, *, bare_is_international: bool = False) -> str | None:
    """E.164 where it can be (RFC 3966 ``tel:`` is unwrapped, formatting dropped), else as given; None = absent."""
    given = words(value)
    if given is None:
        return None
    stripped = given.removeprefix("tel:").partition(";")[0].translate(_FORMATTING)
    if not _DIGITS.fullmatch(stripped):
        return given
    if stripped[0] == "+":
        return stripped if 8 <= len(stripped) <= 16 else given
    if bare_is_international and 8 <= len(stripped) <= 15:
        return "+" + stripped
    return stripped


def distinct(values: list[str | None]) -> list[str] | None:
    """Without absent ones and repetitions; None when nothing is left."""
    return list(dict.fromkeys(value for value in values if value)) or None


def tidy(value: Any) -> Any:
    """Free-form JSON without nulls, so that null and absent are the same."""
    if isinstance(value, dict):
        return {clean(str(name)): tidy(leaf) for name, leaf in value.items() if leaf is not None}
    if isinstance(value, list):
        return [tidy(leaf) for leaf in value]
    return clean(value) if isinstance(value, str) else value
