"""Who waits for what failed: the account, the stream, or a job of it by itself."""

from __future__ import annotations

import math

from ..clock import SystemClock
from ..errors import AccountTrouble, ProviderError, RateLimited, Unauthorized
from ..telemetry.account_facts import AccountFacts, SweepFacts
from . import jobs
from .backoff import Backoff, Backoffs, soon_s, wait_of_walk
from .client.vendor import VendorClient
from .jobs import Backfill, Edge, Job, SideQuery
from .settings import AccountSettings
from .side_queries import OFF_S
from .streams import StreamPoll
from .sweep import Sweeps


class Failures:
    """What failed in one account. Who failed waits; who is planned when, the planner says."""

    def __init__(
        self,
        settings: AccountSettings,
        client: VendorClient,
        sweeps: Sweeps,
        backoffs: Backoffs,
        facts: AccountFacts,
        clock: SystemClock,
    ) -> None:
        self._settings, self._client, self._sweeps, self._backoffs = settings, client, sweeps, backoffs
        self._facts, self._clock = facts, clock

    def waits_alone(self, poll: StreamPoll, job: Job, error: ProviderError) -> bool:
        """Whether a failure stops nothing but its job.

        The stream is in trouble where its newest messages cannot be asked for: at the first page of a live sweep or of
        the edge. A list that is read whole has no other way to them.
        """
        if isinstance(error, AccountTrouble):
            return False
        if isinstance(job, SideQuery | Backfill):
            return True
        return self._client.by_time and not (job in (poll.live, Edge()) and poll.of(job).speaks_for_its_stream(error))

    def of_walk(self, poll: StreamPoll, job: Job, error: ProviderError) -> float:
        """A walk does not get on: seconds until it is tried again. The newest messages are read all the same, which no walk can stop."""
        progress, interval_s = poll.of(job), self._settings.interval_s
        most_s = math.inf
        if isinstance(job, Edge):  # a look that lists something brings what is new, though it does not come to its end
            most_s = interval_s if progress.run is not None and progress.run.rows else soon_s(interval_s)
            if progress.failures > 1:  # what fails once is asked again where it was: by chance, most of what fails does
                self._sweeps.begin_anew(poll, job)
                progress.run = None
        poll.note(error.kind)
        return self._stands(poll, job, error, wait_of_walk(error, progress.failures, interval_s=interval_s, most_s=most_s))

    def of_side_query(self, poll: StreamPoll, job: SideQuery, error: ProviderError, period_s: float) -> float:
        """A side query failed: seconds until it is tried again."""
        progress = poll.of(job)
        wait_s = progress.failed_alone(period_s, well=not poll.failures)
        return self._stands(poll, job, error, OFF_S if progress.switched_off else wait_s)

    def together(self, poll: StreamPoll, job: Job, error: ProviderError) -> float:
        """The stream or its account waits: when the stream may be tried again, in monotonic seconds; for its account, the client knows."""
        trouble, wait_s = self._backoffs.failed(poll.stream.id, error)
        if isinstance(error, RateLimited):
            self._facts.throttled(wait_s)
        whole = trouble is self._backoffs.account
        self._facts.trouble(self._settings.key if whole else poll.stream.id, error, wait_s)
        run, now, rung = poll.of(job).run, self._clock.monotonic(), jobs.name(job, poll.rungs)
        seconds, outcome = now - run.began if run else 0.0, _OUTCOMES.get(error.kind, "error")
        self._facts.sweep(SweepFacts(stream=poll.stream.id, rung=rung, outcome=outcome, seconds=seconds, pages=0, rows=0, events=0))
        if whole:
            self._client.hold_until(trouble.until)
            return 0.0
        poll.failures += 1
        if isinstance(job, Edge):
            poll.of(job).run = None
        return trouble.until

    def over(self, poll: StreamPoll, job: Job) -> None:
        """A job got on: what it waited for by itself is over, unless it stands further on."""
        progress = poll.of(job)
        if progress.stands is not None and not progress.failures:
            progress.stands = None
            self._facts.over(poll.stream.id, jobs.name(job, poll.rungs))

    def _stands(self, poll: StreamPoll, job: Job, error: ProviderError, wait_s: float) -> float:
        """A job waits by itself, and that is said."""
        progress, now = poll.of(job), self._clock.monotonic()
        since = progress.stands.since if progress.stands is not None else self._clock.now()
        progress.stands = Backoff(error.kind, progress.failures, since, now + wait_s, str(error), error.code)
        self._facts.trouble(poll.stream.id, error, wait_s, jobs.name(job, poll.rungs))
        return wait_s


_OUTCOMES = {RateLimited.kind: "throttled", Unauthorized.kind: "auth"}
