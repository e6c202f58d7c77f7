"""Times as vendors print them: RFC 3339, epochs, RFC 2822. None where there is none; a zero date is none."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from ... import times
from ...model import DAY, SECOND, Instant
from ...times import Time

ZERO: Instant = DAY
"""What lies before this is a zero date: year 1 (Go, .NET), 1899 (COM), epoch 0, printed in any zone. No SMS is that old."""


def rfc3339(value: object) -> Time | None:
    """As :func:`poller.times.parse_rfc3339`."""
    return _dated(times.parse_rfc3339(value))


def epoch(value: object) -> Time | None:
    """As :func:`poller.times.epoch`: seconds or milliseconds, as a number or as text."""
    return _dated(times.epoch(value))


def rfc2822(value: object) -> Time | None:
    """``Thu, 30 Jul 2015 20:12:31 +0000`` (RFC 2822 section 3.3, and its obsolete zones); no zone, or ``-0000``, means UTC."""
    return _dated(times.parse_rfc2822(value))


def latest(*texts: str | None) -> Instant | None:
    """The latest of a message's times, as they are published; None where it has none."""
    return max((at for at in map(times.instant, texts) if at is not None), default=None)


def as_rfc2822(instant: Instant) -> str:
    """An instant in whole seconds, for a query."""
    return format_datetime(datetime.fromtimestamp(instant // SECOND, UTC))


def _dated(time: Time | None) -> Time | None:
    return time if time is not None and time.instant >= ZERO else None
