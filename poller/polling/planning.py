"""When each job of a stream is due next: at the start, after each page, after each failure."""

from __future__ import annotations

import math

from ..clock import SystemClock
from ..coverage import backfill
from ..coverage import cursor as coverage
from ..errors import ProviderError
from ..model import SECOND
from ..providers.contract import LOOKUP
from ..publishing.shard_state import ShardState
from ..telemetry.account_facts import AccountFacts, SweepFacts
from . import jobs
from .backoff import OUTAGE_FAILURES, Backoffs
from .client.vendor import VendorClient
from .demand import DEEP_SHARE
from .failures import Failures
from .jobs import Backfill, Edge, Job, Part, Rank, Rest, SideQuery, Sweep
from .ladder_tuning import LadderTuner
from .page import Pages
from .schedule import Plan, Schedule, due_from_marks, quiet_period
from .settings import AccountSettings
from .side_queries import OFF_S
from .streams import StreamPoll

HINT_PERIODS_MAX = 8
"""Intervals that a hint waits on a stream that has been quiet for long: two minutes of the usual fifteen seconds."""

EDGE_AGAIN_SHARE = 0.125
"""The part of an interval, 0 to 1, after which an edge sweep reads no further into what the look before it has read.

It reads that again only for rows that were listed late, which the live sweep beside it finds, too.
"""


