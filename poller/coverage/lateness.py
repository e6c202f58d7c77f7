"""How late rows show themselves, and the overlap that follows: ``overlap: auto``.

Overlap is cost and latency, never safety: the deeper rungs find whatever the live one missed.
So it may be learned. A row's lateness is taken at its upper end (now minus creation); a row
that was on time counts as zero. Old figures fade with a half-life of a week, and one sweep
counts at most ten rows of about the same lateness (all that is later than the longest overlap
is one such group), so that an import of thousands of old rows says no more than ten.
"""

from __future__ import annotations

import math
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from ..model import DAY, HOUR, MINUTE, SECOND, Instant
from .ladder import SLACK

FIRST: Instant = 15 * SECOND
"""Upper end of the first bucket; each next one reaches sqrt(2) times further."""

BUCKETS = 18
"""The last one holds all that is later than the longest overlap."""

HALF_LIFE: Instant = 7 * DAY
PER_SWEEP_MAX = 10
START: Instant = 10 * MINUTE
"""The overlap until enough is known."""

ROWS_MIN, TIME_MIN = 200, DAY
QUANTILE, MARGIN = 0.99, 1.5
LONGEST: Instant = HOUR
QUOTA_SHARE = 0.25
"""What the live rung may take of the rate limit because of a learned overlap."""

CHANGE_MIN = 0.25


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
        """Rows counted, faded."""
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
    """What is known after one page; ``late`` counts rows by bucket, already bounded per sweep."""
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
    """Whether enough was seen to speak."""
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
