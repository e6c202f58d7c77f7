"""Counts against lists: whether Heymarket lists all that it counts.

The ruler is the server's own: the messages between two bounds are those listed from the upper one
and not from the lower one, and as many as the difference of the two counts. Both go through the
same filter, so it does not matter whether that is exclusive, to which precision, or on which of a
message's dates. Counts are asked before and after a walk and must agree, else the look is void.

What was walked once is watched by two counts alone: where their difference grows, blocks are
halved by more counts and the block that grew is walked again; so a row that turns up late, below
the reach of the quick rungs, is found within minutes, and the audit costs little.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...model import HOUR, MINUTE, Instant, Row
from ...times import format_rfc3339
from ..contract import Page, Request, Response, View, Window
from ..kit import suspects as looks
from ..kit.answers import accept
from ..kit.rows import count_of
from . import crowd, page_order, walk
from .asking import PATH, Learned, Walk

BLOCK: Instant = HOUR
TRIES_MAX = 5
IDS_MAX = 100_000
LOWER_PAGES_MAX = 20
NEVER: Instant = 1 << 62

QUIET: Instant = HOUR
"""A stream on which nothing changed for so long is quiet."""

QUIET_MINUTES = 8
"""The counts around what was walked are asked for in each minute; of a quiet stream in one of so many."""

REASON = "counted_not_listed"


class Block(NamedTuple):
    """A range that was walked, and how many messages it counted."""

    since: Instant
    until: Instant
    counted: int

    @property
    def span(self) -> looks.Span:
        """Its bounds."""
        return self.since, self.until


class Counted(looks.Memory, frozen=True):
    """What was walked and counted; kept in state."""

    blocks: tuple[Block, ...] = ()
    """What is watched by counts, from old to new, without a hole."""
    agreed: int = 0
    """How often a count agreed with a list that was not empty."""
    tries: int = 0
    """How often the counts of a look did not stand still."""
    waiting: tuple[looks.Span, ...] = ()
    """Blocks that disagreed before any count had agreed."""
    off: bool = False
    """Counts mean something else here."""


class Compared(Struct, frozen=True):
    """A range whose rows are counted, listed, and counted again; in memory only."""

    memory: Counted
    now: Instant
    span: looks.Span
    counts: tuple[int, ...] = ()
    """Before the range's end and before its beginning, as far as they are asked for."""
    before: tuple[int, ...] = ()
    """Those that were asked for before the walks."""
    upper: dict[str, Instant] = {}
    """What the walk from the range's end lists: ids and dates."""
    lower: dict[str, Instant] | None = None
    """What the walk from its beginning lists; None = that walk has not begun."""
    pages: int = 0
    """Pages of the walk in hand."""
    at: Any = None
    """Where the walk in hand is; None = counts are asked for."""


class Watched(Struct, frozen=True):
    """The counts around all that was walked, and within it where they changed; in memory only."""

    memory: Counted
    bounds: tuple[Instant, ...]
    """Before which is to be counted."""
    counts: tuple[int, ...] = ()
    parts: tuple[tuple[int, int, int, int], ...] = ()
    """Parts that changed: the first block, the one behind the last, and the counts before each; none = not halved yet."""


Reader = Callable[[Request, Response], Page]
"""The provider's own reading of a walk's page: of all its rows, because all of them are counted."""


