"""Which stream's which job is asked next: a value per account that answers Due or Wait, and never sleeps.

Who goes first is a job's rank (:class:`.jobs.Rank`): the newest messages, then what nobody has read yet, then what is
read again, the live rung before the deeper ones, then side queries; within a rank the shallower rung, then what has
waited longest. So a live poll waits for at most one page of anything else. Shares keep the lower ranks from starving: of what contends, the edge leaves them a
part, and each of the last three gets at least a small one. The cost per request is that of a heap, whatever the
number of streams.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping

from msgspec import Struct, field

from ..coverage.cursor import Cursor
from ..coverage.ladder import Rung
from ..model import SECOND
from .client.rate_limit import Wait
from .demand import DEEP_SHARE, round_s
from .jobs import Job, Rank, Sweep, place

SHARES = {Rank.OVERLAP: 0.45, Rank.REFRESH: 0.05, Rank.SIDE: 0.05}
"""The part of a request that a rank earns while it waits and another one is served; the overlap, while another than the edge is.

So the last two get one in twenty of all requests at least, the overlap three in ten of those that the edge leaves, and what nobody has
read yet the rest: new messages may be in both.
"""

EARNED_MAX = 2.0
"""Requests that a rank can have earned while it waited: it makes up for its turn, not for a long silence."""

IN_FLIGHT_MAX = 4
"""Requests of one stream in flight: enough to use a rate limit in spite of a provider's latency, few enough for its neighbours."""


class Due(Struct, frozen=True):
    """Ask this stream for the next page of this job."""

    stream: str
    job: Job


class Plan(Struct):
    """When a job is due (monotonic seconds), and its rank then."""

    due: float
    rank: Rank


class Entry(Struct):
    """One stream's plans. Times are monotonic seconds."""

    stream: str
    plans: dict[Job, Plan]
    spread: float
    """Where in its period the stream's second sweep falls: a hash, so that streams do not march in step."""
    not_before: float = 0.0
    """Trouble: no request before this."""
    in_flight: set[Job] = field(default_factory=set)
    place: int = 0
    """Its valid place among those that wait: one, or they would grow in number with every page."""
    tickets: dict[Rank, int] = field(default_factory=dict)
    """Its valid places in the queues, by rank."""
    swept: set[Job] = field(default_factory=set)

    @property
    def due(self) -> dict[Job, float]:
        """When each job is due."""
        return {job: plan.due for job, plan in self.plans.items()}


