"""What the dates of one Heymarket page say: whether its window is behind, and where to go on.

No page documents an order that can be relied on, and a row may print another date than the one it is
listed by. Pure functions of a page's rows, newest first.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from ...model import MINUTE, SECOND, Instant, Row

MILLISECOND: Instant = SECOND // 1000
"""A millisecond in microseconds."""

LAST_ROWS = 3
"""Rows with one date, or at the end of a list, that are too few to say anything of its order."""

OLDER_ROWS = 30
"""Older rows at the end of a page in order that end a walk: as many as the vendor's own page holds."""

INVERSIONS_SHARE, SHUFFLED_SHARE = 0.1, 0.4
"""Inversions for each row of a page from which on its list counts as out of order, and as shuffled."""

JUMP = 4
"""A page jumps if its last rows lie this many times further back than as many rows before them would let expect."""


def over(good: list[Row], since: Instant) -> bool:
    """Whether the window is behind: a whole page is older, or the last rows of a long one that is in order."""
    last = good if unsorted(good) else good[-OLDER_ROWS:]
    return all(row.created < since for row in last)


def left(good: list[Row], span: Instant) -> float | None:
    """How many rows a ``span`` of the window holds if it is as dense as this page; None where that says nothing."""
    dates = [row.created for row in good]
    seen = max(dates) - min(dates)
    return len(good) * max(span, 0) / seen if seen >= SECOND else None


def following(rows: list[Row], unit: Instant, bound: Instant) -> Instant | None:
    """The next cursor; None where it would not be below the bound.

    The latest date among the last rows, so that old-dated ones at the end do not make it jump: a few rows of a page
    that is in order, half of one that is not or that jumps itself; of a page in no order at all, the oldest.
    """
    keeps: Iterable[int] = (LAST_ROWS,) if _crowded(rows, unit) else range(LAST_ROWS, 0, -1)
    if _shuffled(rows):
        rows = sorted(rows, key=lambda row: -row.created)
    elif not _steady(rows):
        keeps = (_half(rows),)
    return next((c for keep in keeps if (c := _cursor(rows, keep, unit)) < bound), None)


def _crowded(rows: list[Row], unit: Instant) -> bool:
    """Whether most rows of a page print one date: then one of another date at its end does not say that the crowd is over."""
    return len(rows) > LAST_ROWS and 2 * max(Counter([row.created // unit for row in rows]).values()) > len(rows)


def _cursor(rows: list[Row], keep: int, unit: Instant) -> Instant:
    """Just above the latest of the last rows."""
    return max(row.created for row in rows[-keep:]) // unit * unit + unit


def _half(rows: list[Row]) -> int:
    return max(LAST_ROWS, min(OLDER_ROWS, len(rows) // 2))


def _steady(rows: list[Row]) -> bool:
    """Whether a page is in order, and does not jump at its end further than its other rows let expect."""
    if _inversions(rows):
        return False
    half = _half(rows)
    if len(rows) < 2 * half:
        return True
    edge = max(row.created for row in rows[-half:])
    usual = (rows[0].created - edge) * half // (len(rows) - half)
    return edge - min(row.created for row in rows[-LAST_ROWS:]) <= JUMP * usual + MINUTE


def _inversions(rows: list[Row]) -> int:
    """How many rows are newer than the one before them, by more than what a cut-off date explains."""
    dates = [row.created for row in rows]
    if dates == sorted(dates, reverse=True):  # nearly every page is, and a list in order is sorted in one pass
        return 0
    return sum(later > earlier + SECOND for earlier, later in pairwise(dates))


def _shuffled(rows: list[Row]) -> bool:
    return len(rows) > LAST_ROWS and _inversions(rows) > SHUFFLED_SHARE * len(rows)


def newer(good: list[Row], bound: Instant, now: Instant | None) -> tuple[int, int]:
    """How many rows are newer than a cursor, and of how many: what is dated ahead of now says nothing of it."""
    present = [row.created for row in good if now is None or row.created <= now + MINUTE]
    return sum([created > bound for created in present]), len(present)


def unsorted(good: list[Row]) -> bool:
    """Whether a page is in no order that can be relied on."""
    return _inversions(good) > max(2, INVERSIONS_SHARE * len(good))


_FRACTION = re.compile(rb'"(?:date|created_at)"\s*:\s*"[^"]*?:\d\d(?:[.,](\d+))?(?:[Zz+-]|")')


def unit_of(rows: list[Row], unit: Instant = 1) -> Instant:
    """The coarsest precision that a row's date is printed with, at least ``unit``: digits that are not zero need no second look."""
    whole = [row for row in rows if not row.created % SECOND]
    if len(whole) < len(rows) and any(not row.created % MILLISECOND and row.created % SECOND for row in rows):
        unit = max(unit, MILLISECOND)
    return max(unit, *map(_printed_unit, whole)) if whole and unit < SECOND else unit


def _printed_unit(row: Row) -> Instant:
    """The precision of a date at a whole second: as many zeros as are printed."""
    found = _FRACTION.search(row.raw)
    digits = len(found[1] or b"") if found else 0
    return SECOND if digits == 0 else max(1, SECOND // 10 ** min(digits, 6))


def fingerprint(good: list[Row]) -> str:
    """Equal for the same set of rows in any order."""
    return hashlib.blake2b("\0".join(sorted([row.id for row in good])).encode(), digest_size=8).hexdigest()
