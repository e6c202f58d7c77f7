"""As :mod:`.stride`, where the vendor does not count: pages that share rows prove that nothing was jumped over.

A page lists the newest rows before its cursor. So of two pages that share a row the lower one begins within the upper one, and nothing
lies between them. A lower cursor is looked for, by doubling and halving, whose page lacks the first rows of the page above and shares
others with it. Where there is none, one moment has more rows than a page: the page is asked for longer, and where that does not help the
walk goes on below it, with a possible gap. A vendor that lists the same rows before a date that is before every message does not honour
the cursor.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import SECOND, BadRow, Instant, Row
from ..contract import Page, Request
from .asking import LIMIT_MAX, Walk, ask
from .crowd import place

FIRST: Instant = 16 * SECOND
"""How far below the cursor the first lower one is tried: about as long as a broadcast of some hundred messages is under way."""

NARROW: Instant = SECOND
"""A crowd's place is not looked for more narrowly: dates are documented to the second."""

DAWN: Instant = SECOND
"""A date before every message: who lists or counts the same before it as before today does not go by dates."""


class Overlap(Struct, frozen=True, tag_field="kind", tag="overlap"):
    """A lower cursor is being looked for by pages; never kept."""

    walk: Walk
    """Its cursor is that of the page above."""
    listed: tuple[str, ...]
    """The ids of the page above, as they were listed."""
    asked: Literal["before all", "longer", "lower"] = "lower"
    """What this page is: before every message, the page above once more, or one at a lower cursor."""
    step: Instant = 0
    """How far below the cursor this page is asked for."""
    passed: Instant = 0
    """The longest step over nothing."""
    beyond: Instant | None = None
    """The shortest step to a page that shares nothing."""


def before_all(walk: Walk, listed: tuple[str, ...]) -> Request:
    """The page's dates say nothing of where to go on: ask whether the cursor is honoured at all."""
    return _page(Overlap(replace(walk, honoured=True), listed, "before all"), DAWN)


def begin(walk: Walk, listed: tuple[str, ...]) -> Request:
    """Nothing is counted: the page at the first step."""
    return _next(Overlap(replace(walk, uncounted=True), listed))


def read(at: Overlap, rows: list[Row | BadRow]) -> Page | Walk | Overlap:
    """One more page; what to ask next, or the walk that this is the next page of; itself where the cursor is honoured.

    Raises CursorIgnored where a message is listed before a date that is before every message.
    """
    ids = {row.id for row in rows}
    shared = not ids.isdisjoint(at.listed)
    if at.asked == "longer":
        return _longer(at, rows)
    if at.asked == "before all":
        if shared or any(isinstance(row, Row) and row.created > DAWN for row in rows):
            raise CursorIgnored("rows are newer than the cursor, and come before any date")
        return at
    if not shared:
        return _narrowed(replace(at, beyond=at.step), rows)
    if at.listed[0] in ids and at.step < at.walk.bound - at.walk.since:
        return _narrowed(replace(at, passed=at.step), rows)
    return _lower(at.walk, at.step)


def _narrowed(at: Overlap, rows: list[Row | BadRow]) -> Page:
    """The page at the next step, unless one moment has more rows than a page."""
    if at.beyond is None or at.beyond - at.passed > NARROW:
        return Page(rows, _next(at))
    return Page(rows, _page(replace(at, asked="longer", walk=replace(at.walk, limit=LIMIT_MAX)), at.walk.bound))


def _longer(at: Overlap, rows: list[Row | BadRow]) -> Page:
    """The page above, as long as may be; where it is no longer than it was, on below the moment that has more rows."""
    listed = tuple(row.id for row in rows if isinstance(row, Row))
    if len(listed) > len(at.listed):
        return Page(rows, _next(replace(at, listed=listed, passed=0, beyond=None)))
    assert at.beyond is not None, "it is asked for between two steps"
    gap = place(at.walk.bound - at.beyond, at.walk.bound - at.passed)
    return Page(rows, ask(_lower(at.walk, at.beyond)), gaps=(gap,))


def _next(at: Overlap) -> Request:
    """The page at the next step."""
    longer = min(at.walk.bound - at.walk.since, max(2 * at.passed, at.walk.step or FIRST))
    step = longer if at.beyond is None else (at.passed + at.beyond) // 2
    return _page(replace(at, asked="lower", step=step), at.walk.bound - step)


def _page(at: Overlap, before: Instant) -> Request:
    return replace(ask(replace(at.walk, cursor=before, less=0)), continuation=at, resumable=False)


def _lower(walk: Walk, step: Instant) -> Walk:
    """The walk at a lower cursor."""
    return replace(walk, cursor=walk.bound - step, step=step, moved=True, limit=walk.usual, page=None, same=0, less=0)
