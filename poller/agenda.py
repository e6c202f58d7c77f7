"""Which stream's which rung is asked next: a pure value per account that answers, and never sleeps.

Between any two pages the shallowest due rung goes first, so a live poll waits for at most one
page of a deep sweep. So that the deep rungs never starve when the live ones could use the
whole allowance, they earn a share with every live page. The cost per due stream is that of a
heap, whatever the number of streams.
"""

from __future__ import annotations

import hashlib
import heapq

from msgspec import Struct

from .model import SECOND
from .window import Cursor, Rung

DEEP_SHARE = 0.3
"""What deep rungs get at least while both kinds are due; shares of time as well as of requests."""

QUOTA_SHARE = 0.8
"""What regular polling plans to use of an account's rate limit."""


class Go(Struct, frozen=True):
    """Ask this stream for the next page of this rung."""

    stream: str
    rung: int


class Wait(Struct, frozen=True):
    """Nothing is due for so many seconds; None = until something is added."""

    seconds: float | None


class Entry(Struct):
    """One stream's plan. Times are monotonic seconds."""

    stream: str
    rungs: tuple[Rung, ...]
    due: list[float]
    spread: float
    """Where in its period the stream's second sweep falls: a hash, so that streams do not march in step."""
    not_before: float = 0.0
    """Trouble: no request before this."""
    busy: bool = False
    queued: bool = False
    gone: bool = False
    swept: set[int] = set()

    def next_at(self) -> float:
        """When the stream next wants a request."""
        return max(self.not_before, min(self.due))

    def shallowest(self, now: float) -> int | None:
        """The first rung that is due."""
        return next((index for index, due in enumerate(self.due) if due <= now), None)


class Agenda:
    """The plan of one account's streams."""

    def __init__(self, *, live_rung: int = 0) -> None:
        self._entries: dict[str, Entry] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._ready: tuple[list[tuple[int, float, int, str]], list[tuple[int, float, int, str]]] = ([], [])
        self._live_rung = live_rung
        self._credit = 0.0
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, stream: str, rungs: tuple[Rung, ...], due: list[float], *, not_before: float = 0.0) -> None:
        """A stream to be polled from now on; ``due`` has one monotonic time for each rung."""
        entry = Entry(stream, rungs, due, _spread(stream), not_before=not_before, swept=set())
        self._entries[stream] = entry
        self._wait(entry)

    def remove(self, stream: str) -> None:
        """Never again; a page in flight ends by itself."""
        entry = self._entries.pop(stream, None)
        if entry is not None:
            entry.gone = True

    def entry(self, stream: str) -> Entry | None:
        """The plan of one stream, to look at."""
        return self._entries.get(stream)

    def next(self, now: float) -> Go | Wait:
        """What to do now. A Go stands until :meth:`start` is called for it."""
        while self._waiting and self._waiting[0][0] <= now:
            entry = self._entries.get(heapq.heappop(self._waiting)[2])
            if entry is not None and not entry.busy and not entry.queued and entry.next_at() <= now:
                self._queue(entry, now)
        while (heap := self._pick()) is not None:
            _, _, _, name = heap[0]
            entry = self._entries.get(name)
            rung = entry.shallowest(now) if entry is not None and entry.queued else None
            if entry is not None and rung is not None and entry.not_before <= now:
                return Go(name, rung)
            heapq.heappop(heap)
            if entry is not None and entry.queued:
                entry.queued = False
                self._wait(entry)
        return Wait(max(0.0, self._waiting[0][0] - now) if self._waiting else None)

    def start(self, go: Go) -> None:
        """The request of this Go is being made; the stream is busy until :meth:`done`."""
        heap = self._pick()
        assert heap is not None and heap[0][3] == go.stream, "only the newest answer may be started"
        heapq.heappop(heap)
        if self._ready[0] and self._ready[1] or heap is self._ready[1]:
            self._credit += DEEP_SHARE if heap is self._ready[0] else -(1 - DEEP_SHARE)
            self._credit = min(max(self._credit, -1.0), 1.0)
        entry = self._entries[go.stream]
        entry.queued, entry.busy = False, True

    def done(self, stream: str, *, not_before: float = 0.0) -> None:
        """The page is durable, or the request failed: the stream is free again, at the earliest at ``not_before``."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.busy, entry.not_before = False, not_before
            self._wait(entry)

    def swept(self, stream: str, rung: int, *, began: float, now: float, period_s: float) -> None:
        """A sweep of the rung came to its end: due again a period after its start, the first time at its own phase.

        A provider so slow that a live sweep outlasts its interval still leaves the deep rungs their share of time.
        """
        entry = self._entries.get(stream)
        if entry is None:
            return
        if rung not in entry.swept:
            entry.swept.add(rung)
            period_s *= entry.spread
        entry.due[rung] = max(began + period_s, began + (now - began) / (1 - DEEP_SHARE))

    def hurry(self, stream: str, rung: int, now: float) -> None:
        """Bring a rung forward; never postpones."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.due[rung] = min(entry.due[rung], now)
            if not entry.busy and not entry.queued:
                self._wait(entry)

    def _pick(self) -> list[tuple[int, float, int, str]] | None:
        """The heap to serve: live first, unless the deep rungs have earned their turn."""
        live, deep = self._ready
        if live and deep:
            return deep if self._credit >= 1 - DEEP_SHARE else live
        return live or deep or None

    def _queue(self, entry: Entry, now: float) -> None:
        rung = entry.shallowest(now)
        if rung is not None:
            self._number += 1
            entry.queued = True
            heap = self._ready[rung > self._live_rung]
            heapq.heappush(heap, (rung, entry.due[rung], self._number, entry.stream))

    def _wait(self, entry: Entry) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (entry.next_at(), self._number, entry.stream))


def _spread(stream: str) -> float:
    """A fraction in (0, 1] that belongs to the stream."""
    return (hashlib.blake2b(stream.encode(), digest_size=4).digest()[0] + 1) / 256


def due_from_marks(rungs: tuple[Rung, ...], cursor: Cursor, *, provider_now: int, now: float) -> list[float]:
    """When each rung of a restored stream is due, in monotonic seconds: a period after its last complete sweep.

    Sweeps in hand and rungs that owe something are due at once.
    """
    due = [now + (m.complete + r.period - provider_now) / SECOND for r, m in zip(rungs, cursor.marks, strict=True)]
    return [now if index in cursor.sweeps or index in cursor.debts else min(due[index], now + rungs[index].period / SECOND) for index in range(len(rungs))]


def quiet_period(*, interval_s: float, quiet_s: float, per_reach: float, streams: int, rate: float) -> float:
    """Seconds between two polls of a stream that is read whole, spaced by the age of its last change.

    At least the interval; at most one round of all streams within the planned share of the
    rate limit (``rate`` in requests per second; ``per_reach`` is reach / period of the ladder).
    """
    round_s = streams / (QUOTA_SHARE * rate)
    return min(max(interval_s, quiet_s / per_reach), max(interval_s, round_s))
