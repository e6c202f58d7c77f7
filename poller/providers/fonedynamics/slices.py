"""A window of Fone Dynamics, read in slices that one answer holds; see :mod:`.provider` for why.

A sweep is at a :class:`Slice`, or at an :class:`OverfullSecond`; :func:`read` says where it is after an answer. Times here are
whole seconds since the epoch, as the vendor's parameters are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import DAY, HOUR, SECOND, BadRow, Gap, Instant, Row
from ...times import http_date
from ..contract import Page, Request, Response, Window
from ..kit.answers import accept
from . import crowds
from .answers import facts_of, path_of, rows_of
from .crowds import YOUNG_S, Crowd
from .density import COUNT_DOCUMENTED, FAR_S, Course, Learned, asked_rows, begin_of, longest, room_of, taught_by, usual_of

AHEAD: Instant = 14 * DAY + HOUR
"""Sends can be scheduled 14 days ahead; a filter on that stamp would hide them."""

PASSES_MAX = 6
"""Passes over an over-full second before it is a possible gap."""

SECOND_IDS_MAX = 20_000
"""Ids of one second that are kept: no property sends a tenth of that, and the request is in memory only."""

DRIFT_MAX = 2
"""A pass that has skipped this many times the rows that it saw is not going to see others."""

CONFIRMED_S = 3600
"""Seconds. An answer without rows that speaks for a longer time is asked for twice."""

SURPRISING = 10
"""An answer without rows is asked for twice where at least this many rows were expected."""


class Slice(Struct, frozen=True, tag="slice", omit_defaults=True):
    """The piece ``[begin, end)`` of the window is asked for; all above it was read."""

    course: Course
    begin: int
    end: int
    part_end: int
    """Where the part of the window ends whose rows ``total`` counts: the window's end, or now."""
    full: int
    """Rows lie between here and the slice's begin: an answer was cut there."""
    most: int
    cut: int
    full_to: int = 0
    """Of that answer none of the rows that it gave lay from here on."""
    skip: int = 0
    """Rows that the last answer gave: what comes after them says whether it was cut."""
    total: int = 0
    doubted: bool = False
    """An answer without rows is being confirmed."""

    def next(self, end: int, density: float) -> Slice:
        """The slice below ``end``, as long as ``density`` rows a second fill an answer."""
        course = self.course
        begin = begin_of(course, end, density, room_of(course, self.most, self.cut))
        return replace(self, begin=crowds.above(course.learned.crowds, begin, end), end=end, skip=0)


class OverfullSecond(Struct, frozen=True, tag="second"):
    """One second that no answer holds is paged by rows received, again and again until two passes add nothing.

    A pass that receives more rows than there are ids has received some twice, and as many not at all: that is no end,
    however often it adds nothing.
    """

    slice: Slice
    ids: list[str] = []
    """What was listed, sorted."""
    run: int = 1
    seen: int = 0
    """Ids before this pass."""
    received: int = 0
    """Rows of this pass that have an id."""
    still: int = 0
    """Passes in a row that added nothing."""
    began: int = 0
    """The provider's clock when its first page was listed."""


Continuation = Slice | OverfullSecond
Stamps = tuple[tuple[Instant, ...], ...]


class Told(NamedTuple):
    """What an answer says beside its rows."""

    stamps: Stamps
    """Of each row."""
    clock: int
    """The provider's, in seconds."""


class _After(Struct):
    """Where a sweep is after an answer."""

    at: Continuation | None
    learned: Learned | None = None
    gaps: tuple[Gap, ...] = ()


