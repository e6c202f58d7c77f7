"""What can be asked of a stream: each kind of work is a value with a name, a rank, and a place within its rank.

::

    Sweep(rung)     the window of one rung of the ladder, page by page
    Edge()          the newest messages, while the live rung's own sweep takes longer than the interval
    Rest(number)    what an edge sweep had not read when its interval was over
    Backfill()      a past range that was asked for
    SideQuery(name) a hint, a look-up, an audit: it hurries what the sweeps will find anyway
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from ..coverage import ladder
from ..coverage.cursor import Cursor
from ..coverage.ladder import Rung


class Sweep(Struct, frozen=True):
    """The rung's window, from its watermark on."""

    rung: int


class Edge(Struct, frozen=True):
    """The newest messages only; its progress is memory, and no watermark rests on it."""


class Rest(Struct, frozen=True):
    """The older part of an edge sweep that was cut at its interval; memory as well."""

    number: int


class Backfill(Struct, frozen=True):
    """The past range that the stream's cursor holds."""


class SideQuery(Struct, frozen=True):
    """One of the provider's side queries, by its name."""

    name: str


Job = Sweep | Edge | Rest | Backfill | SideQuery

RESTS_MAX = 4
"""Unread parts of edge sweeps that are read on at the same time; what is cut beyond them is left to the live sweep."""


class Rank(IntEnum):
    """Who goes first: what may be new, what nobody has read yet, what is read again, what only hurries."""

    EDGE = 0
    COVERAGE = 1
    REFRESH = 2
    SIDE = 3


def rank(job: Job, rungs: tuple[Rung, ...], cursor: Cursor | None, *, long: bool) -> Rank:
    """The rank of a job. ``long``: the live sweep in hand has lasted an interval, so the edge is read beside it."""
    match job:
        case Edge():
            return Rank.EDGE
        case SideQuery():
            return Rank.SIDE
        case Rest() | Backfill():
            return Rank.COVERAGE
        case Sweep(rung) if rung == ladder.live(rungs):
            return Rank.COVERAGE if long else Rank.EDGE
        case Sweep(rung):
            first = cursor is None or not cursor.marks[rung].swept or rung in cursor.debts
            return Rank.COVERAGE if first else Rank.REFRESH


def place(job: Job) -> int:
    """Among jobs of one rank the lower place goes first: who has a budget of its own, the shallower rung, and last the edge.

    A live sweep that begins reads the edge itself.
    """
    match job:
        case Sweep(rung):
            return 1 + rung
        case Edge():
            return 1 << 16
        case _:
            return 0


def name(job: Job, rungs: tuple[Rung, ...]) -> str:
    """The job's name for people."""
    match job:
        case Sweep(rung):
            return ladder.name(rungs[rung])
        case SideQuery(name):
            return name
        case _:
            return type(job).__name__.lower()
