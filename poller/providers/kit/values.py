"""A row's members as the values that are published: ids, phone numbers, texts. Texts come from :func:`.rows.decoded`, so they are UTF-8."""

from __future__ import annotations

import re
from typing import Any

ID_CHARACTERS_MAX = 512
"""The longest id that is taken for one: vendors' ids have at most 40 characters, and keys and headers repeat it."""


def words(value: object) -> str | None:
    """A non-empty text; numbers are written out, anything else is absent."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def identity(value: object) -> str | None:
    """An id: a non-empty text or an integer, as text; None where it is neither."""
    if isinstance(value, str) and 0 < len(value) <= ID_CHARACTERS_MAX:
        return value
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
    """E.164 where it can be (RFC 3966 ``tel:`` is unwrapped, formatting dropped), else as given; None = absent.

    ``bare_is_international``: the vendor writes E.164 without its plus. A number that begins with 0 is none of these: no
    country code begins with 0 (ITU-T E.164), so it is national, or has an international prefix.
    """
    given = words(value)
    if given is None:
        return None
    stripped = given.removeprefix("tel:").partition(";")[0].translate(_FORMATTING)
    if not _DIGITS.fullmatch(stripped):
        return given
    if stripped[0] == "+":
        return stripped if 8 <= len(stripped) <= 16 else given
    if bare_is_international and 8 <= len(stripped) <= 15 and stripped[0] != "0":
        return "+" + stripped
    return stripped


def distinct(values: list[str | None]) -> list[str] | None:
    """Without absent ones and repetitions; None when nothing is left."""
    return list(dict.fromkeys(value for value in values if value)) or None


def tidy(value: Any) -> Any:
    """Free-form JSON without nulls, so that null and absent are the same."""
    if isinstance(value, dict):
        return {name: tidy(leaf) for name, leaf in value.items() if leaf is not None}
    if isinstance(value, list):
        return [tidy(leaf) for leaf in value]
    return value
