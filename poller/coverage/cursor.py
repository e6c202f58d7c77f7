"""The cursor of a stream: what each rung has read, what it reads next, what it owes. The only time-range arithmetic. Pure.

A message has an age: query time minus creation, negative when it is dated ahead. A rung owns
the ages ``(inner, reach]`` and is re-read every ``period``. With ``T`` the query time of the
rung's last complete sweep, its next window is::

    [T - reach,  now - inner + slack)

so successive windows of a rung overlap by what could have shown itself meanwhile, and
neighbouring rungs touch, whatever outage lies between (``now - reach`` as the lower end would
lose rows whenever a sweep is late). The slice ahead of now is one more rung, with negative
ages. A change of the ladder needs no special case either: a rung begins from the oldest mark
among the marks whose ages it takes over, with the wider of both bounds.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..model import Instant
from ..providers.contract import Request, Window
from .gaps import Gaps
from .ladder import SLACK, Rung, _bounds, live

Range = tuple[Instant, Instant]
"""A range of creation instants: ``[since, until)``."""


class Mark(Struct, frozen=True, array_like=True):
    """What a rung remembers of its last complete sweep. Stored by position."""

    inner: Instant
    reach: Instant
    """The bounds that the rung then had: it owned the ages ``(inner, reach]``."""
    complete: Instant
    """The query time of that sweep's first request, by the provider's clock: ages are read as of then."""
    swept: bool = True
    """False: no sweep of the rung was complete yet, and this mark says where the stream began."""


class Sweep(Struct, frozen=True):
    """A sweep in hand, which a restart goes on with. All instants are the provider's time."""

    since: Instant
    until: Instant | None
    """The window ``[since, until)`` that it covers; until None = it has no upper end."""
    inner: Instant
    reach: Instant
    """The bounds of its rung when it began."""
    now: Instant
    """The time when its window was chosen."""
    request: Request
    """The request for its next page."""
    started: Instant = 0
    """Query time of its first request; 0 = not yet asked."""
    pages: int = 0
    rows: int = 0
    handed: bool = False
    """True: it reads only as far back as the rung reaches, and what lies before was handed to the next rung as a debt."""
    parts: dict[int, Sweep] = {}
    """What is left of it, where it is read in several parts at once (see :mod:`.parts`); each of them is asked for by itself."""


class Backfill(Struct, frozen=True):
    """A past range that a person asked for: ``[since, until)``. The latest one is kept with its result when it is done."""

    id: str
    since: Instant
    until: Instant
    sweep: Sweep | None = None
    pages: int = 0
    rows: int = 0
    events: int = 0
    done: bool = False
    left: Instant | None = None
    """The part of the range before this instant is still to be read; None = all of it."""


class Cursor(Struct, frozen=True):
    """What is known of one stream: kept in the state topic with every page's transaction.

    ``debts`` maps a rung's index to the range ``[since, until)`` that it owes after an outage;
    while any is owed, ``watermark`` stands still. ``waits`` are trouble that a hand-over must
    not forget: (kind, failures, wall-clock instant of the next try).
    """

    floor: Instant
    start: Instant
    """The floor that the stream began with."""
    marks: tuple[Mark, ...]
    watermark: Instant
    changed: Instant
    """Query time at which the newest change of this stream was seen."""
    sweeps: dict[int, Sweep] = {}
    debts: dict[int, Range] = {}
    learned: Any = field(default_factory=dict, name="memo")
    """What the provider learned for later sweeps: its ``Learned``, as plain values where it comes from state."""
    waits: tuple[str, int, Instant] | None = None
    backfill: Backfill | None = None
    complete: tuple[Range, ...] = ()
    """Ranges below ``start`` that backfills have published completely."""
    gaps: Gaps = ()
    """Ranges above the floor that are not proved complete."""

    @property
    def first_look_back(self) -> bool:
        """Whether the first look back to the floor is not complete: the watermark still stands where the stream began."""
        return bool(self.debts) and self.watermark <= self.start

    @property
    def left(self) -> Instant:
        """Query time of the newest complete sweep; where there was none, of the stream's beginning."""
        return max((mark.complete for mark in self.marks), default=self.start)

    @property
    def reach(self) -> Instant:
        """The age to which its deepest rung reads."""
        return max((mark.reach for mark in self.marks), default=0)

    @property
    def live_since(self) -> Instant:
        """Messages created since then are found by live polling: all of them, once the first look-back is complete."""
        return max((mark.complete for mark in self.marks if not mark.swept), default=0) if self.first_look_back else 0


