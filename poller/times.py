"""Times as text: one RFC 3339 parser, one formatter, epochs and HTTP dates. Instants are microseconds since the epoch, UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

import msgspec

from .model import SECOND, Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d))?(?:[.,](\d+))?\s*([Zz]|[+-]\d\d:?\d\d|[+-]\d\d)?")

FRACTION_DIGITS = 9
"""Digits of a fraction of a second that are kept: nanoseconds, the finest that a vendor prints."""

_SECOND_CHARACTERS = len("2026-11-26T20:00:00")

EPOCH_MAX = 253_402_300_800
"""Seconds: the end of the year 9999."""


class Time(msgspec.Struct, frozen=True, gc=False):
    """One instant in both forms: microseconds, and canonical text (equal instants have equal texts)."""

    instant: Instant
    text: str
    zoned: bool = True


def parse_rfc3339(value: object) -> Time | None:
    """RFC 3339, tolerantly: 0-9 fractional digits, any offset, a blank for the T; no zone means UTC. None = no time."""
    return _parsed(value) if isinstance(value, str) else None


@lru_cache(maxsize=1 << 14)
def _parsed(value: str) -> Time | None:
    """Remembered, because lists show the same times again and again."""
    return _usual(value) or _tolerant(value)


def _usual(value: str) -> Time | None:
    """``2026-11-26T20:00:00.123Z`` with or without a fraction, as most vendors print every time; None for any other form.

    It agrees with :func:`_tolerant` wherever it gives a time, at a third of the cost.
    """
    if len(value) <= _SECOND_CHARACTERS or value[-1] != "Z" or not value.isascii():
        return None
    whole, fraction = _whole_second(value[:_SECOND_CHARACTERS]), value[_SECOND_CHARACTERS:-1]
    if whole is None or not fraction:
        return None if whole is None else Time(whole, value)
    digits = fraction[1:]
    if fraction[0] != "." or not digits.isdigit() or len(digits) > FRACTION_DIGITS:
        return None
    if digits[-1] == "0":
        value = value[:-1].rstrip("0").rstrip(".") + "Z"
    return Time(whole + int((digits + "00000")[:6]), value)


@lru_cache(maxsize=1 << 12)
def _whole_second(text: str) -> Instant | None:
    """``2026-11-26T20:00:00`` in UTC; None for any other form. Remembered: the rows of a busy page share their seconds."""
    if not (text[4] == text[7] == "-" and text[10] == "T" and text[13] == text[16] == ":"):
        return None
    try:
        return int(datetime.fromisoformat(text + "+00:00").timestamp()) * SECOND
    except ValueError:
        return None


def _tolerant(value: str) -> Time | None:
    """Any of the forms that :func:`parse_rfc3339` takes."""
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
    text = format_rfc3339(whole * SECOND)
    return Time(whole * SECOND + micros, f"{text[:-1]}.{fraction}Z" if fraction else text, zone is not None)


def _offset(zone: str | None) -> str:
    return "+00:00" if zone is None or zone in "Zz" else zone


def epoch(value: object) -> Time | None:
    """Seconds since the epoch as a number or numeric text; values over 1e11 are milliseconds; 0 and negative are absent."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 32 and "_" not in value else math.nan  # Python's own digits, 1_000, are nobody's time
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1 << 62:
        return None
    micros = round(value * 1000) if value > 1e11 else round(value * SECOND)
    return None if micros >= EPOCH_MAX * SECOND else _of_epoch(micros)


@lru_cache(maxsize=1 << 14)
def _of_epoch(instant: Instant) -> Time:
    """Remembered, because lists show the same times again and again."""
    return Time(instant, format_rfc3339(instant))


@lru_cache(maxsize=64)
def http_date(text: str | None) -> Instant | None:
    """An HTTP date (RFC 9110 section 5.6.7) as an instant; None when it is none.

    A date without a zone (the asctime form, ``-0000``) is UTC, whatever zone this host keeps. Remembered, because the answers
    of a second print the same.
    """
    try:
        found = None if text is None else parsedate_to_datetime(text)
        if found is None:
            return None
        return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // timedelta(seconds=1) * SECOND
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_rfc2822(value: object) -> Time | None:
    """RFC 2822 section 3.3; the zone ``-0000`` means UTC of which no zone is told. None = no time."""
    return _parsed_2822(value) if isinstance(value, str) else None


@lru_cache(maxsize=1 << 14)
def _parsed_2822(value: str) -> Time | None:
    """Remembered, because lists show the same times again and again."""
    try:
        moment = parsedate_to_datetime(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return Time(whole * SECOND, format_rfc3339(whole * SECOND)) if whole > 0 else None


def format_rfc3339(instant: Instant) -> str:
    """Canonical text of an instant between the years 1 and 9999; what lies beyond is given as the last one."""
    text = (_EPOCH + timedelta(microseconds=min(instant, EPOCH_MAX * SECOND - 1))).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


def instant(text: str | None) -> Instant | None:
    """The instant of a time as text; None where it is absent or no time."""
    found = parse_rfc3339(text)
    return None if found is None else found.instant


def seconds_since(created: Instant, observed: Instant) -> float:
    """How old a message was when it was observed, in seconds; never negative."""
    return max(0, observed - created) / SECOND
