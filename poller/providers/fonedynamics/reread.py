"""The rereading of Fone Dynamics: whether ranges list the same messages in whatever way they are asked for. A side query.

The vendor has no count to hold its lists against. So each range that is old enough is read in three ways: as one window,
in other slices (another tiling), and by direction. An id that one way lists and another does not means that a page, a cut
or a filter loses rows. The range is looked at again before it is called a possible gap (:mod:`poller.providers.kit.suspects`).
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ...model import SECOND, Instant, Stream
from ..contract import Page, Request, Response, View, Window
from ..kit import suspects
from . import slices
from .slices import Continuation, Learned, asked, first

REASON = "tilings_disagree"
"""The reason of the possible gaps that a rereading finds."""

IDS_MAX = 50_000
"""Ids that are remembered of one way of reading a range."""

PAGES_A_RANGE = 4
"""How many of the longest answers seen a range should hold; its length is chosen accordingly."""

SHORTER = 1.6
"""By what factor the other tiling overestimates the rows, so that its slices are shorter and share no inner bound with the first."""


class Round(suspects.Memory, frozen=True):
    """How far the round over all ranges is. Field names are stored names and never change."""

    next: Instant = 0
    """Where the next range begins."""
    round: Instant = 0
    """When the round began."""


class Reading(Struct, frozen=True):
    """One way to read a part of the range."""

    way: int
    """0 = as one window, 1 = under another tiling, 2 = by direction."""
    since: Instant
    until: Instant
    direction: str | None = None


class Reread(Struct, frozen=True):
    """The rereading of one range under way: what is left to read, and what each way has listed. In memory only."""

    stream: str
    now: Instant
    memory: Round
    span: suspects.Span
    learned: Learned
    plan: tuple[Reading, ...]
    ids: tuple[list[str], list[str], list[str]]
    """What each way has listed, sorted."""
    at: Continuation
    """Where the first reading of the plan is."""


def begin(stream: Stream, view: View, params_in: str) -> Request | None:
    """The first request of a run: a range that is due, else the next range of the round. One round takes a period of the deepest rung.

    None = there is nothing to ask now.
    """
    start, edge = suspects.above(max(view.floor, view.now - view.depth)), suspects.below(view.now - suspects.CLOSED)
    memory = suspects.forget_before(view.remembered or Round(next=start, round=view.now), start)
    if start >= edge:
        return None
    span, memory = suspects.next_look(memory, view.now)
    length = _length(view)
    if span is None and _end(memory.next, length) > edge and view.now - memory.round >= view.every:
        memory = replace(memory, next=start, round=view.now)
    if span is None:
        since = max(start, memory.next)
        span = (since, _end(since, length))
        if span[1] > edge:
            return None
        memory = replace(memory, next=span[1])
    since, until = span
    middle = since + (until - since) // 3 // SECOND * SECOND
    plan = (
        Reading(0, since, until),
        Reading(1, middle, until),
        Reading(1, since, middle),
        Reading(2, since, until, "Transmit"),
        Reading(2, since, until, "Receive"),
    )
    learned = _of_the_past(view.learned or Learned())
    at = _start(stream.name, view.now, learned, plan[0])
    return _asked(Reread(stream.name, view.now, memory, span, learned, plan, ([], [], []), at), params_in)


def _length(view: View) -> Instant:
    """The length of a range: longer where little is sent, and at most half a round.

    It is a cell, doubled as often as that allows; so ranges of two rounds are the same, or one holds the other.
    """
    learned = _of_the_past(view.learned or Learned())
    room, rate = PAGES_A_RANGE * max(50, learned.most), learned.rate or 0.0
    longest = min(view.every // 2, int(min(view.every, room / rate * SECOND))) if rate > 0 else view.every // 2
    return suspects.CELL << max(0, (longest // suspects.CELL).bit_length() - 1)


def _of_the_past(learned: Learned) -> Learned:
    """What was learned, without how much is sent just now, unless nothing else is known; and no crowd rests, for each way reads all."""
    return replace(learned, rate=learned.near if learned.rate is None else learned.rate, near=None, crowds=())


def _end(since: Instant, length: Instant) -> Instant:
    """The next bound of ranges of that length."""
    return (since // length + 1) * length


def _start(name: str, now: Instant, learned: Learned, reading: Reading) -> Continuation:
    """The first slice of a reading."""
    if reading.way == 1:
        learned = replace(learned, rate=SHORTER * (learned.rate or 0.0))
    return first(name, Window(reading.since, reading.until, now), learned, reading.direction)


def _asked(reread: Reread, params_in: str) -> Request:
    """The request of the first reading of the plan."""
    return replace(asked(reread.at, params_in), continuation=reread)


def read(request: Request, response: Response, params_in: str) -> Page:
    """One page of a reading; after the last reading they are compared."""
    reread: Reread = request.continuation
    page = slices.read(replace(request, continuation=reread.at), response, params_in)
    way, ids = reread.plan[0].way, list(reread.ids)
    ids[way] = sorted(suspects.ids_of(page.rows).union(ids[way]))[:IDS_MAX]
    reread = replace(reread, ids=(ids[0], ids[1], ids[2]))
    if page.next is not None:
        following = replace(reread, at=page.next.continuation)
        return Page(page.rows, _asked(following, params_in), gaps=page.gaps)
    if len(reread.plan) > 1:
        plan = reread.plan[1:]
        following = replace(reread, plan=plan, at=_start(reread.stream, reread.now, reread.learned, plan[0]))
        return Page(page.rows, _asked(following, params_in), gaps=page.gaps)
    return _compared(reread, page)


def _compared(reread: Reread, page: Page) -> Page:
    """The end of a rereading: whether one way lists what another does not."""
    whole, tiled, directed = map(set, reread.ids)
    wrong = bool(whole ^ tiled or directed - whole or (directed and whole - directed))
    memory, gaps, said = suspects.after_look(reread.memory, reread.span, reread.now, wrong=wrong, reason=REASON, halve=False)
    since, until = reread.span
    return Page(page.rows, learned=memory, gaps=(*page.gaps, *gaps), proved=() if wrong else ((since, until),), oddities=said)
