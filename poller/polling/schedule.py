"""Which stream's which rung is asked next: a pure value per account that answers, and never sleeps.

Between any two pages the shallowest due rung goes first, so a live poll waits for at most one
page of a deep sweep. So that the deep rungs never starve when the live ones could use the
whole allowance, they earn a share with every live page. The cost per due stream is that of a
heap, whatever the number of streams.
"""

from __future__ import annotations

import hashlib
import heapq
import math

import msgspec
from msgspec import Struct

from ..coverage.cursor import Cursor
from ..coverage.ladder import Rung
from ..model import SECOND
from .client.rate_limit import Wait
from .demand import DEEP_SHARE, round_s


class Go(Struct, frozen=True):
    """Ask this stream for the next page of this rung."""

    stream: str
    rung: int


class Entry(Struct):
    """One stream's plan. Times are monotonic seconds."""

    stream: str
    rungs: tuple[Rung, ...]
    due: list[float]
    """One for each rung; what follows (backfill, chores) has a budget of its own, so it goes before the deep rungs."""
    spread: float
    """Where in its period the stream's second sweep falls: a hash, so that streams do not march in step."""
    not_before: float = 0.0
    """Trouble: no request before this."""
    busy: bool = False
    place: int = 0
    """Its valid place among those that wait: one, or they would grow in number with every page."""
    tickets: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    """Its valid places in the live and in the deep queue; 0 = none."""
    swept: set[int] = set()


class Schedule:
    """The plan of one account's streams."""

    def __init__(self, *, live_rung: int = 0) -> None:
        self._entries: dict[str, Entry] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._ready: tuple[list[tuple[int, float, int, str]], list[tuple[int, float, int, str]]] = ([], [])
        self._live = live_rung
        self._credit = 0.0
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, stream: str, rungs: tuple[Rung, ...], due: list[float], *, not_before: float = 0.0) -> None:
        """A stream to be polled from now on; ``due`` has one monotonic time for each rung."""
        entry = Entry(stream, rungs, due, _spread(stream), not_before=not_before, tickets=[0, 0], swept=set())
        self._entries[stream] = entry
        self._wait(entry, -math.inf)

    def remove(self, stream: str) -> None:
        """Never again; a page in flight ends by itself."""
        self._entries.pop(stream, None)

    def entry(self, stream: str) -> Entry | None:
        """The plan of one stream, to look at."""
        return self._entries.get(stream)

    def next(self, now: float) -> Go | Wait:
        """What to do now. A Go stands until :meth:`start` is called for it."""
        while self._waiting and self._waiting[0][0] <= now:
            _, place, stream = heapq.heappop(self._waiting)
            entry = self._entries.get(stream)
            if entry is not None and not entry.busy and entry.place == place:
                self._queue(entry, now)
        which = self._pick()
        if which is not None:
            place, _, _, stream = self._ready[which][0]
            return Go(stream, place % len(self._entries[stream].due))
        return Wait(max(0.0, self._waiting[0][0] - now) if self._waiting else None)

    def start(self, go: Go) -> None:
        """The request of this Go is being made; the stream is busy until :meth:`done`."""
        which = self._pick()
        assert which is not None, "only an answer may be started"
        assert self._ready[which][0][3] == go.stream, "only the newest answer may be started"
        heapq.heappop(self._ready[which])
        other = self._top(1 - which)
        if other is not None:
            self._credit += -(1 - DEEP_SHARE) if which else DEEP_SHARE
        entry = self._entries[go.stream]
        entry.tickets, entry.busy = [0, 0], True

    def done(self, stream: str, *, not_before: float = 0.0) -> None:
        """The page is durable, or the request failed: the stream is free again, at the earliest at ``not_before``."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.busy, entry.not_before = False, not_before
            self._wait(entry, -math.inf)

    def swept(self, stream: str, rung: int, *, began: float, took_s: float, period_s: float) -> None:
        """A sweep of the rung came to its end: due again a period after its start, the first time at its own phase.

        A provider so slow that a live sweep outlasts its interval still leaves the deep rungs their share of time:
        ``took_s`` is what the sweep's own pages took, without those of others that were served between them.
        """
        entry = self._entries.get(stream)
        if entry is None:
            return
        if rung not in entry.swept:
            entry.swept.add(rung)
            period_s *= entry.spread
        entry.due[rung] = began + max(period_s, took_s / (1 - DEEP_SHARE))

    def plan(self, stream: str, rung: int, due: float) -> None:
        """When a rung is due next, whatever was planned."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.due[rung] = due

    def hurry(self, stream: str, rung: int, now: float) -> None:
        """Bring a rung forward; never postpones."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.due[rung] = min(entry.due[rung], now)
            self._wait(entry, -math.inf)

    def _pick(self) -> int | None:
        """The queue to serve: 0 live, unless 1 the deep one has earned its turn."""
        live, deep = self._top(0), self._top(1)
        if live is None or deep is None:
            return None if live is deep else int(live is None)
        return int(self._credit >= 1 - DEEP_SHARE)

    def _top(self, which: int) -> str | None:
        """The first stream of a queue whose place is still valid."""
        heap = self._ready[which]
        while heap:
            entry = self._entries.get(heap[0][3])
            if entry is not None and entry.tickets[which] == heap[0][2]:
                return entry.stream
            heapq.heappop(heap)
        return None

    def _queue(self, entry: Entry, now: float) -> None:
        """Give the stream a place for its shallowest due live and deep rungs, and look again when more falls due."""
        if entry.not_before > now:
            return self._wait(entry, now)
        rungs = len(entry.rungs)
        budgeted = range(rungs - len(entry.due), 0)
        for which, order in enumerate(((self._live,), (*budgeted, *range(self._live), *range(self._live + 1, rungs)))):
            place = next((index for index in order if entry.due[index] <= now), None)
            if place is not None:
                self._number += 1
                entry.tickets[which] = self._number
                heapq.heappush(self._ready[which], (place, entry.due[place], self._number, entry.stream))
        return self._wait(entry, now)

    def _wait(self, entry: Entry, after: float) -> None:
        """Look at the stream again when the next of its rungs falls due after ``after``."""
        later = [max(due, entry.not_before) for due in entry.due if max(due, entry.not_before) > after]
        if later:
            self._number += 1
            entry.place = self._number
            heapq.heappush(self._waiting, (min(later), self._number, entry.stream))


def _spread(stream: str) -> float:
    """A fraction in (0, 1] that belongs to the stream."""
    return (hashlib.blake2b(stream.encode(), digest_size=4).digest()[0] + 1) / 256


def due_from_marks(rungs: tuple[Rung, ...], cursor: Cursor, *, provider_now: int, now: float) -> list[float]:
    """When each rung of a restored stream is due, in monotonic seconds: a period after its last complete sweep.

    Sweeps in hand and rungs that owe something are due at once.
    """
    due = [now + (m.complete + r.period - provider_now) / SECOND for r, m in zip(rungs, cursor.marks, strict=True)]
    return [
        now if index in cursor.sweeps or index in cursor.debts else min(due[index], now + rungs[index].period / SECOND)
        for index in range(len(rungs))
    ]


def quiet_period(*, interval_s: float, quiet_s: float, per_reach: float, streams: int, rate: float) -> float:
    """Seconds between two polls of a stream that is read whole, spaced by the age of its last change.

    At least the interval; at most one round of all streams within the planned share of the
    rate limit (``rate`` in requests per second; ``per_reach`` is reach / period of the ladder).
    """
    return min(max(interval_s, quiet_s / per_reach), max(interval_s, round_s(streams, rate)))
