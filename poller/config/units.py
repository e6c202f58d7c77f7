"""How people write durations, rates and times, and what is wrong when they do not."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from ..model import DAY, HOUR, MINUTE, SECOND, Instant

_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]{1,9})/(s|min)")
DURATION = "a number with a unit: 500ms, 15s, 10m, 6h or 7d"
"""How a message says what a duration may look like."""

RATE = "requests per second or minute: 1/s or 400/min"
"""How a message says what a rate limit may look like."""

MOMENT = "an RFC 3339 time, a date, or a duration ago such as 24h"
"""How a message says what a moment may look like."""

DURATION_MAX: Instant = 3650 * DAY
"""The longest duration that is taken for one: ten years."""


def spelled(value: Instant) -> str:
    """A duration with its largest unit; a day is said in hours, as people do up to three of them."""
    return next(
        f"{value // unit}{name}" for name, unit in reversed(_UNITS.items()) if value % unit == 0 and (unit != DAY or value > 3 * DAY)
    )


def duration(text: object, least: Instant = 0, most: Instant = DURATION_MAX) -> Instant:
    """Microseconds. Raises ValueError saying what was expected."""
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"not a duration; expected {DURATION}; fix: write a unit, e.g. 15s")
    value = float(found[1]) * _UNITS[found[2]]
    if value < least:
        raise ValueError(f"too short; expected at least {spelled(least)}; fix: write {spelled(least)} or more")
    if value > most:
        raise ValueError(f"too long; expected at most {spelled(most)}; fix: write {spelled(most)} or less")
    return round(value)


def rate(text: object) -> tuple[int, float]:
    """(requests, seconds). Raises ValueError saying what was expected."""
    found = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or not 0 < int(found[1]) <= 1_000_000:
        raise ValueError(f"not a rate; expected {RATE}; fix: write e.g. 60/min")
    return int(found[1]), 1.0 if found[2] == "s" else 60.0


def moment(value: object) -> Instant:
    """An instant from RFC 3339 text or a date. Raises ValueError saying what was expected."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"not a time; expected {MOMENT}; fix: write e.g. 2026-11-01T00:00:00Z or 24h")


def moment_or_ago(text: str, now: Instant) -> Instant:
    """For the command line: a time, a date, or a duration before ``now``."""
    try:
        return now - duration(text)
    except ValueError:
        return moment(text)
