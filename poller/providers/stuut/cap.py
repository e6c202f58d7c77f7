"""When a list that is read whole is silently capped: what one poll remembers for the next, and what two lists tell. Pure."""

from __future__ import annotations

from msgspec import Struct

from ...model import BadRow, Gap, Instant, Row

ROUND = frozenset({50, 100, 200, 250, 500, 1000})
"""Lengths that vendors choose for a cap."""

Rows = list[Row | BadRow]


class LastList(Struct, frozen=True, omit_defaults=True):
    """What tells a capped list from a whole one at the next poll: both of its ends, its length, and whether it moved."""

    first: str | None = None
    """Id of the oldest message; None = the list was empty."""
    last: str = ""
    """Id of the newest message."""
    oldest: Instant = 0
    newest: Instant = 0
    rows: int = 0
    moved: int = 0
    """How often the list moved at this length."""
    said: bool = False
    """It is taken to be capped, and that was said."""


def remembered(known: LastList, rows: Rows, *, said: bool) -> LastList:
    """What to remember of a list. Not sorted, only its ends are looked for: sorting a list of 100,000 would let nothing else run."""
    good = {(row.created, row.id) for row in rows if isinstance(row, Row)}
    if not good:
        return LastList(said=said)
    moved = known.moved + 1 if _moved(known, rows) else known.moved if _still(known, rows) else 0
    (oldest, first), (newest, last) = min(good), max(good)
    return LastList(first, last, oldest, newest, len(good), moved, said)


def fewer(known: LastList, rows: Rows) -> bool:
    """Whether fewer messages are listed of the time that the last poll reached: some vanished, for a while or for good.

    A list that is taken to be capped loses its oldest by nature.
    """
    if known.first is None or known.said or _moved(known, rows):
        return False
    return len({row.id for row in rows if isinstance(row, BadRow) or row.created <= known.newest}) < known.rows


def capped(known: LastList, rows: Rows) -> tuple[Gap, ...]:
    """A list that moves at one length looks like a cap: at a round length at once, at another when it moves again; said once.

    While the newest of the last list is listed, nothing was skipped between the two; else what lay between was never seen.
    """
    good = [row for row in rows if isinstance(row, Row)]
    if not _moved(known, rows) or (len(good) not in ROUND and not known.moved):
        return ()
    if known.said and known.last in {row.id for row in good}:
        return ()
    return (Gap("list_may_be_capped", known.oldest if known.said else 0, min(row.created for row in good)),)


def _still(known: LastList, rows: Rows) -> bool:
    """Whether a list that has moved is as it was at the last poll, as far as its ends tell."""
    now = {row.id for row in rows if isinstance(row, Row)}
    return known.rows == len(now) and known.first in now and known.last in now


def _moved(known: LastList, rows: Rows) -> bool:
    """Whether the oldest vanished while a newer one appeared, and the length of the list stayed."""
    good = [row for row in rows if isinstance(row, Row)]
    newest = max(((row.created, row.id) for row in good), default=(0, ""))[1]
    same = len(good) in ROUND or (len(good) == known.rows and known.first is not None)
    return same and known.first is not None and known.first not in {row.id for row in good} and newest != known.last