def first(name: str, window: Window, learned: Learned, direction: str | None = None) -> Slice:
    """The newest slice of a property's window."""
    since, now = window.since // SECOND, window.now // SECOND
    until = max(since + 1, -(-(window.until if window.until is not None else window.now + AHEAD) // SECOND))
    if window.until == window.now:
        now = until  # nothing of the window is ahead, and no slice of a part of a second
    course = Course(path_of(name), since, now, min(until, now) - since >= FAR_S, learned, direction)
    piece = Slice(course, until, until, until, until, learned.most, learned.cut)
    end, gaps = _round(course, until)
    return piece.next(until if end <= since or gaps else end, usual_of(course, until))


def asked(at: Continuation, params_in: str) -> Request:
    """The request for a place of a sweep. One of an over-full second is never kept: it knows the ids of the whole second."""
    piece = _slice_of(at)
    query: list[tuple[str, Any]] = [("Date_From", piece.begin), ("Date_To", piece.end), ("Results_Count", asked_rows(piece.course))]
    if piece.skip:
        query.append(("Results_Skip", piece.skip))
    if piece.course.direction is not None:
        query.append(("Direction", piece.course.direction))
    resumable = isinstance(at, Slice)
    if params_in == "body":
        return Request("GET", piece.course.path, body=msgspec.json.encode(dict(query)), continuation=at, resumable=resumable)
    return Request("GET", piece.course.path, tuple((name, str(value)) for name, value in query), continuation=at, resumable=resumable)


def read(request: Request, response: Response, params_in: str) -> Page:
    """One answer: its rows, and what is left of the window."""
    at: Continuation = request.continuation
    piece = _slice_of(at)
    if response.status == 400 and asked_rows(piece.course) > COUNT_DOCUMENTED:
        course = replace(piece.course, learned=replace(piece.course.learned, modest=piece.course.now))
        return Page([], asked(_with(at, replace(piece, course=course)), params_in))
    body = accept(response, other_gone=True)
    rows = list(rows_of(body))
    if not rows and _doubtful(at):
        return Page(rows, asked(_with(at, replace(piece, doubted=True)), params_in))
    facts = facts_of(body)
    oddities = ("empty_answer",) if rows and piece.doubted else ()
    if any(path_of(sid) != piece.course.path for sid in facts.properties):
        oddities = (*oddities, "other_property")
    _honoured(facts.stamps, piece)
    piece = replace(piece, most=max(piece.most, len(rows)), doubted=False)
    after = _after(at, piece, rows, Told(facts.stamps, _clock(response) or piece.course.now))
    following = None if after.at is None else asked(after.at, params_in)
    return Page(rows, following, learned=after.learned, gaps=after.gaps, oddities=oddities)


def reached(at: Continuation) -> Instant:
    """Down to where the window was read."""
    return _slice_of(at).end * SECOND


def _clock(response: Response) -> int | None:
    date = http_date(response.headers.get("date"))
    return None if date is None else date // SECOND


def _slice_of(at: Continuation) -> Slice:
    return at.slice if isinstance(at, OverfullSecond) else at


def _with(at: Continuation, piece: Slice) -> Continuation:
    return replace(at, slice=piece) if isinstance(at, OverfullSecond) else piece


def _like_a_cap(rows: int) -> bool:
    """Whether an answer this long may have been cut by a limit that is lower than it once was: limits are round."""
    return rows % 10 == 0 or rows % 25 == 0


def _doubtful(at: Continuation) -> bool:
    """Whether an answer without rows must be confirmed: a provider in trouble may give one, and much would be taken for read."""
    piece = _slice_of(at)
    if piece.doubted:
        return False
    if isinstance(at, OverfullSecond):
        return piece.skip <= len(at.ids) and piece.skip % piece.most == 0  # a short page was the last one
    expected = (piece.end - piece.begin) * usual_of(piece.course, piece.end)
    surprising = expected >= SURPRISING if not piece.skip else piece.skip >= longest(piece.most)
    inside = piece.full < piece.end and piece.begin < piece.full_to  # of a range whose answer was cut: rows are there
    return surprising or inside or piece.end - piece.begin > CONFIRMED_S


def _after(at: Continuation, piece: Slice, rows: list[Row | BadRow], told: Told) -> _After:
    """Where the sweep is after these rows; ``piece`` is the slice with what the answer taught."""
    match at:
        case OverfullSecond():
            return _after_second(replace(at, slice=piece), rows)
        case Slice(skip=0, most=known, cut=cut):
            if not rows or (len(rows) < known and not _like_a_cap(len(rows))):
                return _done(piece, len(rows))
            if piece.end - piece.begin == 1:
                return _after_second(OverfullSecond(piece, began=told.clock), rows)
            return _split(piece, told.stamps) if len(rows) == cut >= known else _After(replace(piece, skip=len(rows)))
        case _ if rows and len(rows) < piece.skip < piece.most and piece.end > piece.course.now - YOUNG_S:
            return _split(piece, told.stamps)  # these may have turned up meanwhile, so they say nothing of a lower limit
        case _ if rows:
            return _split(replace(piece, most=piece.skip, cut=piece.skip), told.stamps)
        case _:
            return _done(piece, piece.skip)


def _split(piece: Slice, stamps: Stamps) -> _After:
    """The answer was cut: its crowd is read by itself, else its newer half anew; and all else after that."""
    course, crowd = piece.course, crowds.crowded(stamps, piece.begin, piece.end)
    piece = replace(piece, full=min(piece.begin, piece.full), full_to=max(piece.end, piece.full_to), skip=0)
    if crowd is None:
        return _After(replace(piece, begin=(piece.begin + piece.end) // 2))
    piece = replace(piece, course=_knows(course, crowds.at(course.learned.crowds, crowd) or Crowd(crowd)))
    if crowd + 1 == piece.end:
        return _After(replace(piece, begin=crowd))
    newer = any(stamp // SECOND > crowd for each in stamps for stamp in each)
    return _After(replace(piece, begin=crowd + 1, full_to=piece.full_to if newer else crowd + 1))


def _knows(course: Course, crowd: Crowd) -> Course:
    return replace(course, learned=replace(course.learned, crowds=crowds.noted(course.learned.crowds, crowd)))


def _after_second(at: OverfullSecond, rows: list[Row | BadRow]) -> _After:
    """Pages by rows received, until an empty one, or old ones without end, end the pass."""
    piece, new = at.slice, [row.id for row in rows if row.id is not None]
    ids, skip = {*at.ids, *new}, piece.skip + len(rows)
    known = replace(at, ids=sorted(ids), received=at.received + len(new))
    last = not rows or (len(rows) < piece.most and not _like_a_cap(len(rows)))
    if not last and len(ids) < SECOND_IDS_MAX and piece.skip <= DRIFT_MAX * len(ids):
        return _After(replace(known, slice=replace(piece, skip=skip)))
    still = at.still + 1 if len(ids) == at.seen else 0
    if last and known.received <= len(ids) and (at.run == 1 or still >= 2):
        return _walked(known, whole=True)
    if at.run >= PASSES_MAX:
        return _walked(known, whole=False)
    return _After(replace(known, slice=replace(piece, skip=0), seen=len(ids), received=0, still=still, run=at.run + 1))


def _walked(at: OverfullSecond, *, whole: bool) -> _After:
    """A second was read to its end: a crowd, where it held more than one answer does."""
    piece, held = at.slice, len(at.ids)
    if whole and held <= piece.most:
        return _done(piece, held)
    inside = (
        piece.begin > piece.course.since
    )  # of the window's oldest second a part may be below what was asked for, which a backfill publishes
    crowd = Crowd(piece.begin, at.began if inside else 0, whole)
    return _done(replace(piece, course=_knows(piece.course, crowd)), 0, crowd)


def _done(piece: Slice, held: int, crowd: Crowd | None = None) -> _After:
    """What follows a slice that was read to its end and ``held`` that many rows: the next one below it, or the end of the window.

    A ``crowd`` is not reckoned with what is usually sent.
    """
    piece = replace(piece, total=piece.total + held)
    end, gaps = _round(piece.course, piece.begin)
    gaps = gaps if crowd is None else (*crowd.gaps, *gaps)
    if piece.begin == piece.course.now or end <= piece.course.since:
        course = replace(piece.course, learned=taught_by(piece.course, piece.total, piece.begin, piece.part_end))
        piece = replace(piece, course=course, total=0, part_end=piece.begin)
    course = piece.course
    if end <= course.since:
        return _After(None, replace(course.learned, most=piece.most, cut=piece.cut), gaps)
    room = room_of(course, piece.most, piece.cut)
    density = max(held, room / 2) / (piece.end - piece.begin)  # so the next slice is at most twice as long
    if (
        piece.begin == course.now or crowd is not None or end < piece.begin
    ):  # what is scheduled, or a crowd, says nothing of what lies below
        density = usual_of(course, piece.begin)
    taught = None if crowd is None else replace(course.learned, most=piece.most, cut=piece.cut)
    return _After(piece.next(end, density), taught, gaps)


def _round(course: Course, end: int) -> tuple[int, tuple[Gap, ...]]:
    """Down to where crowds that rest lie below ``end``, and what there is to say of them."""
    gaps = list[Gap]()
    while end > course.since and (crowd := crowds.at(course.learned.crowds, end - 1)) is not None and crowd.rests(course.now):
        gaps += crowd.gaps
        end -= 1
    return end, tuple(gaps)


def _honoured(stamps: tuple[tuple[Instant, ...], ...], piece: Slice) -> None:
    """Rows whose every stamp lies outside the window that was asked for: the filter was ignored."""
    since, until = piece.begin * SECOND, piece.end * SECOND
    strangers = sum(not any(since <= stamp < until for stamp in each) for each in stamps)
    if strangers * 2 > len(stamps):
        raise CursorIgnored("rows lie outside the window that was asked for")
