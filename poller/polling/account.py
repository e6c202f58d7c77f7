"""One account: its streams, its allowance, its troubles. Nothing here can delay another account.

The schedule says what is due, the client whether it may be asked now; every page runs as a task of its own. A page's
job may ask on as soon as what the page changed is queued; so a sweep runs at the speed of its vendor, not of Kafka.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from ..clock import SystemClock
from ..coverage import backfill
from ..coverage import cursor as coverage
from ..coverage.backfill import BackfillRequest
from ..errors import ProviderError, Unauthorized
from ..model import Stream
from ..publishing.changes import Bound
from ..publishing.commit import Committer
from ..publishing.message_state import stream_tag
from ..telemetry.account_facts import AccountFacts
from ..telemetry.snapshot import AccountSnapshot, StreamPage
from .backoff import Backoffs
from .client.rate_limit import Wait
from .client.vendor import VendorClient
from .jobs import name
from .ladder_tuning import LadderTuner
from .lookups import Lookups
from .page import Applied, Pages, Unasked
from .pictures import AccountPictures
from .planning import Planner
from .schedule import Due
from .settings import AccountSettings
from .streams import StreamPoll

REQUESTS_MAX = 32
"""Requests of one account in flight: enough that a few streams that hang do not stop the others."""

NOT_OWNER_S = 0.2
"""Seconds until a worker that may not poll looks again whether it may."""

FULL_S = 0.02
"""Seconds until a committer that is full is looked at again."""

LOOK_S = 1.0
"""Seconds between two looks at the list of streams, and at a secret that was refused."""

SETTLING_S = 0.1
"""Seconds that a stream is held back at a time while its requests in flight end, before it takes another ladder."""


class Poller:
    """The loop of one account. ``streams`` is asked again every second for the names to poll."""

    def __init__(
        self,
        settings: AccountSettings,
        client: VendorClient,
        committer: Committer,
        facts: AccountFacts,
        clock: SystemClock,
        *,
        streams: Callable[[], Iterable[str]],
        may_poll: Callable[[], bool],
    ) -> None:
        self._settings, self._client, self._committer, self._facts, self._clock = settings, client, committer, facts, clock
        self._streams, self._may_poll = streams, may_poll
        shard_state = committer.shard_state
        self._tuner = LadderTuner(settings, client.provider.listing, shard_state, facts, now=clock.now())
        self._backoffs = Backoffs(shard_state, settings.key, clock, settings.interval_s)
        if self._backoffs.account is not None:
            client.hold_until(self._backoffs.account.until)
        self._pages = Pages(settings, client, self._tuner, committer, facts, clock)
        self._planner = Planner(settings, client, self._tuner, self._pages, self._backoffs, shard_state, facts, clock)
        self._schedule = self._planner.schedule
        self._polls: dict[str, StreamPoll] = {}
        self._lookups: dict[str, Lookups | None] = {}
        """What streams that were taken off the list wait for, should they come back."""
        self._pictures = AccountPictures(
            settings, client, shard_state, facts, clock, self._polls, tuner=self._tuner, backoffs=self._backoffs, schedule=self._schedule
        )
        self._in_flight = 0
        self._wake = anyio.Event()

    @property
    def key(self) -> str:
        """``provider/account``."""
        return self._settings.key

    async def run(self) -> None:
        """Poll until cancelled; raises what a commit raised."""
        async with self._client, anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            while True:
                await self._next(tasks)

    async def _next(self, tasks: TaskGroup) -> None:
        """Start what is due and may be asked, or rest until that changes."""
        if not self._may_poll():
            return await self._rest(NOT_OWNER_S)
        if self._committer.full:
            return await self._rest(FULL_S)
        due = self._schedule.next(self._clock.monotonic()) if self._in_flight < REQUESTS_MAX else Wait(None)
        if isinstance(due, Wait):
            return await self._rest(due.seconds)
        poll = self._polls[due.stream]
        if self._alone(poll) and not self._schedule.idle(due.stream):
            return self._schedule.hold_back(due.stream, self._clock.monotonic() + SETTLING_S)
        if poll.rungs is not self._tuner.rungs:
            return self._planner.begin(poll)
        if not self._planner.starting(poll, due.job):
            return None
        allowance = self._client.allowance()
        if isinstance(allowance, Wait):
            return await self._rest(allowance.seconds)
        self._schedule.start(due)
        self._in_flight += 1
        tasks.start_soon(self._page, due)
        return None

    async def _rest(self, seconds: float | None) -> None:
        """Wait until something changes, at most ``seconds``."""
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def _look(self) -> None:
        """Follow the configured streams, and a secret that changed while the account waits for it."""
        while True:
            self._follow()
            trouble = self._backoffs.account
            if trouble is not None and trouble.kind == Unauthorized.kind and self._client.secrets_changed():
                self._backoffs.try_account_now()
                self._client.release()
                self._wake.set()
            await self._clock.sleep(LOOK_S)

    def _follow(self) -> None:
        """The streams that are wanted now are polled, and no other."""
        provider, account = self._client.provider.name, self._settings.account
        wanted = {stream.id: stream for stream in (Stream(provider, account, name) for name in self._streams())}
        for gone in self._polls.keys() - wanted.keys():
            self._planner.forget(gone)
            self._lookups[gone] = self._polls.pop(gone).lookups
            self._pictures.gone(gone)
        for stream_id in wanted.keys() - self._polls.keys():
            self._add(wanted[stream_id])
            self._wake.set()

    def _add(self, stream: Stream) -> None:
        """A stream that begins here: where its cursor left it, or anew."""
        lookups = self._lookups.pop(stream.id, None) or self._pages.side_queries.lookups(stream)
        self._polls[stream.id] = poll = StreamPoll(stream, self._tuner.rungs, lookups=lookups)
        cursor = self._committer.shard_state.cursor(stream.id)
        poll.told_gaps = () if cursor is None else cursor.gaps
        self._backoffs.take_over(stream.id)
        self._planner.begin(poll)
        self._pictures.changed(stream.id)

    def _alone(self, poll: StreamPoll) -> bool:
        """Whether the stream's next step wants no other request of it in flight: it begins, or it takes over another ladder.

        The first page of a stream tells by which clock it begins, and what the provider accepts.
        """
        begins = poll.begun or self._committer.shard_state.cursor(poll.stream.id) is None
        return begins or poll.rungs is not self._tuner.rungs

    async def _page(self, due: Due) -> None:
        """Ask for a page and apply it, then let its job ask on, and tell its facts once they are durable; all of it is one span."""
        poll = self._polls[due.stream]
        with self._facts.spans.span("sweep", job=name(due.job, poll.rungs), outcome="nothing"):
            applied = await self._ask(poll, due)
            if applied is not None:
                with self._facts.spans.span("commit"):
                    await applied.durable.wait()
                self._facts.spans.said(outcome="ok", rows=applied.page.count)
                self._pages.tell(poll, applied)

    async def _ask(self, poll: StreamPoll, due: Due) -> Applied | None:
        """Ask for a page and queue what it changes, then let its job ask on; None where nothing of an answer was queued."""
        began, not_before = self._clock.monotonic(), 0.0
        applied = None
        try:
            applied = await self._pages.page(poll, due.job)
        except ProviderError as error:
            self._facts.spans.said(outcome=error.kind)
            if self._is_polled(poll):
                not_before = self._planner.failed(poll, due.job, error)
        else:
            if self._is_polled(poll) and (not isinstance(applied, Unasked) or applied.ended):
                self._planner.answered(poll, due.job, ended=applied.ended, took_s=self._clock.monotonic() - began)
        finally:
            self._in_flight -= 1
            if self._is_polled(poll):
                self._schedule.done(due.stream, due.job, not_before=not_before)
                self._pictures.changed(due.stream)
            self._wake.set()
        return None if isinstance(applied, Unasked) else applied

    def _is_polled(self, poll: StreamPoll) -> bool:
        """Whether the stream was not taken off the list meanwhile, or off it and on again."""
        return self._polls.get(poll.stream.id) is poll

    def backfill(self, stream_id: str, wanted: BackfillRequest) -> None:
        """A past range of one of this account's streams is wanted; while another one is under way, nothing happens."""
        shard_state = self._committer.shard_state
        cursor, poll = shard_state.cursor(stream_id), self._polls.get(stream_id)
        if cursor is None or poll is None:
            return
        begun = backfill.begin(cursor, wanted)
        if begun is not cursor:
            shard_state.keep_cursor(stream_id, begun)
            self._pictures.changed(stream_id)
            self._planner.backfill_wanted(poll)
            self._wake.set()

    def bounds(self) -> dict[int, Bound]:
        """How far each stream may be forgotten, by its tag: by the earlier of both clocks, as for every floor.

        A provider's clock that is ahead for hours moves watermarks ahead; what was forgotten by them could never be published.
        """
        slack, now = self._pages.sweeps.slack, self._clock.now()
        bounds = dict[int, Bound]()
        for stream_id, poll in self._polls.items():
            cursor = self._committer.shard_state.cursor(stream_id)
            if cursor is not None:
                until = min(coverage.oldest(poll.rungs, cursor, slack=slack), now - poll.rungs[-1].reach - slack)
                bounds[stream_tag(stream_id)] = Bound(stream_id, max(cursor.floor, until))
        return bounds

    def snapshot(self, shard: int) -> AccountSnapshot:
        """This account, for outsiders."""
        return self._pictures.snapshot(shard)

    def streams(self, offset: int, limit: int) -> StreamPage:
        """Some of its streams, for outsiders."""
        return self._pictures.streams(offset, limit)
