"""A past range of a stream, beside live polling: what it may publish, and what it knows to be published.

Above the floor every id is in state, so nothing is published twice. Below it ids are forgotten,
so ranges are remembered instead: ``[start, floor)`` was published by live polling, and a range
that a backfill has read to its end joins the cursor's list in the transaction that ends it. A
message of several dates is admitted where one of them may be what the provider filters by.
Pure.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ..model import SECOND, Instant
from .cursor import Backfill, Cursor, Range, Sweep

QUOTA_SHARE = 0.2
"""The part of an account's rate limit that its backfills may take together, 0 to 1."""


class BackfillRequest(Struct, frozen=True):
    """A request for a backfill, as it is written to the stream's shard of the state topic."""

    id: str
    since: Instant
    until: Instant


def begin(cursor: Cursor, asked: BackfillRequest) -> Cursor:
    """The cursor with the backfill to be done; the same cursor while another one runs, or when this one is known."""
    held = cursor.backfill
    if held is not None and (held.id == asked.id or not held.done):
        return cursor
    begun = Backfill(asked.id, asked.since // SECOND * SECOND, -(-asked.until // SECOND) * SECOND)  # no provider filters more finely
    return replace(cursor, backfill=replace(begun, done=not parts(cursor, begun)))


def running(cursor: Cursor | None) -> Backfill | None:
    """The backfill that is not done."""
    held = cursor.backfill if cursor is not None else None
    return held if held is not None and not held.done else None


def missing(cursor: Cursor, since: Instant, until: Instant) -> tuple[Range, ...]:
    """The parts of ``[since, until)`` below the floor that were never published completely."""
    left: list[Range] = [(since, min(until, cursor.floor))]
    for low, high in ((cursor.start, cursor.floor), *cursor.complete):
        left = [part for a, b in left for part in ((a, min(b, low)), (max(a, high), b)) if part[0] < part[1]]
    return tuple(part for part in left if part[0] < part[1])


def parts(cursor: Cursor, held: Backfill) -> tuple[Range, ...]:
    """What is left to read, the newest part last: what was never published completely, and what lies above the floor.

    Each part is read by itself: a provider that filters by another date than ours lists a message in one part only.
    """
    left = held.until if held.left is None else held.left
    above = max(held.since, cursor.floor)
    return (*missing(cursor, held.since, left), *(((above, left),) if above < left else ()))


def admitted(cursor: Cursor, sweep: Sweep) -> tuple[Range, ...]:
    """What a backfill's sweep may publish below the floor."""
    assert sweep.until is not None, "a backfill has an end"
    return missing(cursor, sweep.since, sweep.until)


def page(cursor: Cursor, after: Sweep, *, ended: bool, rows: int, events: int) -> Cursor:
    """The cursor once a page of the backfill is durable."""
    held = cursor.backfill
    assert held is not None, "a page of a backfill has its backfill"
    held = replace(held, sweep=after, pages=held.pages + 1, rows=held.rows + rows, events=held.events + events)
    if ended:
        cursor = replace(cursor, complete=merged((*cursor.complete, *admitted(cursor, after))))
        held = replace(held, sweep=None, left=after.since)
        held = replace(held, done=not parts(cursor, held))
    return replace(cursor, backfill=held)


def merged(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The same instants in as few ranges as possible, in order."""
    found: list[Range] = []
    for low, high in sorted(each for each in ranges if each[0] < each[1]):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return tuple(found)
