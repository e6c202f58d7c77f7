"""The recount of a Heymarket team: whether the vendor lists every message that it counts. A side query.

The vendor counts the messages before a date, so the difference of two counts says how many messages lie between two
dates. As many must be listed: those that a walk from the upper date lists and a walk from the lower date does not. Counts
and walks use the same filter of the vendor, so it does not matter whether that filter is exclusive, how exact it is, or
which of a message's dates it takes. The counts are asked for before and after the walks and must agree; else messages
came in between, and the comparison is repeated later.

Walking costs much and counting little. So each hour (a block) is walked once (:class:`Compared`), and from then on only
counted (:class:`Watched`): two counts, around all blocks, say each minute whether any block has grown. If one has, further
counts halve the blocks until it is found, and it is walked again. So a row that turns up late, at an age that the ladder
reads seldom, is found within minutes.
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
from ..kit import suspects
from ..kit.answers import accept
from ..kit.rows import count_of
from . import crowd, page_order, walk
from .asking import PATH, Learned, Walk

BLOCK: Instant = HOUR
"""How much is walked at a time: a few pages of a busy team."""

TRIES_MAX = 5
"""Comparisons of one block whose counts may change meanwhile; after them the last counts are taken. Also how many blocks must
disagree, while no count has ever agreed with a list, before counts are taken to mean something else."""

IDS_MAX = 100_000
"""Ids of one walk that are remembered."""

LOWER_PAGES_MAX = 20
"""Pages after which the walk from the lower date is given up: it looks for rows that it never lists."""

NEVER: Instant = 1 << 62
"""Stands for the date of a row that cannot be read: later than any."""

QUIET: Instant = HOUR
"""A stream is quiet when its last change is longer ago than this."""

QUIET_MINUTES = 8
"""Of a quiet stream the blocks are counted once in this many minutes; of any other once in each minute."""

REASON = "counted_not_listed"
"""The reason of the possible gaps that a recount finds."""


class Block(NamedTuple):
    """A range that was walked, and how many messages the vendor counts in it. Stored by position."""

    since: Instant
    until: Instant
    counted: int

    @property
    def span(self) -> suspects.Span:
        """Its bounds."""
        return self.since, self.until


class Counted(suspects.Memory, frozen=True):
    """What a recount remembers for the next one. Field names are stored names and never change."""

    blocks: tuple[Block, ...] = ()
    """The ranges that are watched by counts, from old to new; each begins where the one before it ends."""
    agreed: int = 0
    """How many comparisons have agreed whose list was not empty. 0 = it is not known yet that counts can be compared with lists."""
    tries: int = 0
    """How many comparisons in a row were void, because the counts changed while they were made."""
    waiting: tuple[suspects.Span, ...] = ()
    """Blocks that disagreed before any comparison agreed. They are walked again once one does."""
    off: bool = False
    """True: counts cannot be compared with lists at this vendor's account, and the recount rests."""


class Compared(Struct, frozen=True):
    """A comparison under way: a range is counted, walked twice, and counted again. In memory only."""

    memory: Counted
    now: Instant
    span: suspects.Span
    counts: tuple[int, ...] = ()
    """The counts before the range's end and before its beginning, as far as they were answered."""
    before: tuple[int, ...] = ()
    """The two counts that were made before the walks; empty until then."""
    upper: dict[str, Instant] = {}
    """What the walk from the range's end has listed: dates by id."""
    lower: dict[str, Instant] | None = None
    """What the walk from the range's beginning has listed; None = that walk has not begun."""
    pages: int = 0
    """How many pages of the walk in hand were read."""
    at: Any = None
    """The continuation of the walk in hand; None = counts are asked for."""


class Part(NamedTuple):
    """Neighbouring blocks ``[low, high)``, by index, and the counts before the first of them and behind the last."""

    low: int
    high: int
    below: int
    above: int

    @property
    def counted(self) -> int:
        """How many messages are counted in it now."""
        return self.above - self.below


class Watched(Struct, frozen=True):
    """A search under way for blocks whose count has changed, by halving. In memory only."""

    memory: Counted
    bounds: tuple[Instant, ...]
    """The dates before which messages are to be counted."""
    counts: tuple[int, ...] = ()
    """The counts before them, as far as they were answered."""
    parts: tuple[Part, ...] = ()
    """Parts whose count has changed, the one that is halved now first; empty = only the outer bounds are counted so far."""


Reader = Callable[[Request, Response], Page]
"""How the provider reads a page of a walk. It must leave out no row, because all rows are counted."""