def begin(rungs: tuple[Rung, ...], *, floor: Instant, now: Instant) -> Cursor:
    """The cursor of a stream that was never polled: live from the first second, the past newest first.

    The deepest rung's mark reaches down to the floor, so its first window begins there. Every
    rung owes its first sweep, so the watermark stays at the floor until all of them are done.
    """
    marks = [Mark(rung.inner, rung.reach, now, swept=False) for rung in rungs]
    marks[-1] = replace(marks[-1], reach=max(marks[-1].reach, now - floor))
    owed = {
        index: (max(floor, now - mark.reach), now - max(mark.inner, 0))
        for index, mark in enumerate(marks)
        if mark.reach > 0 and now - max(mark.inner, 0) > floor
    }
    return Cursor(floor=floor, start=floor, marks=tuple(marks), watermark=min(floor, now), changed=now, debts=owed)


def adopt(rungs: tuple[Rung, ...], cursor: Cursor) -> Cursor:
    """The cursor under today's ladder; the same cursor when the ladder did not change.

    A rung begins from the oldest of the marks whose ages it takes over, with the wider bounds, and the deepest one also
    from what no rung reaches any more; one that reaches deeper than any mark begins from all of them. Marks that cover their rungs
    already stay as they are: taken over again at every hand-over they would widen each other.
    """
    known = cursor.marks
    mine = len(known) == len(rungs) and all(m.inner <= r.inner and m.reach >= r.reach for r, m in zip(rungs, known, strict=True))
    reaches = [rung.reach for rung in rungs[:-1]] + [max(mark.reach for mark in known) + rungs[-1].reach]
    marks = known if mine else tuple(_inherit(rung, reach, known) for rung, reach in zip(rungs, reaches, strict=True))
    same = [i for i in cursor.sweeps if mine or (i < len(rungs) - 1 and i < len(known) and marks[i] == known[i])]
    sweeps = {i: s for i in same if _bounds(rungs[i]) == ((s := cursor.sweeps[i]).inner, s.reach)}
    debts: dict[int, Range] = {}
    for index, owed in cursor.debts.items():
        _owe(debts, index if mine else _heir(rungs, known[index]), owed)
    return replace(cursor, marks=marks, sweeps=sweeps, debts=debts)


def _inherit(rung: Rung, reach: Instant, marks: tuple[Mark, ...]) -> Mark:
    """From the marks of the rung's ages up to ``reach``; never narrower than the rung, or each hand-over would inherit again."""
    heirs = [mark for mark in marks if mark.inner < reach and rung.inner < mark.reach] or list(marks)
    inner, reach = min(rung.inner, *(m.inner for m in heirs)), max(rung.reach, *(m.reach for m in heirs))
    return Mark(inner, reach, min(m.complete for m in heirs), swept=all(m.swept for m in heirs))


def _heir(rungs: tuple[Rung, ...], mark: Mark) -> int:
    """The first rung that takes over ages of a mark, and so begins its next window no later than the mark's rung would have."""
    return next((i for i, rung in enumerate(rungs) if mark.inner < rung.reach and rung.inner < mark.reach), len(rungs) - 1)


def _owe(debts: dict[int, Range], index: int, owed: Range) -> None:
    """Add a range to what a rung owes, unless it is empty."""
    if owed[0] < owed[1]:
        since, until = debts.get(index, owed)
        debts[index] = (min(since, owed[0]), max(until, owed[1]))


def window(
    rungs: tuple[Rung, ...], index: int, cursor: Cursor, *, earliest: Instant, latest: Instant, slack: Instant
) -> tuple[Window, bool] | None:
    """The window of the rung's next sweep, and whether what lies before it is handed to the next rung.

    None when the window is empty (clipped at the floor): the rung is complete without a request.
    ``earliest`` and ``latest`` are two readings of the provider's clock, equal unless it is in doubt.
    """
    rung, mark = rungs[index], cursor.marks[index]
    since = _since(rung, mark, earliest)
    until = _until(rung, mark, latest, slack)
    handed = earliest - mark.complete > rung.reach > 0 and _next_takes(rungs, index, cursor, since)
    if handed:
        since = earliest - rung.reach - rung.period
    since = max(since, cursor.floor)
    if until is not None and since >= until:
        return None
    return Window(since, until, latest), handed


def _until(rung: Rung, mark: Mark, latest: Instant, slack: Instant) -> Instant | None:
    """Where the rung's next window ends; None = open."""
    return None if rung.open else latest - min(rung.inner, mark.inner) + slack