class Schedule:
    """The plan of one account's streams."""

    def __init__(self, *, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self._entries: dict[str, Entry] = {}
        self._waiting: list[tuple[float, int, str]] = []
        self._ready: dict[Rank, list[tuple[int, float, int, Due]]] = {rank: [] for rank in Rank}
        self._in_flight_max = in_flight_max
        self._below = 0.0
        """What the ranks below the edge have earned while the edge went first, in requests."""
        self._earned: dict[Rank, float] = {}
        """What each of the last three ranks has earned while others went first, in requests."""
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, stream: str, plans: Mapping[Job, Plan], *, not_before: float = 0.0) -> None:
        """A stream to be polled from now on."""
        entry = Entry(stream, dict(plans), _spread(stream), not_before=not_before)
        self._entries[stream] = entry
        self._wait(entry, -math.inf)

    def remove(self, stream: str) -> None:
        """Never again; a page in flight ends by itself."""
        self._entries.pop(stream, None)

    def entry(self, stream: str) -> Entry | None:
        """The plans of one stream, to look at."""
        return self._entries.get(stream)

    def idle(self, stream: str) -> bool:
        """Whether no request of the stream is in flight."""
        entry = self._entries.get(stream)
        return entry is None or not entry.in_flight

    def next(self, now: float) -> Due | Wait:
        """What to do now. A Due stands until :meth:`start` is called for it, or something of a higher rank falls due."""
        while self._waiting and self._waiting[0][0] <= now:
            _, number, stream = heapq.heappop(self._waiting)
            entry = self._entries.get(stream)
            if entry is not None and entry.place == number:
                self._queue(entry, now)
        rank = self._pick()
        if rank is not None:
            return self._ready[rank][0][3]
        return Wait(max(0.0, self._waiting[0][0] - now) if self._waiting else None)

    def start(self, due: Due) -> None:
        """The request of this Due is being made; its job is in flight until :meth:`done`."""
        rank = self._pick()
        assert rank is not None, "only an answer may be started"
        assert self._ready[rank][0][3] == due, "only the newest answer may be started"
        heapq.heappop(self._ready[rank])
        self._earn(rank)
        entry = self._entries[due.stream]
        entry.tickets = {}
        entry.in_flight.add(due.job)
        self._wait(entry, -math.inf)

    def done(self, stream: str, job: Job, *, not_before: float = 0.0) -> None:
        """The job may ask on; after a failure the stream waits until ``not_before``."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.in_flight.discard(job)
            entry.not_before = max(entry.not_before, not_before)
            self._wait(entry, -math.inf)

    def hold_back(self, stream: str, until: float) -> None:
        """No request of the stream before a monotonic time."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.tickets, entry.not_before = {}, max(entry.not_before, until)
            self._wait(entry, -math.inf)

    def swept(self, stream: str, job: Job, rank: Rank, *, began: float, took_s: float, period_s: float) -> None:
        """A sweep came to its end: due again a period after its start, the first time at its own phase.

        A provider so slow that a live sweep outlasts its interval still leaves the deep rungs their share of time:
        ``took_s`` is what the sweep's own pages took, without those of others that were served between them.
        """
        entry = self._entries.get(stream)
        if entry is None:
            return
        if job not in entry.swept:
            entry.swept.add(job)
            period_s *= entry.spread
        entry.plans[job] = Plan(began + max(period_s, took_s / (1 - DEEP_SHARE)), rank)

    def plan(self, stream: str, job: Job, due: float, rank: Rank) -> None:
        """When a job is due next, whatever was planned."""
        entry = self._entries.get(stream)
        if entry is not None:
            entry.plans[job] = Plan(due, rank)
            self._wait(entry, -math.inf)

    def hurry(self, stream: str, job: Job, now: float, rank: Rank) -> None:
        """Bring a job forward; never postpones."""
        entry = self._entries.get(stream)
        if entry is not None:
            due = entry.plans[job].due if job in entry.plans else math.inf
            self.plan(stream, job, min(due, now), rank)

    def _pick(self) -> Rank | None:
        """The queue to serve: the highest rank, unless a lower one has earned its turn."""
        there = [rank for rank in Rank if self._top(rank) is not None]
        if len(there) < 2:
            return there[0] if there else None
        if there[0] is Rank.EDGE:
            if self._below < 1 - DEEP_SHARE:
                return Rank.EDGE
            there = there[1:]
        return next((rank for rank in reversed(there[1:]) if self._earned.get(rank, 0.0) >= 1), there[0])

    def _earn(self, served: Rank) -> None:
        """Who waits while others are served earns a part of a request (:data:`SHARES`)."""
        waiting = [rank for rank in Rank if rank is not served and self._top(rank) is not None]
        if served is Rank.EDGE and waiting:
            self._below += DEEP_SHARE
        elif Rank.EDGE in waiting:
            self._below -= 1 - DEEP_SHARE
        for rank in waiting:
            if rank is not Rank.OVERLAP or served is not Rank.EDGE:
                self._earned[rank] = min(EARNED_MAX, self._earned.get(rank, 0.0) + SHARES.get(rank, 0.0))
        self._earned[served] = max(0.0, self._earned.get(served, 0.0) - 1)

    def _top(self, rank: Rank) -> Due | None:
        """The first of a queue whose place is still valid."""
        heap = self._ready[rank]
        while heap:
            _, at, number, due = heap[0]
            entry = self._entries.get(due.stream)
            if entry is not None and entry.tickets.get(rank) == number and _stands(entry.plans[due.job], at, rank):
                return due
            heapq.heappop(heap)
        return None

    def _queue(self, entry: Entry, now: float) -> None:
        """Give the stream a place in the queue of each rank for its first job that is due, and look again when more falls due."""
        if entry.not_before <= now and len(entry.in_flight) < self._in_flight_max:
            best: dict[Rank, tuple[int, float, Job]] = {}
            for job, plan in entry.plans.items():
                if plan.due <= now and job not in entry.in_flight:
                    mine = place(job), plan.due, job
                    if plan.rank not in best or mine[:2] < best[plan.rank][:2]:
                        best[plan.rank] = mine
            for rank, (first, due, job) in best.items():
                self._number += 1
                entry.tickets[rank] = self._number
                heapq.heappush(self._ready[rank], (first, due, self._number, Due(entry.stream, job)))
        self._wait(entry, now)

    def _wait(self, entry: Entry, after: float) -> None:
        """Look at the stream again when the next of its jobs falls due after ``after``."""
        if len(entry.in_flight) >= self._in_flight_max:
            return
        later = [max(plan.due, entry.not_before) for job, plan in entry.plans.items() if job not in entry.in_flight]
        later = [due for due in later if after < due < math.inf]
        if later:
            self._number += 1
            entry.place = self._number
            heapq.heappush(self._waiting, (min(later), self._number, entry.stream))


def _stands(plan: Plan, at: float, rank: Rank) -> bool:
    """Whether a job that was queued as due ``at`` is still due then, in that rank."""
    return plan.due <= at and plan.rank is rank


def _spread(stream: str) -> float:
    """A fraction in (0, 1] that belongs to the stream."""
    return (hashlib.blake2b(stream.encode(), digest_size=4).digest()[0] + 1) / 256


def due_from_marks(rungs: tuple[Rung, ...], cursor: Cursor, *, provider_now: int, now: float) -> dict[Job, float]:
    """When each rung of a restored stream is due, in monotonic seconds: a period after its last complete sweep.

    Sweeps in hand and rungs that owe something are due at once.
    """
    found: dict[Job, float] = {}
    for index, (rung, mark) in enumerate(zip(rungs, cursor.marks, strict=True)):
        due = now + (mark.complete + rung.period - provider_now) / SECOND
        owes = index in cursor.sweeps or index in cursor.debts
        found[Sweep(index)] = now if owes else min(due, now + rung.period / SECOND)
    return found


def quiet_period(*, interval_s: float, quiet_s: float, per_reach: float, streams: int, rate: float) -> float:
    """Seconds between two polls of a stream that is read whole, spaced by the age of its last change.

    At least the interval; at most one round of all streams within the planned share of the
    rate limit (``rate`` in requests per second; ``per_reach`` is reach / period of the ladder).
    """
    return min(max(interval_s, quiet_s / per_reach), max(interval_s, round_s(streams, rate)))
