"""rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import msgspec

from ...errors import BadPage, Unreachable
from ...model import BadRow

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def mended(body: bytes) -> bytes:
    """JSON without half surrogate pairs (an emoji cut in two): UTF-8 has no form for them, and one would spoil the whole answer."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


ROWS_MAX = 100_000
"""Rows of one answer; no provider's page is within two orders of magnitude."""


PAGES_KEPT, PAGE_BYTES_KEPT = 64, 64 << 10
"""How many pages are remembered, and up to which size."""


T = TypeVar("T")


def read_once(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """For what depends on a page's bytes alone: the same page need not be read again."""
    remembered = lru_cache(maxsize=PAGES_KEPT)(read)

    @wraps(read)
    def reading(body: bytes) -> T:
        return remembered(body) if len(body) <= PAGE_BYTES_KEPT else read(body)

    return reading


_raws = msgspec.json.Decoder(list[msgspec.Raw])


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def listed(body: bytes, names: tuple[str, ...]) -> tuple[list[bytes], dict[str, msgspec.Raw]]:
    """The rows of a bare array, or of an object that wraps one under one of ``names`` (case does not matter).

    Each row as its own bytes; with the object's other members. null is an empty list. Raises
    Unreachable for what is not JSON, BadPage for JSON of another shape.
    """
    start = body.lstrip()[:1]
    try:
        if start == b"[":
            raws = _raws.decode(body)
            if len(raws) > ROWS_MAX:
                raise BadPage(f"the answer has more than {ROWS_MAX} rows")
            return [bytes(raw) for raw in raws], {}
        if start == b"{":
            members = {name.lower(): raw for name, raw in _object.decode(body).items()}
            name = next((name for name in names if name in members), None)
            if name is None:
                raise BadPage("the answer has no list of messages")
            inner = bytes(members.pop(name))
            return ([] if inner.strip() == b"null" else listed(inner, ())[0]), members
        if body.strip() == b"null":
            return [], {}
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None
    raise BadPage("the answer is not a list of messages")


def count_of(body: bytes) -> int:
    """A count, printed as a string or as a number. Raises Unreachable for what is not JSON, BadPage for what is no number."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        raise BadPage("the answer is not a count") from None


def decoded(raw: bytes) -> dict[str, Any] | BadRow:
    """A row as an object; a number too large for one is kept as its text."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = _leniently(raw)
    if value is None:
        return BadRow("not_json", "", raw)
    if raw.count(b"[") + raw.count(b"{") > NESTING_MAX and _too_deep(value):
        return BadRow("too_deep", "", raw)
    return value if isinstance(value, dict) else BadRow("not_an_object", "", raw)


NESTING_MAX = 100
"""No provider's row is a tenth as deep; what reads and writes it goes one call deeper for each level."""


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        containers = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [leaf for each in containers for leaf in each]
    return bool(level)


def _leniently(raw: bytes) -> Any:
    """By the standard library, which is slower and has no limits of number; None for what is no JSON either."""
    try:
        return json.loads(raw, parse_float=lambda text: float(text) if math.isfinite(float(text)) else text)
    except (ValueError, RecursionError):
        return None
