"""A window of Fone Dynamics, read in slices that one answer holds; see :mod:`.provider` for why.

A sweep is at a :class:`Slice`, or at an :class:`OverfullSecond`; :func:`read` says where it is after an answer. Times here are
whole seconds since the epoch, as the vendor's parameters are.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import DAY, HOUR, SECOND, BadRow, Gap, Instant, Row
from ..contract import Page, Request, Response, Window
from ..kit.answers import accept
from .answers import facts_of, path_of, rows_of

AHEAD: Instant = 14 * DAY + HOUR
"""Sends can be scheduled 14 days ahead; a filter on that stamp would hide them."""

COUNT = 1000
"""Rows that are asked for; how many come back teaches the vendor's limit."""

COUNT_DOCUMENTED = 200
"""Rows that are asked for where ``COUNT`` is refused: the documented default."""

MODEST_S = 86_400
"""Seconds for which ``COUNT_DOCUMENTED`` is asked for after a refusal; it may have been refused for another reason."""

FILL = 0.75
"""A slice is as long as is expected to fill this part of the longest answer seen."""

SHORTEST_CAP = 30
"""No limit of answers is taken to be lower, so what little was seen yet does not make slices short."""

PASSES_MAX = 6
"""Passes over an over-full second before it is a possible gap."""

SECOND_IDS_MAX = 20_000
"""Ids of one second that are kept: no property sends a tenth of that, and the request is in memory only."""

DRIFT_MAX = 2
"""A pass that has skipped this many times the rows that it saw is not going to see others."""

FAR_S = 6 * 3600
"""Seconds. What a shorter window holds is reckoned by what is sent just now; what a longer one holds, by the last such window."""

CONFIRMED_S = 3600
"""Seconds. An answer without rows that speaks for a longer time is asked for twice."""

SURPRISING = 10
"""An answer without rows is asked for twice where at least this many rows were expected."""


class Learned(Struct, frozen=True, omit_defaults=True):
    """What sweeps of a property have taught."""

    most: int = 0
    """Rows of the longest answer."""
    cut: int = 0
    """The length at which an answer was cut last; 0 = never."""
    rate: float | None = None
    """Rows a second in the past."""
    near: float | None = None
    """Rows a second just now."""
    ahead: float | None = None
    """Rows a second that are scheduled."""
    modest: int | None = None
    """When ``COUNT`` was refused."""


class Course(Struct, frozen=True, omit_defaults=True):
    """What stays the same while a window is read, but for what is learned meanwhile."""

    path: str
    since: int
    now: int
    far: bool
    """The window reaches back further than ``FAR_S``."""
    learned: Learned
    direction: str | None = None
    """Only messages of this direction; never combined with paging by status."""


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
    skip: int = 0
    """Rows that the last answer gave: what comes after them says whether it was cut."""
    total: int = 0
    doubted: bool = False
    """An answer without rows is being confirmed."""


class OverfullSecond(Struct, frozen=True, tag="second"):
    """One second that no answer holds is paged by rows received, again and again until two passes add nothing."""

    slice: Slice
    ids: list[str] = []
    """What was listed, sorted."""
    run: int = 1
    seen: int = 0
    """Ids before this pass."""
    still: int = 0
    """Passes in a row that added nothing."""


Continuation = Slice | OverfullSecond


class _After(Struct):
    """Where a sweep is after an answer."""

    at: Continuation | None
    learned: Learned | None = None
    gaps: tuple[Gap, ...] = ()


