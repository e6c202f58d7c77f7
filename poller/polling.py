"""One account: its streams, its allowance, its troubles. Nothing here can delay another account.

The agenda says what is due, the limiter whether it may be asked now; every page runs as a task
of its own, one request a stream at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from . import window
from .agenda import Agenda, Go, due_from_marks, quiet_period
from .codec import Waits
from .diff import stream_tag
from .errors import ProviderError, RateLimited, Unauthorized
from .model import SECOND, Instant, Stream
from .pacing import RateLimiter, Wait, wait_after
from .snapshot import AccountSnapshot, RungSnapshot, StreamSnapshot
from .sweep import Account, Polled, page
from .telemetry import SweepFacts

REQUESTS_MAX = 32
"""Requests of one account in flight: enough that a few streams that hang do not stop the others."""

LOOK_S = 1.0
"""How often the list of streams and a refused secret are looked at again."""

NOT_OWNER_S = 0.2


class Trouble(Struct):
    """Why a stream or an account waits."""

    kind: str
    failures: int
    since: Instant
    until: float
    """Monotonic seconds of the next try."""


class Poller:
    """The loop of one account. ``streams`` is asked again every second for the names to poll."""

    def __init__(
        self,
        account: Account,
        *,
        interval_s: float,
        rate: tuple[int, float],
        burst: int,
        streams: Callable[[], Iterable[str]],
        may_poll: Callable[[], bool],
        secrets_changed: Callable[[], bool],
    ) -> None:
        self.account = account
        self._interval_s, self._rate = interval_s, rate
        self._streams, self._may_poll, self._secrets_changed = streams, may_poll, secrets_changed
        self._limiter = RateLimiter(rate[0], rate[1], burst=burst, now=account.clock.monotonic())
        self._agenda = Agenda(live_rung=window.live(account.rungs))
        self._polled: dict[str, Polled] = {}
        self._troubles: dict[str, Trouble] = {}
        self._trouble: Trouble | None = None
        self._in_flight = 0
        self._wake = anyio.Event()
        self._random = random.Random(account.key)

    async def run(self) -> None:
        """Poll until cancelled; raises what a commit raised."""
        self._take_over()
        async with self.account.fetcher, anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            while True:
                await self._next(tasks)

    async def _next(self, tasks: TaskGroup) -> None:
        now = self.account.clock.monotonic()
        paused = self._trouble.until - now if self._trouble else 0.0
        if paused > 0:
            return await self._rest(paused)
        if not self._may_poll():
            return await self._rest(NOT_OWNER_S)
        choice = self._agenda.next(now) if self._in_flight < REQUESTS_MAX else Wait(None)
        if isinstance(choice, Wait):
            return await self._rest(choice.seconds)
        allowance = self._limiter.take(now)
        if isinstance(allowance, Wait):
            return await self._rest(allowance.seconds)
        self._agenda.start(choice)
        self._in_flight += 1
        tasks.start_soon(self._page, choice)
        return None

    async def _rest(self, seconds: float | None) -> None:
        """Until something changes, at most so long."""
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def _look(self) -> None:
        """Follow the configured streams, and a secret that changed while the account waits for it."""
        while True:
            self._follow()
            if self._trouble is not None and self._trouble.kind == Unauthorized.kind and self._secrets_changed():
                self._trouble.until = 0.0
                self._wake.set()
            await self.account.clock.sleep(LOOK_S)

    def _follow(self) -> None:
        wanted = {
            stream.id: stream
            for name in self._streams()
            for stream in [Stream(self.account.adapter.name, self.account.key.partition("/")[2], name)]
        }
        for gone in self._polled.keys() - wanted.keys():
            self._agenda.remove(gone)
            del self._polled[gone]
            self._troubles.pop(gone, None)
        for stream_id in wanted.keys() - self._polled.keys():
            self._add(wanted[stream_id])
            self._wake.set()

    def _add(self, stream: Stream) -> None:
        """A stream that begins here: where its cursor left it, or anew."""
        account, now = self.account, self.account.clock.monotonic()
        self._polled[stream.id] = Polled(stream)
        cursor, due, not_before = account.committer.ledger.cursor(stream.id), [now] * len(account.rungs), 0.0
        if cursor is not None:
            adopted = window.adopt(account.rungs, cursor)
            if adopted != cursor:
                account.committer.ledger.keep_cursor(stream.id, adopted)
            due = due_from_marks(account.rungs, adopted, provider_now=account.provider_clock.earliest(account.clock.now()), now=now)
            if cursor.waits is not None:
                kind, failures, until = cursor.waits
                self._troubles[stream.id] = self._restored(Waits(kind, failures, until))
                not_before = self._troubles[stream.id].until
        self._agenda.add(stream.id, account.rungs, due, not_before=not_before)

    def _take_over(self) -> None:
        """What the last owner knew of this account's troubles."""
        waits = self.account.committer.ledger.waits(self.account.key)
        if waits is not None:
            self._trouble = self._restored(waits)

    def _restored(self, waits: Waits) -> Trouble:
        clock = self.account.clock
        left = min(3600.0, max(0.0, (waits.until - clock.now()) / SECOND))
        return Trouble(waits.kind, waits.failures, clock.now(), clock.monotonic() + left)

    async def _page(self, go: Go) -> None:
        polled = self._polled[go.stream]
        not_before = 0.0
        try:
            ended = await page(self.account, polled, go.rung)
        except ProviderError as error:
            not_before = self._failed(go, polled, error)
        else:
            self._well(polled)
            if ended:
                self._swept(go, polled)
        finally:
            self._in_flight -= 1
            self._agenda.done(go.stream, not_before=not_before)
            self._wake.set()

    def _swept(self, go: Go, polled: Polled) -> None:
        account, now = self.account, self.account.clock.monotonic()
        counts = polled.counts.pop(go.rung)
        self._agenda.swept(go.stream, go.rung, began=counts.began, now=now, period_s=self._period(polled.stream, go.rung))
        for rung in cursor.debts if (cursor := account.committer.ledger.cursor(go.stream)) else ():
            self._agenda.hurry(go.stream, rung, now)
        if counts.pages:
            self._tell(go, counts.began, "ok" if counts.rows else "empty", counts.pages, counts.rows, counts.events)

    def _period(self, stream: Stream, rung: int) -> float:
        """Seconds between two sweeps; a provider without filters is spaced by the age of its last change."""
        account, ladder = self.account, self.account.rungs
        cursor = account.committer.ledger.cursor(stream.id)
        if account.adapter.filtered or cursor is None:
            return ladder[rung].period / SECOND
        quiet = (account.provider_clock.earliest(account.clock.now()) - cursor.changed) / SECOND
        return quiet_period(
            interval_s=self._interval_s,
            quiet_s=quiet,
            per_reach=account.quietness,
            streams=len(self._agenda),
            rate=self._rate[0] / self._rate[1],
        )

    def _well(self, polled: Polled) -> None:
        ledger, stream_id = self.account.committer.ledger, polled.stream.id
        if self._trouble is not None:
            self._trouble = None
            ledger.keep_waits(self.account.key, None)
        if self._troubles.pop(stream_id, None) is not None:
            cursor = ledger.cursor(stream_id)
            if cursor is not None and cursor.waits is not None:
                ledger.keep_cursor(stream_id, window.waiting(cursor, None))

    def _failed(self, go: Go, polled: Polled, error: ProviderError) -> float:
        """Note a trouble of the stream, or of the whole account; returns when the stream may be tried again."""
        account, clock, ledger = self.account, self.account.clock, self.account.committer.ledger
        whole = isinstance(error, RateLimited | Unauthorized)
        old = self._trouble if whole else self._troubles.get(go.stream)
        failures = old.failures + 1 if old is not None and old.kind == error.kind else 1
        wait = wait_after(error, failures, interval_s=self._interval_s, fraction=self._random.random())
        since = old.since if old is not None and failures > 1 else clock.now()
        trouble = Trouble(error.kind, failures, since, clock.monotonic() + wait)
        until = clock.now() + round(wait * SECOND)
        if whole:
            self._trouble = trouble
            ledger.keep_waits(account.key, Waits(error.kind, failures, until))
        else:
            self._troubles[go.stream] = trouble
            cursor = ledger.cursor(go.stream)
            if cursor is not None:
                ledger.keep_cursor(go.stream, window.waiting(cursor, (error.kind, failures, until)))
        if isinstance(error, RateLimited):
            account.facts.throttled(wait)
        account.facts.trouble(go.stream, error, wait)
        counts = polled.counts.get(go.rung)
        self._tell(go, counts.began if counts else clock.monotonic(), _OUTCOMES.get(error.kind, "error"), 0, 0, 0)
        return 0.0 if whole else trouble.until

    def _tell(self, go: Go, began: float, outcome: str, pages: int, rows: int, events: int) -> None:
        account = self.account
        account.facts.sweep(
            SweepFacts(
                stream=go.stream,
                rung=window.name(account.rungs[go.rung]),
                outcome=outcome,
                seconds=account.clock.monotonic() - began,
                pages=pages,
                rows=rows,
                events=events,
            )
        )

    def bounds(self) -> dict[int, tuple[str, Instant]]:
        """For each stream's tag its id and the instant below which no later window reaches."""
        slack = window.SLACK + self.account.provider_clock.error
        cursors = {stream_id: self.account.committer.ledger.cursor(stream_id) for stream_id in self._polled}
        return {
            stream_tag(stream_id): (stream_id, window.oldest(self.account.rungs, cursor, slack=slack))
            for stream_id, cursor in cursors.items()
            if cursor is not None
        }

    def snapshot(self, shard: int) -> AccountSnapshot:
        """This account, for outsiders."""
        account, now = self.account, self.account.clock.monotonic()
        streams = tuple(self._stream_snapshot(polled, now) for polled in self._polled.values())
        marks = [stream.watermark for stream in streams if stream.watermark is not None]
        successes = [stream.last_success for stream in streams if stream.last_success is not None]
        trouble = self._trouble
        return AccountSnapshot(
            provider=account.adapter.name,
            account=account.key.partition("/")[2],
            shard=shard,
            state="polling" if trouble is None else "waiting",
            reason=trouble and trouble.kind,
            next_try_s=trouble and max(0.0, trouble.until - now),
            watermark=min(marks, default=None),
            last_success=max(successes, default=None),
            overlap_s=account.rungs[window.live(account.rungs)].reach / SECOND if account.adapter.filtered else 0.0,
            messages=sum(account.committer.ledger.messages[stream_tag(stream_id)] for stream_id in self._polled),
            clock_error_s=account.provider_clock.error / SECOND,
            streams=streams,
        )

    def _stream_snapshot(self, polled: Polled, now: float) -> StreamSnapshot:
        stream_id = polled.stream.id
        cursor = self.account.committer.ledger.cursor(stream_id)
        trouble, entry = self._troubles.get(stream_id), self._agenda.entry(stream_id)
        rungs = tuple(
            RungSnapshot(
                reach_s=rung.reach / SECOND,
                period_s=rung.period / SECOND,
                last_complete=cursor.marks[index].complete if cursor and polled.last_success else None,
                next_due_s=entry.due[index] - now if entry else None,
                sweep_in_hand=bool(cursor and index in cursor.sweeps),
                late_rows=polled.late.get(index, 0),
                changes=polled.changes.get(index, 0),
            )
            for index, rung in enumerate(self.account.rungs)
        )
        return StreamSnapshot(
            id=stream_id,
            state="waiting" if trouble else "polling" if cursor else "new",
            reason=trouble and trouble.kind,
            since=trouble and trouble.since,
            next_try_s=trouble and max(0.0, trouble.until - now),
            watermark=cursor and cursor.watermark,
            floor=cursor and cursor.floor,
            last_success=polled.last_success,
            rungs=rungs,
            notes=dict(polled.notes),
        )


_OUTCOMES = {RateLimited.kind: "throttled", Unauthorized.kind: "auth"}