def begin(view: View) -> Request | None:
    """The first request of a run: compare a range that is due, else walk the next block that is old enough, else count around all blocks.

    None = there is nothing to ask now.
    """
    start, edge = suspects.above(max(view.floor, view.now - view.depth)), suspects.below(view.now - suspects.CLOSED)
    memory = suspects.forget_before(view.remembered or Counted(), start)
    memory = replace(
        memory,
        blocks=tuple(block for block in memory.blocks if block.since >= start),
        waiting=tuple(span for span in memory.waiting if span[0] >= start),
    )
    if memory.off or start >= edge:
        return None
    span, memory = suspects.next_look(memory, view.now)
    upto = max(start, memory.blocks[-1].until if memory.blocks else start)
    if span is None and upto + BLOCK <= edge:
        span = (upto, upto + BLOCK)
    if span is not None:
        return _count(Compared(memory, view.now, span))
    if not memory.blocks or (view.quiet > QUIET and view.now // MINUTE % QUIET_MINUTES):
        return None
    return _count(Watched(memory, (memory.blocks[-1].until, memory.blocks[0].since)))


def _count(at: Compared | Watched) -> Request:
    """The request for the next count."""
    bounds = at.bounds if isinstance(at, Watched) else (at.span[1], at.span[0])
    body = msgspec.json.encode({"created_at": format_rfc3339(bounds[len(at.counts)])})
    return Request("POST", f"{PATH}/count", body=body, continuation=at)


def read(reader: Reader, request: Request, response: Response) -> Page:
    """Read one answer of a run: a page of a walk, or a count."""
    at: Compared | Watched = request.continuation
    if isinstance(at, Compared) and at.at is not None:
        return _walked(reader, at, request, response)
    at = replace(at, counts=(*at.counts, count_of(accept(response))))
    if isinstance(at, Watched):
        return _watched(at) if len(at.counts) == len(at.bounds) else Page([], _count(at))
    if len(at.counts) < 2:
        return Page([], _count(at))
    return _verdict(at) if at.before else Page([], _walk(replace(at, before=at.counts, counts=()), at.span))


def _walk(at: Compared, span: suspects.Span) -> Request:
    """The request for the first page of a walk over a range, from its upper end down."""
    first = walk.begin(Window(span[0], span[1], at.now), Learned())
    return replace(first, continuation=replace(at, at=first.continuation, pages=0))


def _walked(reader: Reader, at: Compared, request: Request, response: Response) -> Page:
    """A page of a walk is read as in any sweep, and the ids and dates of its rows are kept."""
    page = reader(replace(request, continuation=at.at), response)
    seen = {suspects.id_of(row): row.created if isinstance(row, Row) else NEVER for row in crowd.of_walk(at.at, page.rows)}
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
    """Whether the walk from the lower date may end.

    It has listed every row below that date which the other walk has listed; or it went far for rows that it never lists.
    """
    if at.lower is None:
        return False
    under = {id_ for id_, date in at.upper.items() if date < at.span[0]}
    return under <= at.lower.keys() or at.pages >= LOWER_PAGES_MAX


def _verdict(at: Compared) -> Page:
    """The end of a comparison: what was counted against what was listed. Void where the counts changed meanwhile."""
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
    memory, gaps, said = suspects.after_look(memory, span, at.now, wrong=wrong, reason=REASON)
    return Page([], learned=memory, gaps=gaps, proved=() if wrong else (span,), oddities=said)


def _incomparable(memory: Counted, span: suspects.Span) -> Page:
    """A block that disagrees while no comparison has agreed yet is put aside. Where many are, counts mean something else here."""
    waiting = (*(each for each in memory.waiting if each != span), span)
    off = len(waiting) >= TRIES_MAX
    return Page([], learned=replace(memory, waiting=waiting, suspects={}, off=off), oddities=("counts_not_comparable",) if off else ())


def _between(upper: dict[str, Instant], lower: dict[str, Instant], bound: Instant) -> int:
    """How many messages the walk from the upper date lists and the walk from the lower date does not.

    Of more rows with one date than a page holds, each walk may list others. So a row of such a date below the bound does not
    count, although the lower walk does not list this very row. One that prints another date than the one that it is listed by is
    counted, and may hide that another one is missing: a stated limit.
    """
    dates = {date for date, rows in Counter(lower.values()).items() if rows > page_order.LAST_ROWS}
    return sum(id_ not in lower and not (date < bound and date in dates) for id_, date in upper.items())


def _blocked(blocks: tuple[Block, ...], span: suspects.Span, counted: int) -> tuple[Block, ...]:
    """The blocks after a comparison: with the new block at the end, or with the new count of a block that was walked again."""
    known = tuple(Block(*span, counted) if block.span == span else block for block in blocks)
    return (*known, Block(*span, counted)) if not known or span[0] == known[-1].until else known


def _watched(at: Watched) -> Page:
    """The answers of one round of counts: halve each part that changed until single blocks are left.

    A block that grew is walked again; of one that shrank only the count is noted. A half is searched to its end before the
    other half is begun, so that what was found is remembered even if the run is cut off.
    """
    memory, blocks = at.memory, list(at.memory.blocks)
    todo, left = list(memory.todo), list[Part]()
    for part in _counted_parts(at):
        if part.counted == sum(block.counted for block in blocks[part.low : part.high]):
            continue
        if part.high - part.low > 1:
            left.append(part)
        elif part.counted > blocks[part.low].counted:
            todo.append(blocks[part.low].span)
        else:
            blocks[part.low] = blocks[part.low]._replace(counted=part.counted)
    memory = replace(memory, blocks=tuple(blocks), todo=tuple(todo))
    if not left:
        return Page([], learned=memory)
    return Page([], _count(Watched(memory, (blocks[_middle(left[0])].since,), parts=tuple(left))), learned=memory)


def _counted_parts(at: Watched) -> list[Part]:
    """The parts to look at: all blocks at first; then both halves of the part that was halved, and the parts that wait."""
    if not at.parts:
        return [Part(0, len(at.memory.blocks), at.counts[1], at.counts[0])]
    part, middle = at.parts[0], _middle(at.parts[0])
    low = part._replace(high=middle, above=at.counts[0])
    return [low, part._replace(low=middle, below=at.counts[0]), *at.parts[1:]]


def _middle(part: Part) -> int:
    """The index of the block at which a part is halved."""
    return (part.low + part.high) // 2