def begin(view: View) -> Request | None:
    """A look that is due, else the next block that is old enough, else the counts around all that was walked."""
    start, edge = looks.above(max(view.floor, view.now - view.depth)), looks.below(view.now - looks.CLOSED)
    memory = looks.kept(view.remembered or Counted(), start)
    memory = replace(
        memory,
        blocks=tuple(block for block in memory.blocks if block.since >= start),
        waiting=tuple(span for span in memory.waiting if span[0] >= start),
    )
    if memory.off or start >= edge:
        return None
    span, memory = looks.due(memory, view.now)
    upto = max(start, memory.blocks[-1].until if memory.blocks else start)
    if span is None and upto + BLOCK <= edge:
        span = (upto, upto + BLOCK)
    if span is not None:
        return _count(Compared(memory, view.now, span))
    if not memory.blocks or (view.quiet > QUIET and view.now // MINUTE % QUIET_MINUTES):
        return None
    return _count(Watched(memory, (memory.blocks[-1].until, memory.blocks[0].since)))


def _count(at: Compared | Watched) -> Request:
    """The next count that is wanted."""
    bounds = at.bounds if isinstance(at, Watched) else (at.span[1], at.span[0])
    body = msgspec.json.encode({"created_at": format_rfc3339(bounds[len(at.counts)])})
    return Request("POST", f"{PATH}/count", body=body, continuation=at)


def read(reader: Reader, request: Request, response: Response) -> Page:
    """One answer of the recount."""
    at: Compared | Watched = request.continuation
    if isinstance(at, Compared) and at.at is not None:
        return _walked(reader, at, request, response)
    at = replace(at, counts=(*at.counts, count_of(accept(response))))
    if isinstance(at, Watched):
        return _watched(at) if len(at.counts) == len(at.bounds) else Page([], _count(at))
    if len(at.counts) < 2:
        return Page([], _count(at))
    return _verdict(at) if at.before else Page([], _walk(replace(at, before=at.counts, counts=()), at.span))


def _walk(at: Compared, span: looks.Span) -> Request:
    """The first page of a walk over a span, from its upper end."""
    first = walk.begin(Window(span[0], span[1], at.now), Learned())
    return replace(first, continuation=replace(at, at=first.continuation, pages=0))


def _walked(reader: Reader, at: Compared, request: Request, response: Response) -> Page:
    """One page of a walk, read as always; ids and dates of what it lists are kept."""
    page = reader(replace(request, continuation=at.at), response)
    seen = {looks.id_of(row): row.created if isinstance(row, Row) else NEVER for row in crowd.of_walk(at.at, page.rows)}
    seen = dict(itertools.islice({**seen, **(at.upper if at.lower is None else at.lower)}.items(), IDS_MAX))
    at = replace(at, upper=seen) if at.lower is None else replace(at, lower=seen)
    at = replace(at, pages=at.pages + isinstance(at.at, Walk))
    if page.next is not None and not _found(at):
        following = replace(page.next, continuation=replace(at, at=page.next.continuation))
    elif at.lower is None:
        following = _walk(replace(at, lower={}), (min([at.span[0], *at.upper.values()]), at.span[0]))
    else:
        following = _count(replace(at, at=None))
    return Page(page.rows, following, gaps=page.gaps)


def _found(at: Compared) -> bool:
    """Whether the walk from the lower bound has listed all that the other one listed below it, or went far for rows that it never lists."""
    if at.lower is None:
        return False
    under = {id_ for id_, date in at.upper.items() if date < at.span[0]}
    return under <= at.lower.keys() or at.pages >= LOWER_PAGES_MAX


def _verdict(at: Compared) -> Page:
    """What was listed against what was counted, where the counts stood still."""
    memory, span = at.memory, at.span
    counted, listed = at.counts[0] - at.counts[1], _between(at.upper, at.lower or {}, span[0])
    wrong = counted > listed
    if at.before != at.counts and memory.tries < TRIES_MAX:
        return Page([], learned=replace(memory, tries=memory.tries + 1, todo=(*memory.todo, span)))
    agreed = memory.agreed + (not wrong and listed > 0)
    memory = replace(memory, blocks=_blocked(memory.blocks, span, counted), tries=0, agreed=agreed)
    if wrong and not agreed:
        return _incomparable(memory, span)
    if agreed:
        memory = replace(memory, todo=(*memory.todo, *memory.waiting), waiting=())
    memory, gaps, said = looks.looked(memory, span, at.now, wrong=wrong, reason=REASON)
    return Page([], learned=memory, gaps=gaps, proved=() if wrong else (span,), oddities=said)


def _incomparable(memory: Counted, span: looks.Span) -> Page:
    """No count agreed with a list yet: a block waits until one did; where several blocks do, counts mean something else."""
    waiting = (*(each for each in memory.waiting if each != span), span)
    off = len(waiting) >= TRIES_MAX
    return Page([], learned=replace(memory, waiting=waiting, suspects={}, off=off), oddities=("counts_not_comparable",) * off)


def _between(upper: dict[str, Instant], lower: dict[str, Instant], bound: Instant) -> int:
    """How many were listed from the upper bound and not from the lower one.

    An older row is below the bound too where a group with its date is: of one longer than a page, each walk may list others.
    """
    dates = {date for date, rows in Counter(lower.values()).items() if rows > page_order.LAST_ROWS}
    return sum(id_ not in lower and not (date < bound and date in dates) for id_, date in upper.items())


def _blocked(blocks: tuple[Block, ...], span: looks.Span, counted: int) -> tuple[Block, ...]:
    """The blocks with one that was counted: a new one at the end, or one that was walked again."""
    known = tuple(Block(*span, counted) if block.span == span else block for block in blocks)
    return (*known, Block(*span, counted)) if not known or span[0] == known[-1].until else known


def _watched(at: Watched) -> Page:
    """Halve what changed until single blocks are left: one that grew is walked, one that shrank is only noted.

    Each half to its end before the other, so that what was found is remembered whenever a run is cut off.
    """
    memory, blocks = at.memory, list(at.memory.blocks)
    if not at.parts:
        parts = [(0, len(blocks), at.counts[1], at.counts[0])]
    else:
        low, high, below, above = at.parts[0]
        middle = (low + high) // 2
        parts = [(low, middle, below, at.counts[0]), (middle, high, at.counts[0], above), *at.parts[1:]]
    todo, left = list(memory.todo), list[tuple[int, int, int, int]]()
    for low, high, below, above in parts:
        if above - below == sum(block.counted for block in blocks[low:high]):
            continue
        if high - low > 1:
            left.append((low, high, below, above))
        elif above - below > blocks[low].counted:
            todo.append(blocks[low].span)
        else:
            blocks[low] = blocks[low]._replace(counted=above - below)
    memory = replace(memory, blocks=tuple(blocks), todo=tuple(todo))
    if not left:
        return Page([], learned=memory)
    low, high = left[0][:2]
    return Page([], _count(Watched(memory, (blocks[(low + high) // 2].since,), parts=tuple(left))), learned=memory)
