"""One account: its streams, its allowance, its troubles. Nothing here can delay another account.

The schedule says what is due, the limiter whether it may be asked now; every page runs as a task
of its own, one request a stream at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from ..coverage import backfill, ladder, lateness
from ..coverage import cursor as window
from ..coverage.backfill import BackfillRequest
from ..errors import AccountTrouble, ProviderError, RateLimited, Unauthorized
from ..model import SECOND, Instant, Stream
from ..providers.contract import LOOKUP
from ..publishing.message_state import stream_tag
from ..telemetry.account_facts import SweepFacts
from ..telemetry.snapshot import AccountSnapshot, StreamPage
from . import jobs, streams
from . import side_queries as chores
from .backoff import Backoffs
from .client.rate_limit import Wait
from .context import Account
from .demand import Demand
from .ladder_tuning import STRETCH_SAID
from .lookups import Lookups
from .pictures import AccountPictures
from .schedule import Go, Schedule, due_from_marks, quiet_period
from .streams import LOOK_S, StreamPoll
from .sweep import page

REQUESTS_MAX = 32
"""Requests of one account in flight: enough that a few streams that hang do not stop the others."""


NOT_OWNER_S = 0.2


class Poller:
    """The loop of one account. ``streams`` is asked again every second for the names to poll."""

    def __init__(
        self,
        account: Account,
        *,
        interval_s: float,
        rate: tuple[int, float],
        streams: Callable[[], Iterable[str]],
        may_poll: Callable[[], bool],
    ) -> None:
        self.account = account
        self._interval_s, self._rate = interval_s, rate
        self._streams, self._may_poll = streams, may_poll
        self._demand = Demand(rate[0] / rate[1])
        self._stretched = False
        self._schedule = Schedule(live_rung=ladder.live(account.rungs))
        self._polled: dict[str, StreamPoll] = {}
        self._looked_up: dict[str, Lookups | None] = {}
        """What streams that were taken off the list wait for, should they come back."""
        self._backoffs = Backoffs(account.committer.shard_state, account.key, account.clock, interval_s)
        if self._backoffs.account is not None:
            account.client.hold_until(self._backoffs.account.until)
        self._pictures = AccountPictures(
            account, self._polled, backoffs=self._backoffs, schedule=self._schedule, demand=self._demand, interval_s=interval_s
        )
        self._in_flight = 0
        self._next_backfill = -math.inf
        self._wake = anyio.Event()

    async def run(self) -> None:
        """Poll until cancelled; raises what a commit raised."""
        async with self.account.client, anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            while True:
                await self._next(tasks)

    async def _next(self, tasks: TaskGroup) -> None:
        now = self.account.clock.monotonic()
        if not self._may_poll():
            return await self._rest(NOT_OWNER_S)
        choice = self._schedule.next(now) if self._in_flight < REQUESTS_MAX else Wait(None)
        if isinstance(choice, Wait):
            return await self._rest(choice.seconds)
        if self._polled[choice.stream].rungs is not self.account.rungs:
            return self._reladder(self._polled[choice.stream])
        if self._nothing_to_ask(choice, now):
            return None
        allowance = self.account.client.allowance()
        if isinstance(allowance, Wait):
            return await self._rest(allowance.seconds)
        self._schedule.start(choice)
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
            trouble = self._backoffs.account
            if trouble is not None and trouble.kind == Unauthorized.kind and self.account.client.secrets_changed():
                trouble.until = 0.0
                self.account.client.release()
                self._wake.set()
            await self.account.clock.sleep(LOOK_S)

    def _follow(self) -> None:
        wanted = {
            stream.id: stream
            for name in self._streams()
            for stream in [Stream(self.account.provider.name, self.account.key.partition("/")[2], name)]
        }
        for gone in self._polled.keys() - wanted.keys():
            self._schedule.remove(gone)
            self._demand.forget(gone)
            self._looked_up[gone] = self._polled.pop(gone).lookups
            self._backoffs.forget(gone)
            self._pictures.gone(gone)
        for stream_id in wanted.keys() - self._polled.keys():
            self._add(wanted[stream_id])
            self._wake.set()

    def _add(self, stream: Stream) -> None:
        """A stream that begins here: where its cursor left it, or anew."""
        self._polled[stream.id] = polled = StreamPoll(stream, self.account.rungs)
        polled.lookups = self._looked_up.pop(stream.id, None)
        if (cursor := self.account.committer.shard_state.cursor(stream.id)) is not None:
            polled.told_gaps = cursor.gaps
        streams.remember(self.account, polled, round(self._interval_s * SECOND))
        self._backoffs.take_over(stream.id)
        self._reladder(polled)
        self._pictures.changed(stream.id)

    def _reladder(self, polled: StreamPoll) -> None:
        """The stream goes on under today's ladder; none of its pages is in flight."""
        account, now, stream_id = self.account, self.account.clock.monotonic(), polled.stream.id
        polled.rungs, polled.counts = account.rungs, {}
        cursor, due = account.committer.shard_state.cursor(stream_id), [now] * len(account.rungs)
        if cursor is not None:
            adopted = window.adopt(account.rungs, cursor)
            if adopted != cursor:
                account.committer.shard_state.keep_cursor(stream_id, adopted)
            due = due_from_marks(account.rungs, adopted, provider_now=account.provider_clock.earliest(account.clock.now()), now=now)
        due.append(now if backfill.running(cursor) else math.inf)
        due += [now + jobs.period_s(account, number, self._interval_s) for number in range(len(account.provider.side_queries))]
        for by_index in (polled.chores, polled.chore_tries, polled.failures, polled.chore_events, polled.bad_pages, polled.unkept):
            by_index.clear()
        trouble = self._backoffs.of(stream_id)
        self._demand.forget(stream_id)
        self._schedule.add(stream_id, account.rungs, due, not_before=trouble.until if trouble else 0.0)

    async def _page(self, go: Go) -> None:
        polled, began = self._polled[go.stream], self.account.clock.monotonic()
        chore = polled.chore(go.rung)
        not_before = 0.0
        try:
            ended = await (page if chore is None else chores.page)(self.account, polled, go.rung)
        except ProviderError as error:
            if self._polled.get(go.stream) is not polled:
                return  # the stream was taken off the list meanwhile
            beside = chore is not None or polled.is_backfill(go.rung)
            if beside and not isinstance(error, AccountTrouble):
                self._gave_up(go, polled, error)
            else:
                not_before = self._failed(go, polled, error)
        else:
            if self._polled.get(go.stream) is not polled:
                return
            if chore is not None:
                self._chore_goes_on(go, polled, chore, ended=ended)
                return
            self._backoffs.over(polled.stream.id)
            self.account.facts.well(polled.stream.id)
            polled.failures.pop(go.rung, None)
            if polled.is_backfill(go.rung):
                self._filled(go, polled, ended=ended)
            else:
                if go.rung == ladder.live(polled.rungs):
                    for index in jobs.recovered(polled):
                        self._schedule.hurry(go.stream, index, self.account.clock.monotonic())
                polled.counts[go.rung].took_s += max(self.account.client.spacing_s, self.account.clock.monotonic() - began)
                if ended:
                    self._swept(go, polled)
        finally:
            self._in_flight -= 1
            if self._polled.get(go.stream) is polled:  # else it was taken off, and a new one of that name has a page of its own
                self._schedule.done(go.stream, not_before=not_before)
                self._pictures.changed(go.stream)
            self._wake.set()

    def _nothing_to_ask(self, choice: Go, now: float) -> bool:
        """Whether a chore that is due has nothing to ask: then it is looked at again after its period, and costs no request."""
        polled = self._polled[choice.stream]
        chore = polled.chore(choice.rung)
        if chore is None or chores.begin(self.account, polled, choice.rung):
            return False
        self._schedule.start(choice)
        self._schedule.plan(choice.stream, choice.rung, now + jobs.period_s(self.account, chore, self._interval_s))
        self._schedule.done(choice.stream)
        return True

    def _chore_goes_on(self, go: Go, polled: StreamPoll, chore: int, *, ended: bool) -> None:
        """The next request by the chore's own budget, the next run a period after this one.

        All streams of the account share the budget, and it shrinks as the look-back stretches.
        """
        now, counts = self.account.clock.monotonic(), polled.counts[go.rung]
        share = self.account.provider.side_queries[chore].share / len(self._polled)
        due = now + self._demand.stretch / (share * self._demand.rate)
        if ended:
            lookup = polled.lookups is not None and self.account.provider.side_queries[chore].name == LOOKUP
            due = due if lookup else max(due, counts.began + jobs.period_s(self.account, chore, self._interval_s))
            del polled.counts[go.rung]
            polled.failures.pop(go.rung, None)
        self._schedule.plan(go.stream, go.rung, due)

    def _gave_up(self, go: Go, polled: StreamPoll, error: ProviderError) -> None:
        """A chore or a backfill failed: the stream goes on."""
        wait = jobs.wait_s(self.account, polled, go.rung, self._interval_s)
        self.account.facts.trouble(f"{go.stream} ({self._rung_name(go)})", error, wait)
        self._schedule.plan(go.stream, go.rung, self.account.clock.monotonic() + wait)

    def backfill(self, stream_id: str, asked: BackfillRequest) -> None:
        """A past range of one of this account's streams is wanted; while another one is under way, nothing happens."""
        shard_state = self.account.committer.shard_state
        cursor, polled = shard_state.cursor(stream_id), self._polled.get(stream_id)
        if cursor is None or polled is None:
            return
        begun = backfill.begin(cursor, asked)
        if begun is not cursor:
            shard_state.keep_cursor(stream_id, begun)
            self._pictures.changed(stream_id)
            self._schedule.hurry(stream_id, len(polled.rungs), self._backfill_turn())
            self._wake.set()

    def _backfill_turn(self) -> float:
        """When a backfill may ask next: all of the account's share one part of its rate limit."""
        turn = max(self._next_backfill, self.account.clock.monotonic())
        self._next_backfill = turn + 1 / (backfill.QUOTA_SHARE * self._demand.rate)
        return turn

    def _filled(self, go: Go, polled: StreamPoll, *, ended: bool) -> None:
        """After a page of a backfill: the next one in its turn."""
        done = ended and not backfill.running(self.account.committer.shard_state.cursor(go.stream))  # another part may follow
        self._schedule.plan(go.stream, go.rung, math.inf if done else self._backfill_turn())
        if done:
            counts = polled.counts.pop(go.rung)
            self._tell(go, counts.began, "ok" if counts.rows else "empty", counts.pages, counts.rows, counts.events)

    def _swept(self, go: Go, polled: StreamPoll) -> None:
        account, now = self.account, self.account.clock.monotonic()
        counts, live = polled.counts.pop(go.rung), ladder.live(polled.rungs)
        period_s = self._period(polled.stream, go.rung)
        per_second = counts.pages / counts.longer / period_s
        self._demand.swept(go.stream, go.rung, per_second, deep=go.rung != live)
        if go.rung > live:
            self._demand.expect(go.stream, range(go.rung + 1, len(polled.rungs)), per_second)
        if go.rung != live:
            period_s *= self._demand.stretch
        self._schedule.swept(go.stream, go.rung, began=counts.began, took_s=counts.took_s, period_s=period_s)
        self._watch_stretch()
        if go.rung == live:
            self._learn()
        if (cursor := account.committer.shard_state.cursor(go.stream)) is not None:
            latest = account.provider_clock.latest(account.clock.now())
            for rung in window.settling(polled.rungs, cursor, latest=latest, slack=account.slack):
                if rung not in polled.failures:
                    self._schedule.hurry(go.stream, rung, now)
        if counts.pages:
            self._tell(go, counts.began, "ok" if counts.rows else "empty", counts.pages, counts.rows, counts.events)

    def _period(self, stream: Stream, rung: int) -> float:
        """Seconds between two sweeps; a provider without filters is spaced by the age of its last change."""
        account, ladder = self.account, self.account.rungs
        cursor = account.committer.shard_state.cursor(stream.id)
        if account.by_time or cursor is None:
            return ladder[rung].period / SECOND
        quiet = (account.provider_clock.earliest(account.clock.now()) - cursor.changed) / SECOND
        return quiet_period(
            interval_s=self._interval_s,
            quiet_s=quiet,
            per_reach=account.quietness,
            streams=len(self._schedule),
            rate=self._rate[0] / self._rate[1],
        )

    def _watch_stretch(self) -> None:
        """Say once that the rate limit is too small for the look-back that is asked for."""
        stretch = self._demand.stretch
        if stretch > STRETCH_SAID and not self._stretched:
            self.account.facts.stretched(stretch)
        was, self._stretched = self._stretched, stretch > STRETCH_SAID or (self._stretched and stretch > STRETCH_SAID / 2)
        if was and not self._stretched:
            self.account.facts.stretched(stretch, over=True)

    def _learn(self) -> None:
        """Where overlap is auto: follow what the lateness of rows teaches."""
        account = self.account
        if account.overlap is not None or not account.by_time:
            return
        now, interval = account.provider_clock.earliest(account.clock.now()), round(self._interval_s * SECOND)
        chosen = lateness.choose(account.lateness, now=now, interval=interval, live_share=self._demand.live / self._demand.rate)
        if chosen.overlap != account.lateness.overlap:
            account.rungs = account.ladder(overlap=chosen.overlap)
            account.facts.overlap(chosen.overlap / SECOND, lateness.reason(chosen, now=now))
        account.lateness = chosen
        account.committer.shard_state.keep_lateness(account.key, chosen)

    def _failed(self, go: Go, polled: StreamPoll, error: ProviderError) -> float:
        """A request failed; returns when the stream may be tried again (the account's own trouble is looked at before every request)."""
        account = self.account
        trouble, wait = self._backoffs.failed(go.stream, error)
        if isinstance(error, RateLimited):
            account.facts.throttled(wait)
        account.facts.trouble(account.key if trouble is self._backoffs.account else go.stream, error, wait)
        counts = polled.counts.get(go.rung)
        self._tell(go, counts.began if counts else account.clock.monotonic(), _OUTCOMES.get(error.kind, "error"), 0, 0, 0)
        if trouble is self._backoffs.account:
            account.client.hold_until(trouble.until)
            return 0.0
        if go.rung != ladder.live(polled.rungs):  # what always fails lets deeper rungs go first
            self._schedule.plan(go.stream, go.rung, trouble.until + jobs.backing_off(polled, go.rung))
        else:
            polled.live_failures += 1
        return trouble.until

    def _tell(self, go: Go, began: float, outcome: str, pages: int, rows: int, events: int) -> None:
        seconds = self.account.clock.monotonic() - began
        told = SweepFacts(
            stream=go.stream, rung=self._rung_name(go), outcome=outcome, seconds=seconds, pages=pages, rows=rows, events=events
        )
        self.account.facts.sweep(told)

    def _rung_name(self, go: Go) -> str:
        polled = self._polled[go.stream]
        chore = polled.chore(go.rung)
        if chore is not None:
            return self.account.provider.side_queries[chore].name
        return "backfill" if polled.is_backfill(go.rung) else ladder.name(polled.rungs[go.rung])

    def bounds(self) -> dict[int, tuple[str, Instant]]:
        """For each stream's tag its id and the instant below which no later window reaches."""
        return {
            stream_tag(stream_id): (stream_id, window.oldest(polled.rungs, cursor, slack=self.account.slack))
            for stream_id, polled in self._polled.items()
            if (cursor := self.account.committer.shard_state.cursor(stream_id)) is not None
        }

    def snapshot(self, shard: int) -> AccountSnapshot:
        """This account, for outsiders."""
        return self._pictures.snapshot(shard)

    def streams(self, offset: int, limit: int) -> StreamPage:
        """Some of its streams, for outsiders."""
        return self._pictures.streams(offset, limit)


_OUTCOMES = {RateLimited.kind: "throttled", Unauthorized.kind: "auth"}
