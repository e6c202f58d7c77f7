"""A list that goes by another stamp than its rows print: queued in one moment, printed with the dates at which each was sent.

Such a page says nothing of where to go on, because its dates are later than the cursor. Counts do: the page lists the newest
rows before its cursor, so a lower cursor before which the vendor counts fewer rows, but no more fewer than the page lists, jumps over
nothing. It is found by doubling and halving. Whether counts go by dates is shown by one before all messages, or by those around a
broadcast that rests. One moment that has more rows than a page is a crowd (see :mod:`.crowd`), and the walk goes on below it. Where
nothing is counted, or alike before every date, pages must do (see :mod:`.overlap`). A vendor that lists anything before all messages does not
honour the cursor. What a lagging count does not count yet is passed, and read by the sweeps after it, whose counts are newer.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import BadRow, Gap, Instant, Row
from ...times import format_rfc3339
from ..contract import Page, Request
from . import crowd, overlap, resting
from .asking import LIMIT_MAX, PATH, Walk, ask
from .overlap import DAWN, FIRST, NARROW


class Stride(Struct, frozen=True, tag_field="kind", tag="stride"):
    """A lower cursor is being looked for by counts; never kept."""

    walk: Walk
    """Its cursor is that of the page."""
    listed: tuple[str, ...]
    """The ids of the page, as they were listed."""
    above: int | None = None
    """What is counted before the cursor."""
    below: int = 0
    """What is counted before the nearest lower cursor that would jump over something."""
    step: Instant = 0
    """How far below the cursor is counted now."""
    passed: Instant = 0
    """The longest step over nothing."""
    beyond: Instant | None = None
    """The shortest step that would jump over something."""
    dated: bool = False
    """Counts were seen to go by dates."""
    end: int | None = None
    """What is counted before the end of a broadcast that rests, a step below the cursor: now it is counted before its beginning."""

    @property
    def room(self) -> Instant:
        """How much of the window is left below the cursor: never nothing."""
        return self.walk.bound - self.walk.since


def begin(walk: Walk, rows: list[Row | BadRow]) -> Page:
    """The page's dates say nothing of where to go on: count what is before its cursor, as it was asked, once that is seen to be honoured."""
    walk, listed = replace(walk, asked=True), tuple(row.id for row in rows if isinstance(row, Row))
    if walk.cursor is not None:
        walk = replace(walk, cursor=walk.cursor - walk.less, less=0)
    return Page(rows, go_on(walk, listed) if walk.honoured else overlap.before_all(walk, listed))


def go_on(walk: Walk, listed: tuple[str, ...]) -> Request:
    """The first count, or the first page where nothing is counted."""
    return overlap.begin(walk, listed) if walk.uncounted else _count(Stride(walk, listed), walk.bound)


def _count(at: Stride, before: Instant) -> Request:
    body = msgspec.json.encode({"created_at": format_rfc3339(before)})
    return Request("POST", f"{PATH}/count", body=body, continuation=at, resumable=False)


def uncounted(at: Stride) -> Page:
    """The provider will not count, or not by dates: on to pages."""
    return Page([], overlap.begin(at.walk, at.listed))


def counted(at: Stride, count: int) -> Page:
    """One more count; on to the next one, or to the page at a lower cursor. Raises CursorIgnored."""
    if at.above is None:
        return Page([], _first(replace(at, above=count, dated=at.walk.step > 0)))
    fewer = at.above - count
    if fewer < -len(at.listed):
        raise CursorIgnored("rows are newer than the cursor, and counts rise below it")
    if at.end is not None:
        return _round(at, at.end, count)
    if at.step and fewer <= len(at.listed) and (known := resting.ending(at.walk, at.walk.bound - at.step)) is not None:
        return Page([], _count(replace(at, end=count), known.edge))
    if at.step and not at.dated:
        return Page([], _before_all(at))
    if not at.step and fewer <= 0:
        return uncounted(at)
    at = replace(at, above=max(at.above, count), dated=True)  # more than before: some came meanwhile, fewer than the page lists
    if not at.step:
        return Page([], _next(at))
    if fewer > len(at.listed):
        return _narrowed(replace(at, beyond=at.step, below=count))
    if fewer <= 0 and at.step < at.room:
        return _narrowed(replace(at, passed=at.step))
    return Page([], _down(at, at.step, max(0, fewer)))


def _first(at: Stride) -> Request:
    """The first count below the cursor: at the end of a broadcast that rests, whose size shows whether counts go by dates, else before all messages."""
    if at.dated:
        return _next(at)
    known = resting.below(at.walk)
    if known is None:
        return _before_all(at)
    if known.end == at.walk.bound:
        return _count(replace(at, end=at.above), known.edge)
    return _count(replace(at, step=at.walk.bound - known.end), known.end)


def _before_all(at: Stride) -> Request:
    """The count that shows whether counts go by dates."""
    return _count(replace(at, step=0, end=None), DAWN)


def _round(at: Stride, end: int, beginning: int) -> Page:
    """On below a broadcast that rests, where as many rows are counted in its place as when it was walked; else into it."""
    assert at.above is not None, "the cursor is counted first"
    known = resting.ending(at.walk, at.walk.bound - at.step)
    if known is None or end - beginning != known.size:
        return Page([], _down(at, at.step, max(0, at.above - end)) if at.dated else _before_all(at))
    below = _down(at, at.walk.bound - known.edge, at.above - beginning)
    return Page([], below, gaps=() if known.whole else (crowd.place(known.edge, known.end),))


def _narrowed(at: Stride) -> Page:
    """The next count, unless one moment has more rows than the page."""
    if at.beyond is None or at.beyond - at.passed > NARROW:
        return Page([], _next(at))
    walk = replace(
        at.walk, edge=at.walk.bound - at.beyond, width=at.beyond - at.passed, limit=LIMIT_MAX, step=FIRST, above=at.listed[:1], fewer=1
    )
    assert at.above is not None, "the cursor is counted first"
    return crowd.between_counts(walk, (at.above, at.below))


def _next(at: Stride) -> Request:
    """The count at the next step; at the end or the beginning of a crowd that is known, where the step would pass it."""
    longer = min(at.room, max(2 * at.passed, at.walk.step or FIRST))
    step, furthest = (longer, longer) if at.beyond is None else ((at.passed + at.beyond) // 2, at.beyond - 1)
    known = [at.walk.bound - place for each in at.walk.learned.crowds for place in (each.edge, each.end)]
    step = min((place for place in known if at.passed < place <= furthest), default=step)
    return _count(replace(at, step=step), at.walk.bound - step)


def _down(at: Stride, step: Instant, fewer: int) -> Request:
    """The page at the lower cursor."""
    cursor, limit = at.walk.bound - step, at.walk.usual
    return ask(replace(at.walk, cursor=cursor, step=step, above=at.listed, fewer=fewer, moved=True, limit=limit, page=None, same=0, less=0))


def unproved(walk: Walk, rows: list[Row | BadRow]) -> tuple[Gap, ...]:
    """A possible gap where a page lacks more of the one above its stride than counts let expect, as where counts lag."""
    if not walk.above:
        return ()
    ids = {row.id for row in rows}
    lacking = sum(id_ not in ids for id_ in walk.above)
    return (crowd.place(walk.bound, walk.bound + walk.step),) if lacking > walk.fewer else ()