def first(name: str, window: Window, learned: Learned, direction: str | None = None) -> Slice:
    """The newest slice of a property's window."""
    since, now = window.since // SECOND, window.now // SECOND
    until = max(since + 1, -(-(window.until if window.until is not None else window.now + AHEAD) // SECOND))
    course = Course(path_of(name), since, now, min(until, now) - since >= FAR_S, learned, direction)
    begin = _begin(course, until, _usual(course, until), _room(course, learned.most, learned.cut))
    return Slice(course, begin, until, until, until, learned.most, learned.cut)


def asked(at: Continuation, params_in: str) -> Request:
    """The request for a place of a sweep. One of an over-full second is never kept: it knows the ids of the whole second."""
    piece = _slice_of(at)
    query: list[tuple[str, Any]] = [("Date_From", piece.begin), ("Date_To", piece.end), ("Results_Count", _count(piece.course))]
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
    if response.status == 400 and _count(piece.course) > COUNT_DOCUMENTED:
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
    after = _after(at, replace(piece, most=max(piece.most, len(rows)), doubted=False), rows)
    following = None if after.at is None else asked(after.at, params_in)
    return Page(rows, following, learned=after.learned, gaps=after.gaps, oddities=oddities)


def reached(at: Continuation) -> Instant:
    """Down to where the window was read."""
    return _slice_of(at).end * SECOND


def _slice_of(at: Continuation) -> Slice:
    return at.slice if isinstance(at, OverfullSecond) else at


def _with(at: Continuation, piece: Slice) -> Continuation:
    return replace(at, slice=piece) if isinstance(at, OverfullSecond) else piece


def _usual(course: Course, until: int) -> float:
    """Rows a second that earlier windows of the kind found; what is sent just now says nothing of what is scheduled."""
    known = course.learned
    if until > course.now:
        return known.ahead or 0.0
    rates = (known.rate if course.far else known.near, known.near, known.rate)
    return next((rate for rate in rates if rate is not None), 0.0)


def _longest(most: int) -> int:
    """The longest answer that is known to be possible."""
    return max(SHORTEST_CAP, most)


def _room(course: Course, most: int, cut: int) -> float:
    """Rows that a slice is expected to hold: until an answer was cut at the longest length, slices grow to find where it is."""
    longest = _longest(most)
    return FILL * (longest if cut >= most > 0 else min(_count(course), 2 * longest))


def _count(course: Course) -> int:
    """How many rows are asked for."""
    modest = course.learned.modest
    return COUNT if modest is None or course.now - modest >= MODEST_S else COUNT_DOCUMENTED


def _begin(course: Course, end: int, density: float, room: float) -> int:
    """Where a slice below ``end`` begins, as long as ``density`` rows a second fill an answer; none crosses the query time."""
    low = course.now if course.since < course.now < end else course.since
    return max(low, end - max(1, int(min(end - low, room / density)))) if density > 0 else low


def _like_a_cap(rows: int) -> bool:
    """Whether an answer this long may have been cut by a limit that is lower than it once was: limits are round."""
    return rows % 10 == 0 or rows % 25 == 0


def _doubtful(at: Continuation) -> bool:
    """Whether an answer without rows must be confirmed: a provider in trouble may give one, and much would be taken for read."""
    piece = _slice_of(at)
    if piece.doubted:
        return False
    if isinstance(at, OverfullSecond):
        return piece.skip <= len(at.ids)
    expected = (piece.end - piece.begin) * _usual(piece.course, piece.end)
    surprising = expected >= SURPRISING if not piece.skip else piece.skip >= _longest(piece.most)
    inside = piece.end > piece.full  # of a range whose answer was cut: rows are there
    return surprising or inside or piece.end - piece.begin > CONFIRMED_S


def _after(at: Continuation, piece: Slice, rows: list[Row | BadRow]) -> _After:
    """Where the sweep is after these rows; ``piece`` is the slice with what the answer taught."""
    match at:
        case OverfullSecond():
            return _after_second(replace(at, slice=piece), rows)
        case Slice(skip=0, most=known):
            whole = not rows or (len(rows) < known and not _like_a_cap(len(rows)))
            return _done(piece, len(rows)) if whole else _After(replace(piece, skip=len(rows)))
        case _ if rows:
            return _split(replace(piece, most=piece.skip, cut=piece.skip))
        case _:
            return _done(piece, piece.skip)


def _split(piece: Slice) -> _After:
    """The answer was cut: its newer half anew, and all else after it; or the over-full second page by page."""
    if piece.end - piece.begin > 1:
        return _After(replace(piece, begin=(piece.begin + piece.end) // 2, full=min(piece.begin, piece.full), skip=0))
    return _After(OverfullSecond(replace(piece, skip=0)))


def _after_second(at: OverfullSecond, rows: list[Row | BadRow]) -> _After:
    """Pages by rows received, until an empty one, or old ones without end, end the pass."""
    piece, ids = at.slice, {*at.ids, *(row.id for row in rows if row.id is not None)}
    known = replace(at, ids=sorted(ids))
    if rows and len(ids) < SECOND_IDS_MAX and piece.skip <= DRIFT_MAX * len(ids):
        return _After(replace(known, slice=replace(piece, skip=piece.skip + len(rows))))
    still = at.still + 1 if len(ids) == at.seen else 0
    drifted = piece.skip > len(ids)
    if not rows and ((at.run == 1 and not drifted) or still >= 2):
        return _done(piece, len(ids))
    if at.run >= PASSES_MAX:
        return _done(piece, len(ids), (Gap("full_second", piece.begin * SECOND, piece.end * SECOND),))
    return _After(replace(known, slice=replace(piece, skip=0), seen=len(ids), still=still, run=at.run + 1))


def _done(piece: Slice, held: int, gaps: tuple[Gap, ...] = ()) -> _After:
    """What follows a slice that was read to its end and ``held`` that many rows: the next one below it, or the end of the window."""
    piece = replace(piece, total=piece.total + held)
    if piece.begin in (piece.course.now, piece.course.since):
        course = replace(piece.course, learned=_taught(piece))
        piece = replace(piece, course=course, total=0, part_end=piece.begin)
    course = piece.course
    if piece.begin <= course.since:
        return _After(None, replace(course.learned, most=piece.most, cut=piece.cut), gaps)
    room = _room(course, piece.most, piece.cut)
    density = max(held, room / 2) / (piece.end - piece.begin)  # so the next slice is at most twice as long
    if piece.begin == course.now:  # what was scheduled says nothing of what was sent
        density = _usual(course, piece.begin)
    return _After(replace(piece, begin=_begin(course, piece.begin, density, room), end=piece.begin, skip=0), gaps=gaps)


def _taught(piece: Slice) -> Learned:
    """With the density of the part of the window that ends here; of the future only where more than a day of it was read."""
    course = piece.course
    density = round(piece.total / (piece.part_end - piece.begin), 5)
    if piece.part_end > course.now:
        read_s = piece.part_end - course.now
        return course.learned if read_s <= DAY // SECOND else replace(course.learned, ahead=density)
    return replace(course.learned, rate=density) if course.far else replace(course.learned, near=density)


def _honoured(stamps: tuple[tuple[Instant, ...], ...], piece: Slice) -> None:
    """Rows whose every stamp lies outside the window that was asked for: the filter was ignored."""
    since, until = piece.begin * SECOND, piece.end * SECOND
    strangers = sum(not any(since <= stamp < until for stamp in each) for each in stamps)
    if strangers * 2 > len(stamps):
        raise CursorIgnored("rows lie outside the window that was asked for")
