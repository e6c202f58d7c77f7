"""What can be asked of a stream: each kind of work is a value with a name, a rank, and a place within its rank.

::

    Sweep(rung)     the window of one rung of the ladder, page by page
    Part(rung, n)   one of several parts of a long first reading of a rung, beside the others
    Edge()          the newest messages, while the live rung's own sweep takes longer than the interval
    Rest(number)    what an edge sweep had not read when its interval was over
    Backfill()      a past range that was asked for
    SideQuery(name) a hint, a look-up, a recount: it only makes visible sooner what sweeps find, or that they miss something
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from ..coverage import ladder
from ..coverage.cursor import Cursor
from ..coverage.ladder import Rung


class Sweep(Struct, frozen=True):
    """One pass over the window of a rung, page by page. The cursor keeps how far it is."""

    rung: int


class Part(Struct, frozen=True):
    """A part of a long sweep of a rung, which is read beside its other parts. The cursor keeps how far it is."""

    rung: int
    number: int


class Edge(Struct, frozen=True):
    """A look at the newest messages only, while the live rung's own sweep is long. Kept in memory; no watermark rests on it."""


class Rest(Struct, frozen=True):
    """What an edge sweep had not read when its interval was over. Kept in memory; no watermark rests on it."""

    number: int


class Backfill(Struct, frozen=True):
    """One pass over the past range that was asked for; the cursor keeps range and progress."""


class SideQuery(Struct, frozen=True):
    """A run of one of the provider's side queries, by its name."""

    name: str


Job = Sweep | Part | Edge | Rest | Backfill | SideQuery

RESTS_MAX = 4
"""Unread parts of edge sweeps that are read on at the same time; what is cut beyond them is left to the live sweep."""


class Rank(IntEnum):
    """Which job goes first; the lower rank does."""

    EDGE = 0
    """What may be new."""
    COVERAGE = 1
    """What nobody has read yet: first sweeps, debts, backfills."""
    OVERLAP = 2
    """The live rung read again, where a sweep of it takes longer than an interval: only what is listed late is new in it."""
    REFRESH = 3
    """What is read again: deep rungs."""
    SIDE = 4
    """Side queries."""


def rank(job: Job, rungs: tuple[Rung, ...], cursor: Cursor | None, *, long: bool) -> Rank:
    """The rank of a job. ``long``: the live sweep in hand has lasted an interval, so the edge is read beside it."""
    match job:
        case Edge():
            return Rank.EDGE
        case SideQuery():
            return Rank.SIDE
        case Rest() | Backfill() | Part():
            return Rank.COVERAGE
        case Sweep(rung):
            live = rung == ladder.live(rungs)
            if live and not long:
                return Rank.EDGE
            if cursor is None or not cursor.marks[rung].swept or rung in cursor.debts:
                return Rank.COVERAGE
            return Rank.OVERLAP if live else Rank.REFRESH


def place(job: Job) -> int:
    """Among jobs of one rank the lower place goes first: who has a budget of its own, the shallower rung, and last the edge.

    A live sweep that begins reads the edge itself. A part goes after every sweep, so that no stream takes by many parts what others wait for.
    """
    match job:
        case Sweep(rung):
            return 1 + rung
        case Part():
            return 1 << 15
        case Edge():
            return 1 << 16
        case _:
            return 0


def name(job: Job, rungs: tuple[Rung, ...]) -> str:
    """The job's name for people."""
    match job:
        case Sweep(rung) | Part(rung):
            return ladder.name(rungs[rung])
        case SideQuery(name):
            return name
        case _:
            return type(job).__name__.lower()
