"""How late rows show themselves, and the overlap that follows: ``overlap: auto``. Pure.

The overlap costs requests and saves minutes. It is no safety setting, because the deeper rungs find whatever the live rung
missed; so it may be learned.

The lateness of a row is the time from its creation to when it was first listed; a row that was on time counts as zero.
Rows are counted in buckets of lateness. Counts fade with a half-life of a week, and one sweep counts at most ten rows of
one bucket, so that an import of thousands of old rows says no more than ten late ones.
"""

from __future__ import annotations

import math
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from ..model import DAY, HOUR, MINUTE, SECOND, Instant
from .ladder import SLACK

FIRST: Instant = 15 * SECOND
"""The upper end of the first bucket. Each next bucket ends sqrt(2) times later."""

BUCKETS = 18
"""The number of buckets. The last one holds every row that is later than the longest overlap."""

HALF_LIFE: Instant = 7 * DAY
"""The time after which a row counts half: a week has every hour and weekday in it."""

PER_SWEEP_MAX = 10
"""Rows of one bucket that one sweep counts at most."""

START: Instant = 10 * MINUTE
"""The overlap until enough is known."""

ROWS_MIN = 200
"""Rows that must be counted before the overlap is learned from them."""

TIME_MIN: Instant = DAY
"""How long rows must be counted before the overlap is learned from them."""

QUANTILE = 0.99
"""The part of the rows that the overlap should cover, 0 to 1."""

MARGIN = 1.5
"""The overlap over the lateness at the quantile: more than the error of a bucket, 1.42."""

LONGEST: Instant = HOUR
"""The longest overlap that is learned; what is later is left to the deeper rungs."""

QUOTA_SHARE = 0.25
"""The part of the rate limit that the live rung may take because of a learned overlap, 0 to 1."""

CHANGE_MIN = 0.25
"""The smallest change of the overlap that is made, as a part of it: less is noise."""


class Lateness(Struct, frozen=True, array_like=True):
    """What one account has shown so far, and the overlap that is in force. Kept in the state topic."""

    since: Instant
    touched: Instant
    overlap: Instant = START
    lowered: Instant = 0
    """When the overlap was last made shorter."""
    on_time: float = 0.0
    late: tuple[float, ...] = (0.0,) * BUCKETS

    @property
    def rows(self) -> float:
        """How many rows are counted, with old ones faded."""
        return self.on_time + sum(self.late)


def bucket(lateness: Instant) -> int:
    """The bucket of a lateness in microseconds."""
    if lateness <= FIRST:
        return 0
    return min(BUCKETS - 1, math.ceil(2 * math.log2(lateness / FIRST)))


def reach(number: int) -> Instant:
    """The upper end of a bucket."""
    return round(FIRST * 2 ** (number / 2))


def observe(known: Lateness, *, now: Instant, on_time: int, late: Counter[int]) -> Lateness:
    """The counts after one page. ``late`` has its late rows by bucket, at most :data:`PER_SWEEP_MAX` of a bucket and sweep."""
    fade = 0.5 ** (max(0, now - known.touched) / HALF_LIFE)
    counts = tuple(count * fade + late.get(number, 0) for number, count in enumerate(known.late))
    return replace(known, touched=max(now, known.touched), on_time=known.on_time * fade + on_time, late=counts)


def quantile(known: Lateness) -> Instant:
    """The lateness that 99 % of the rows do not exceed, 0 = on time; rows are taken to lie evenly within their bucket.

    It is wrong by less than a bucket, a factor of 1.42, which the margin covers; and a few rows more or less move it little.
    """
    left = (1 - QUANTILE) * known.rows
    for number in range(BUCKETS - 1, -1, -1):
        if known.late[number] > left:
            low = reach(number - 1) if number else 0
            return reach(number) - round((reach(number) - low) * left / known.late[number])
        left -= known.late[number]
    return 0


def learned(known: Lateness, *, now: Instant) -> bool:
    """Whether enough rows were counted, for long enough, to learn from."""
    return known.rows >= ROWS_MIN and now - known.since >= TIME_MIN


def choose(known: Lateness, *, now: Instant, interval: Instant, live_share: float) -> Lateness:
    """The overlap from now on: up at once, down once a day, and only for a change of more than a quarter.

    ``live_share`` is the part of the rate limit that the live rung takes with today's overlap.
    """
    if not learned(known, now=now):
        return known
    affordable = LONGEST if live_share <= 0 else min(LONGEST, round(known.overlap * QUOTA_SHARE / live_share))
    least = max(4 * interval, 2 * SLACK)
    wanted = max(least, min(round(MARGIN * quantile(known)), affordable))
    if abs(wanted - known.overlap) <= CHANGE_MIN * known.overlap:
        return known
    if wanted > known.overlap:
        return replace(known, overlap=wanted)
    return known if now - known.lowered < DAY else replace(known, overlap=wanted, lowered=now)


def reason(known: Lateness, *, now: Instant) -> str:
    """Why the overlap is what it is, for people."""
    if not learned(known, now=now):
        hours = max(0, now - known.since) / HOUR
        return f"learning: {known.rows:.0f} of {ROWS_MIN} rows, {hours:.0f} of {TIME_MIN // HOUR} hours"
    return f"learned: {QUANTILE:.0%} of {known.rows:.0f} rows were at most {quantile(known) / SECOND:.0f} s late"
