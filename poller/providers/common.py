"""What every adapter needs: times, numbers, statuses of answers. All tolerant, all pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache, wraps
from typing import Any, TypeVar

import msgspec

from ..errors import BadPage, RateLimited, StreamGone, Unauthorized, Unreachable
from ..model import SECOND, BadRow, Instant
from . import Response

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d))?(?:[.,](\d+))?\s*([Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?")
FRACTION_DIGITS = 9
EPOCH_DIGITS = 10
EPOCH_MAX = 253_402_300_800
"""Seconds: the end of the year 9999."""

ID_CHARACTERS_MAX = 512


class Time(msgspec.Struct, frozen=True):
    """One instant in both forms: microseconds, and canonical text (equal instants have equal texts)."""

    instant: Instant
    text: str
    zoned: bool = True


def rfc3339(value: object) -> Time | None:
    """RFC 3339, tolerantly: 0-9 fractional digits, any offset, a blank for the T; no zone means UTC. None = no time."""
    return _rfc3339(value) if isinstance(value, str) else None


@lru_cache(maxsize=1 << 14)
def _rfc3339(value: str) -> Time | None:
    """Remembered, because lists show the same times again and again."""
    found = _TIME.fullmatch(value.strip())
    if found is None:
        return None
    date, minutes, seconds, fraction, zone = found.groups()
    fraction = (fraction or "")[:FRACTION_DIGITS].rstrip("0")
    leap = seconds == "60"
    try:
        moment = datetime.fromisoformat(f"{date}T{minutes}:{'59' if leap else seconds or '00'}{_offset(zone)}")
        moment = moment.astimezone(UTC) + timedelta(seconds=1 if leap else 0)
    except (ValueError, OverflowError):
        return None
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    micros = int((fraction + "000000")[:6])
    text = text_of(whole * SECOND)
    return Time(whole * SECOND + micros, f"{text[:-1]}.{fraction}Z" if fraction else text, zone is not None)


def _offset(zone: str | None) -> str:
    return "+00:00" if zone is None or zone in "Zz" else zone


def epoch(value: object) -> Time | None:
    """Seconds since the epoch as a number or numeric text; values over 1e11 are milliseconds; 0 and negative are absent."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 32 else math.nan
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1 << 62:
        return None
    micros = round(value * 1000) if value > 1e11 else round(value * SECOND)
    if micros >= EPOCH_MAX * SECOND:
        return None
    return Time(micros, text_of(micros))


def http_date(text: str | None) -> Instant | None:
    """An HTTP date (RFC 9110 section 5.6.7) as an instant; None when it is none."""
    try:
        return None if text is None else round(parsedate_to_datetime(text).timestamp()) * SECOND
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def text_of(instant: Instant) -> str:
    """Canonical text of an instant between the years 1 and 9999; what lies beyond is given as the last one."""
    text = (_EPOCH + timedelta(microseconds=min(instant, EPOCH_MAX * SECOND - 1))).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


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


_RETRY = frozenset({408, 425})


def accept(response: Response, *, gone: frozenset[int] = frozenset({403, 404}), other_gone: bool = False) -> bytes:
    """The body of a usable answer; otherwise the error that says who stops.

    ``other_gone``: any other 4xx means this stream, as with an unknown Fone Dynamics property.
    """
    status = response.status
    if status in (200, 201, 203, 206) or status == 204:
        return _json_body(response)
    if status == 401:
        raise Unauthorized
    if status == 429:
        raise RateLimited(retry_after(response))
    if status >= 500 or status in _RETRY or status < 200:
        raise Unreachable(f"the provider answered {status}")
    if status in gone or (other_gone and 400 <= status < 500):
        raise StreamGone(f"the provider answered {status}")
    raise BadPage(f"the provider answered {status}")


def _json_body(response: Response) -> bytes:
    if "html" in response.headers.get("content-type", "").lower():
        raise Unreachable("the provider answered a web page instead of data")
    return mended(response.body)


_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def mended(body: bytes) -> bytes:
    """JSON without half surrogate pairs (an emoji cut in two): UTF-8 has no form for them, and one would spoil the whole answer."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


def retry_after(response: Response) -> float | None:
    """Seconds to wait: ``Retry-After`` in both forms (RFC 9110 section 10.2.3), else when the rate limit is reset."""
    found = _seconds(response, "retry-after")
    return found if found is not None else _reset(response)


def exhausted(response: Response) -> float | None:
    """Seconds until the allowance is there again, where an answer says that nothing of it is left; None = go on.

    ``RateLimit-Remaining`` and ``RateLimit-Reset`` with or without ``X-``, or the one ``RateLimit`` field
    (draft-ietf-httpapi-ratelimit-headers): a guest who listens is never told 429, and what a 429 says
    itself (:func:`retry_after`) goes before.
    """
    if response.status == 429:
        return None
    left = [response.headers.get(name, "").strip() for name in ("ratelimit-remaining", "x-ratelimit-remaining")]
    if "0" in left or _LIMIT_LEFT.search(response.headers.get("ratelimit", "")):
        return _reset(response)
    return None


_LIMIT_LEFT = re.compile(r"(?:;\s*r|remaining)\s*=\s*0(?!\d)")
_LIMIT_RESET = re.compile(r"(?:;\s*t|reset)\s*=\s*(\d{1,8})(?!\d)")


def _reset(response: Response) -> float | None:
    found = _LIMIT_RESET.search(response.headers.get("ratelimit", ""))
    if found is not None:
        return float(found[1])
    waits = (_seconds(response, name) for name in ("ratelimit-reset", "x-ratelimit-reset"))
    return next((wait for wait in waits if wait is not None), None)


def _seconds(response: Response, name: str) -> float | None:
    """A header that holds seconds, an instant as epoch seconds, or an HTTP date; instants are held against ``Date``."""
    said = response.headers.get(name, "").strip()
    if said.isdigit() and said.isascii() and len(said) < 9:
        return float(said)
    try:
        until = float(said) if said.isdigit() and len(said) == EPOCH_DIGITS else parsedate_to_datetime(said).timestamp()
        now = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, until - now)


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
