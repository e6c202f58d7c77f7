"""Provider times to instants and to the one canonical text: equal instants are equal strings.

Providers print RFC 3339 with none to nine fractional digits, with ``Z``, an offset or nothing
(UTC is assumed and said), or Unix epochs in seconds or milliseconds, as numbers or as text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from ..model import SECOND, Instant

Printed = str | int | float | None
"""What a provider may print where a time belongs."""

MILLISECONDS_FROM = 10**11
"""Epoch values above this are milliseconds: as seconds they would lie after the year 5138."""

NO_ZONE = "time_without_zone"


class Time(NamedTuple):
    """A time as the provider meant it."""

    at: Instant
    """Fractions below a microsecond are cut."""
    text: str
    """RFC 3339, UTC, ``Z``, at most nine fractional digits, no trailing zeros."""
    digits: int
    """Fractional digits as printed: how finely the provider prints."""
    oddity: str | None = None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LATEST = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:[.,](\d+))?[ ]?(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d)?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,17}(?:\.\d{0,9})?", re.ASCII)


def parse(printed: object) -> Time | None:
    """The time that was printed; None when it is none.

    A leap second (``:60``) is the first instant of the next minute, as Unix time has it. The
    year 0, dates without a time, and instants outside of the years 1 to 9999 in UTC are no times.
    """
    if isinstance(printed, str):
        return _parse_text(printed)
    if isinstance(printed, int | float) and not isinstance(printed, bool):
        return _parse_epoch(printed)
    return None


def epoch(printed: object) -> Time | None:
    """Like :func:`parse`, where zero and negative epochs mean that there is none."""
    time = parse(printed)
    return time if time is not None and time.at > 0 else None


def canonical(at: Instant) -> str:
    """The canonical text of an instant. Raises ValueError outside of the years 1 to 9999."""
    seconds, micros = divmod(at, SECOND)
    return _text(seconds, f"{micros:06d}")


@lru_cache(4096)
def _parse_text(text: str) -> Time | None:
    if text[-1:] == "Z" and text[4:5] == text[7:8] == "-" and text[10:11] == "T" and text[13:14] == text[16:17] == ":":
        plain = _parse_plain(text)
        if plain is not None:
            return plain
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        return _parse_epoch(float(text) if "." in text else int(text)) if _NUMBER.fullmatch(text) else None
    date, minute, second, fraction, zone, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{minute}:{'59' if second == '60' else second}Z")
    except ValueError:
        return None
    seconds = _seconds(moment) + (second == "60")
    if sign:
        offset = int(hours) * 3600 + int(minutes or 0) * 60
        seconds += offset if sign == "-" else -offset
    return _time(seconds, fraction or "", None if zone or sign else NO_ZONE)


def _parse_plain(text: str) -> Time | None:
    """The common print, ``2026-11-20T09:15:02.114208Z``; None when it is not quite that."""
    digits = len(text) - 21
    if digits != -1 and (text[19] != "." or not 0 < digits <= 6 or not text[20:-1].isdigit()):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = _seconds(moment) * SECOND + moment.microsecond
    if digits == -1:
        return Time(at, text, 0)
    return Time(at, text if text[-2] != "0" else canonical(at), digits)


def _parse_epoch(number: float) -> Time | None:
    if not -MILLISECONDS_FROM * 1000 < number < MILLISECONDS_FROM * 1000 * 10:
        return None
    millis = abs(number) > MILLISECONDS_FROM
    if isinstance(number, int):
        seconds, rest = divmod(number, 1000) if millis else (number, 0)
        return _time(seconds, f"{rest:03d}" if millis else "", None)
    seconds, micros = divmod(int(number * (1000 if millis else SECOND)), SECOND)
    return _time(seconds, f"{micros:06d}", None)


def _seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86400 + since.seconds


def _time(seconds: int, fraction: str, oddity: str | None) -> Time | None:
    if not _EARLIEST <= seconds <= _LATEST:
        return None
    return Time(seconds * SECOND + int(fraction[:6].ljust(6, "0")), _text(seconds, fraction), len(fraction), oddity)


def _text(seconds: int, fraction: str) -> str:
    if not _EARLIEST <= seconds <= _LATEST:
        raise ValueError("outside of the years 1 to 9999")
    moment = _EPOCH + timedelta(seconds=seconds)
    kept = fraction[:9].rstrip("0")
    return moment.replace(tzinfo=None).isoformat() + (f".{kept}Z" if kept else "Z")