class Planner:
    """The plans of one account's streams."""

    def __init__(
        self,
        settings: AccountSettings,
        client: VendorClient,
        tuner: LadderTuner,
        pages: Pages,
        backoffs: Backoffs,
        shard_state: ShardState,
        facts: AccountFacts,
        clock: SystemClock,
    ) -> None:
        self._settings, self._client, self._tuner, self._pages, self._backoffs = settings, client, tuner, pages, backoffs
        self._shard_state, self._facts, self._clock = shard_state, facts, clock
        self.schedule = Schedule()
        self._failures = Failures(settings, client, pages.sweeps, backoffs, facts, clock)
        self._next_backfill = -math.inf

    def begin(self, poll: StreamPoll) -> None:
        """The stream goes on under today's ladder, where its cursor left it; none of its pages is in flight."""
        stream_id, now = poll.stream.id, self._clock.monotonic()
        poll.take_ladder(self._tuner.rungs)
        cursor = self._shard_state.cursor(stream_id)
        due: dict[Job, float] = {Sweep(index): now for index in range(len(poll.rungs))}
        if cursor is not None:
            adopted = coverage.adopt(poll.rungs, cursor)
            if adopted != cursor:
                self._shard_state.keep_cursor(stream_id, adopted)
            cursor = adopted
            due = due_from_marks(poll.rungs, adopted, provider_now=self._client.now_earliest(), now=now)
        held = cursor.sweeps.get(poll.live.rung) if cursor is not None else None
        if held is not None and self._client.by_time:
            poll.edge = held.started
            due[Edge()] = now
        due |= {Part(rung, number): now for rung, sweep in (cursor.sweeps if cursor else {}).items() for number in sweep.parts}
        if backfill.running(cursor):
            due[Backfill()] = now
        due |= {job: now + self._side_period_s(poll, job) for job in self._pages.side_queries.declared}
        plans = {job: Plan(at, jobs.rank(job, poll.rungs, cursor, long=held is not None)) for job, at in due.items()}
        trouble = self._backoffs.of(stream_id)
        self._tuner.demand.forget(stream_id)
        self.schedule.add(stream_id, plans, not_before=trouble.until if trouble else 0.0)

    def forget(self, stream_id: str) -> None:
        """The stream is no longer polled."""
        self.schedule.remove(stream_id)
        self._tuner.demand.forget(stream_id)
        self._backoffs.forget(stream_id)

    def starting(self, poll: StreamPoll, job: Job) -> bool:
        """Whether a job that is due has anything to ask; a side query that has not is looked at again after its period, and costs no request."""
        now = self._clock.monotonic()
        if isinstance(job, SideQuery) and not self._has_begun(poll, job):
            return False
        if isinstance(job, Sweep | Part) and self._pages.sweeps.stands_back(poll, job):
            self._plan(poll, job, math.inf)
            return False
        if job == poll.live and self._begins_with_the_newest(poll):
            self._plan(poll, Edge(), now + self._settings.interval_s)
        return True

    def _has_begun(self, poll: StreamPoll, job: SideQuery) -> bool:
        """Whether a side query has a request; else it is planned for later: after its period, or as any that failed."""
        try:
            if self._pages.side_queries.begin(poll, job) is not None:
                return True
        except ProviderError as error:
            self.failed(poll, job, error)
            return False
        self._plan(poll, job, self._clock.monotonic() + self._side_period_s(poll, job))
        return False

    def _begins_with_the_newest(self, poll: StreamPoll) -> bool:
        """Whether the live rung's next request begins a sweep: then the edge needs no look of its own for an interval."""
        cursor = self._shard_state.cursor(poll.stream.id)
        new = poll.of(poll.live).run is None and (cursor is None or poll.live.rung not in cursor.sweeps)
        return new and self._client.by_time

    def answered(self, poll: StreamPoll, job: Job, *, ended: bool, took_s: float) -> None:
        """A page of the job was applied; ``took_s`` is what it took."""
        progress = poll.of(job)
        run = progress.under_way(self._clock.monotonic())
        run.took_s += max(self._client.spacing_s, took_s)
        if isinstance(job, SideQuery):
            return self._side_query(poll, job, ended=ended)
        if run.events:
            self._hurry_hints(poll)
        self._backoffs.over(poll.stream.id)
        self._facts.well(poll.stream.id)
        match job:
            case Backfill():
                self._filled(poll, ended=ended)
            case Edge():
                self._recovered(poll)
                self._edge(poll, ended=ended)
            case Rest():
                self._plan(poll, job, math.inf if ended else self._clock.monotonic())
                if ended:
                    self._tell(poll, job)
            case Part(rung):
                self._plan(poll, job, math.inf if ended else self._clock.monotonic())
                self._parts(poll, rung)
                if ended:
                    self._part_ended(poll, job)
            case Sweep(rung):
                if job == poll.live:
                    self._recovered(poll)
                if ended:
                    self._swept(poll, job, rung)
                elif job == poll.live:
                    self._plan(poll, job, self._clock.monotonic())
                else:
                    self._parts(poll, rung)
        return self._failures.over(poll, job)

    def _parts(self, poll: StreamPoll, rung: int) -> None:
        """Where a sweep was cut just now, its parts are asked for."""
        entry, held = self.schedule.entry(poll.stream.id), self._pages.sweeps.cursor(poll).sweeps.get(rung)
        if entry is None or held is None:
            return
        for part in [Part(rung, number) for number in held.parts]:
            if entry.due.get(part, math.inf) == math.inf:
                self._plan(poll, part, self._clock.monotonic())

    def _part_ended(self, poll: StreamPoll, job: Part) -> None:
        """A part came to its end, and its sweep with the last of them."""
        poll.part_ended(job, self._clock.monotonic())
        if job.rung not in self._pages.sweeps.cursor(poll).sweeps:
            self._swept(poll, Sweep(job.rung), job.rung)

    def _swept(self, poll: StreamPoll, job: Sweep, rung: int) -> None:
        """A sweep of a rung came to its end."""
        run = poll.of(job).under_way(self._clock.monotonic())
        was_long = poll.long(self._clock.monotonic(), self._settings.interval_s)
        period_s = self._tuner.swept(poll, rung, run, self._period_s(poll, rung))
        self._tell(poll, job)
        self.schedule.swept(poll.stream.id, job, self._rank(poll, job), began=run.began, took_s=run.took_s, period_s=period_s)
        if job == poll.live:
            self._tuner.learn(now=self._client.now_earliest())
            if not was_long and self._client.by_time:
                entry = self.schedule.entry(poll.stream.id)
                self._plan(poll, Edge(), entry.plans[job].due if entry is not None else math.inf)
        self._settle_debts(poll)

    def _settle_debts(self, poll: StreamPoll) -> None:
        """Rungs that owe what a sweep which begins now would settle are due now."""
        cursor, now = self._shard_state.cursor(poll.stream.id), self._clock.monotonic()
        if cursor is None:
            return
        latest, slack = self._client.now_latest(), self._pages.sweeps.slack
        for rung in coverage.settling(poll.rungs, cursor, latest=latest, slack=slack):
            if not poll.of(Sweep(rung)).failures:
                self.schedule.hurry(poll.stream.id, Sweep(rung), now, self._rank(poll, Sweep(rung)))

    def _edge(self, poll: StreamPoll, *, ended: bool) -> None:
        """A page of the newest messages: on, or again an interval after the last look began; what takes longer goes on as a rest."""
        now, interval_s = self._clock.monotonic(), self._settings.interval_s
        run = poll.of(Edge()).under_way(now)
        if ended or (now - run.began >= EDGE_AGAIN_SHARE * interval_s and self._pages.sweeps.end_edge(poll)):
            self._tell(poll, Edge())
            poll.of(Edge()).gets_on(0, ended=True)
            if 2 * (now - run.began) < interval_s:
                poll.edge_was_quick()
            return self._plan(poll, Edge(), run.began + max(interval_s, run.took_s / (1 - DEEP_SHARE)))
        if now - run.began >= interval_s:
            self._plan(poll, self._pages.sweeps.cut_edge(poll), now)
        return self._plan(poll, Edge(), now)

    def _side_query(self, poll: StreamPoll, job: SideQuery, *, ended: bool) -> None:
        """The next request of a side query, within its share of the rate limit; the next run, not before its period.

        All streams of the account share the budget, and it shrinks as the look-back stretches.
        """
        now, progress, demand = self._clock.monotonic(), poll.of(job), self._tuner.demand
        share = self._pages.side_queries.declared[job].share / len(self.schedule)
        due = now + demand.stretch / (share * demand.rate)
        if ended:
            run, progress.run, progress.failures = progress.under_way(now), None, 0
            self._failures.over(poll, job)
            lookup = poll.lookups is not None and job.name == LOOKUP
            due = due if lookup else max(due, run.began + self._side_period_s(poll, job))
        if progress.switched_off:
            due = now + OFF_S
        self._plan(poll, job, due)

    def backfill_wanted(self, poll: StreamPoll) -> None:
        """A past range of the stream was asked for."""
        self.schedule.hurry(poll.stream.id, Backfill(), self._backfill_turn(), Rank.COVERAGE)

    def _filled(self, poll: StreamPoll, *, ended: bool) -> None:
        """After a page of a backfill: the next one in its turn."""
        done = ended and not backfill.running(self._shard_state.cursor(poll.stream.id))  # another part may follow
        self._plan(poll, Backfill(), math.inf if done else self._backfill_turn())
        if done:
            self._tell(poll, Backfill())

    def _backfill_turn(self) -> float:
        """When a backfill may ask next: all of the account's share one part of its rate limit."""
        turn = max(self._next_backfill, self._clock.monotonic())
        self._next_backfill = turn + 1 / (backfill.QUOTA_SHARE * self._tuner.demand.rate)
        return turn

    def failed(self, poll: StreamPoll, job: Job, error: ProviderError) -> float:
        """A request failed; returns when the stream may be tried again (what the whole account waits for, its client knows)."""
        now = self._clock.monotonic()
        if not self._failures.waits_alone(poll, job, error):
            return self._failures.together(poll, job, error)
        if isinstance(job, SideQuery):
            wait_s = self._failures.of_side_query(poll, job, error, self._side_period_s(poll, job))
        else:
            wait_s = self._failures.of_walk(poll, job, error)
        self._plan(poll, job, now + wait_s)
        return 0.0

    def _recovered(self, poll: StreamPoll) -> None:
        """The newest messages are answered: what failed beside them in an outage is tried again now, not after a wait that grew with the outage."""
        now = self._clock.monotonic()
        outage, poll.failures = poll.failures >= OUTAGE_FAILURES, 0
        for job, progress in list(poll.progress.items()) if outage else ():
            if progress.failures:
                progress.failures, progress.bad_pages = 0, {}
                self.schedule.hurry(poll.stream.id, job, now, self._rank(poll, job))

    def _plan(self, poll: StreamPoll, job: Job, due: float) -> None:
        self.schedule.plan(poll.stream.id, job, due, self._rank(poll, job))

    def _rank(self, poll: StreamPoll, job: Job) -> Rank:
        long = poll.long(self._clock.monotonic(), self._settings.interval_s) and self._client.by_time
        return jobs.rank(job, poll.rungs, self._shard_state.cursor(poll.stream.id), long=long)

    def _side_period_s(self, poll: StreamPoll, job: SideQuery) -> float:
        """Seconds from one run of a side query to the next: a hint on a quiet stream waits longer, until something changes again."""
        side_queries, cursor = self._pages.side_queries, self._shard_state.cursor(poll.stream.id)
        period_s = side_queries.period_s(job)
        if not side_queries.hints(job) or poll.of(job).events or cursor is None:
            return period_s
        quiet_s = (self._client.now_earliest() - cursor.changed) / SECOND
        return min(max(period_s, quiet_s / self._settings.quietness), HINT_PERIODS_MAX * period_s)

    def _hurry_hints(self, poll: StreamPoll) -> None:
        """The stream is quiet no more: its hints are asked for at every interval again, but for those that fail."""
        soon = self._clock.monotonic() + self._settings.interval_s
        for job in filter(self._pages.side_queries.hints, self._pages.side_queries.declared):
            progress = poll.of(job)
            if not (progress.failures or progress.tries or progress.switched_off):
                self.schedule.hurry(poll.stream.id, job, soon, Rank.SIDE)

    def _period_s(self, poll: StreamPoll, rung: int) -> float:
        """Seconds between two sweeps; a provider without filters is spaced by the age of its last change."""
        cursor = self._shard_state.cursor(poll.stream.id)
        if self._client.by_time or cursor is None:
            return poll.rungs[rung].period / SECOND
        return quiet_period(
            interval_s=self._settings.interval_s,
            quiet_s=(self._client.now_earliest() - cursor.changed) / SECOND,
            per_reach=self._settings.quietness,
            streams=len(self.schedule),
            rate=self._settings.rate,
        )

    def _tell(self, poll: StreamPoll, job: Job) -> None:
        """A run that ended."""
        run, poll.of(job).run = poll.of(job).run, None
        if run is not None and (run.pages or isinstance(job, Backfill)):
            self._facts.sweep(
                SweepFacts(
                    stream=poll.stream.id,
                    rung=jobs.name(job, poll.rungs),
                    outcome="ok" if run.rows else "empty",
                    seconds=self._clock.monotonic() - run.began,
                    pages=run.pages,
                    rows=run.rows,
                    events=run.events,
                )
            )