def _since(rung: Rung, mark: Mark, now: Instant) -> Instant:
    """Where the rung's next window begins; a clock that went back pulls it back too."""
    return min(mark.complete, now) - max(rung.reach, mark.reach)


def _next_takes(rungs: tuple[Rung, ...], index: int, cursor: Cursor, since: Instant) -> bool:
    """Whether the next rung's window begins no later than what this one would skip (the deepest never hands down)."""
    if index + 1 >= len(rungs):
        return False
    below, in_hand = rungs[index + 1], cursor.sweeps.get(index + 1)
    if in_hand is not None and in_hand.started:
        return in_hand.started - below.reach <= since
    return _since(below, cursor.marks[index + 1], cursor.marks[index + 1].complete) <= since


def complete(rungs: tuple[Rung, ...], index: int, cursor: Cursor, sweep: Sweep) -> Cursor:
    """The cursor after the rung's sweep came to its end: its mark moves to the sweep's own start, debts are settled.

    Only here does a mark move, and never by anything that was read in rows. What the rung owes above the sweep's window it
    owes still; below the window there is nothing, because a rung's debt never begins before its mark's next window.
    """
    rung = rungs[index]
    debts = dict(cursor.debts)
    owed = debts.pop(index, None)
    if sweep.handed:
        _owe(debts, index + 1, (_since(rung, cursor.marks[index], cursor.marks[index].complete), sweep.since))
    if owed is not None and sweep.until is not None:
        _owe(debts, index, (max(owed[0], cursor.floor, sweep.until), owed[1]))
    return _completed(rungs, index, cursor, started=sweep.started, debts=debts)


def _completed(rungs: tuple[Rung, ...], index: int, cursor: Cursor, *, started: Instant, debts: dict[int, Range]) -> Cursor:
    """The rung's mark moves to ``started``, and no sweep of it is in hand."""
    marks = list(cursor.marks)
    marks[index] = Mark(rungs[index].inner, rungs[index].reach, started)
    sweeps = {i: s for i, s in cursor.sweeps.items() if i != index}
    watermark = cursor.watermark if debts else max(cursor.watermark, marks[live(rungs)].complete)
    return replace(cursor, marks=tuple(marks), sweeps=sweeps, debts=debts, watermark=watermark)


def complete_unasked(rungs: tuple[Rung, ...], index: int, cursor: Cursor, now: Instant) -> Cursor:
    """The cursor after a sweep whose window was empty: the rung is complete as of ``now``, and owes nothing."""
    return _completed(rungs, index, cursor, started=now, debts={i: owed for i, owed in cursor.debts.items() if i != index})


def settling(rungs: tuple[Rung, ...], cursor: Cursor, *, latest: Instant, slack: Instant) -> list[int]:
    """The rungs that owe something which a sweep that begins now would settle.

    What is owed can lie ahead of the provider's clock, where ours was taken for it before its first
    answer; such a debt waits for the rung's usual time.
    """
    ends = {index: _until(rungs[index], cursor.marks[index], latest, slack) for index in cursor.debts}
    return [index for index, until in ends.items() if until is None or until >= cursor.debts[index][1]]


def oldest(rungs: tuple[Rung, ...], cursor: Cursor, *, slack: Instant) -> Instant:
    """What no later window will reach: below it, final messages may be forgotten together with raising the floor."""
    reach = min(_since(rung, mark, mark.complete) for rung, mark in zip(rungs, cursor.marks, strict=True))
    return max(cursor.floor, reach - slack)


def waiting(cursor: Cursor, waits: tuple[str, int, Instant] | None) -> Cursor:
    """The cursor with the stream's trouble, or free of it."""
    return replace(cursor, waits=waits)


def lateness(rungs: tuple[Rung, ...], cursor: Cursor, created: Instant, *, now: Instant) -> Instant | None:
    """How late a row was that is seen for the first time: 0 = on time, None = nobody can say.

    A row is late when a complete sweep had covered its creation without showing it; it is then
    taken to have shown itself just now. While anything is owed (a first sweep, an outage) nothing
    is late: the poller was, not the row; so it is where the sweep before is long ago.
    """
    if cursor.debts:
        return None
    late = False
    for rung, mark in zip(rungs, cursor.marks, strict=True):
        if rung.reach > 0 and mark.complete - rung.reach <= created < mark.complete - max(0, rung.inner) - SLACK:
            if now - mark.complete > 2 * rung.period + SLACK:
                return None
            late = True
    return max(0, now - created) if late else 0
