"""An account as outsiders see it: sums that follow its streams, and single streams on demand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from ..clock import SystemClock
from ..coverage import backfill
from ..coverage.cursor import Cursor
from ..errors import RateLimited, Unauthorized
from ..model import SECOND, Instant
from ..publishing.message_state import stream_tag
from ..publishing.shard_state import ShardState
from ..telemetry.account_facts import AccountFacts
from ..telemetry.census import Census, StreamFigures
from ..telemetry.recent import SPAN_S
from ..telemetry.snapshot import (
    POLLING,
    THROTTLED,
    UNAUTHORIZED,
    WAITING,
    AccountSnapshot,
    BackfillSnapshot,
    OpenGap,
    StreamPage,
    StreamSnapshot,
    Trouble,
)
from .backoff import Backoff, Backoffs
from .client.vendor import VendorClient
from .demand import round_s
from .ladder_tuning import LadderTuner
from .schedule import Schedule
from .settings import AccountSettings
from .streams import StreamPoll

SHOWN_MAX = 20
"""Streams in trouble, open gaps and backfills that a picture of an account holds, each; its counts hold all."""

STATES = {RateLimited.kind: THROTTLED, Unauthorized.kind: UNAUTHORIZED}
"""The account's state by the kind of its own trouble."""


class AccountPictures:
    """Follows one account. :meth:`changed` after each thing that happens to a stream keeps the sums true."""

    def __init__(
        self,
        settings: AccountSettings,
        client: VendorClient,
        shard_state: ShardState,
        facts: AccountFacts,
        clock: SystemClock,
        polls: Mapping[str, StreamPoll],
        *,
        tuner: LadderTuner,
        backoffs: Backoffs,
        schedule: Schedule,
    ) -> None:
        self._settings, self._client, self._shard_state, self._facts, self._clock = settings, client, shard_state, facts, clock
        self._polls, self._tuner, self._backoffs, self._schedule = polls, tuner, backoffs, schedule
        self._census = Census()
        self._tags: dict[str, int] = {}

    def changed(self, stream_id: str) -> None:
        """Something happened to the stream; or it is new."""
        cursor, trouble = self._cursor(stream_id), self._backoffs.of(stream_id)
        self._tags.setdefault(stream_id, stream_tag(stream_id))
        figures = StreamFigures(
            state=WAITING if trouble else "new" if cursor is None else POLLING,
            watermark=None if cursor is None else cursor.watermark,
            kind=None if trouble is None else trouble.kind,
            since=0 if trouble is None else trouble.since,
            first_look_back=cursor is None or cursor.first_look_back,
            gaps=() if cursor is None else tuple(gap.reason for gap in cursor.gaps),
            backfill=backfill.running(cursor) is not None,
            standing=self._polls[stream_id].stands,
        )
        self._census.put(stream_id, figures)

    def gone(self, stream_id: str) -> None:
        """The stream is polled no more."""
        self._census.remove(stream_id)
        self._tags.pop(stream_id, None)

    def snapshot(self, shard: int) -> AccountSnapshot:
        """The account and the sums of its streams."""
        client, census, facts, demand = self._client, self._census, self._facts, self._tuner.demand
        trouble, state = self._backoffs.account, POLLING
        if trouble is not None:
            state = STATES.get(trouble.kind, WAITING)
        elif len(census) and census.states[WAITING] == len(census):
            state = WAITING
        messages = self._shard_state.messages
        return AccountSnapshot(
            provider=client.provider.name,
            account=self._settings.account,
            shard=shard,
            state=state,
            owned_since=facts.owned_since,
            now=client.now_earliest(),
            trouble=self._trouble(trouble),
            watermark=census.oldest(),
            last_success=facts.last_success,
            last_error=facts.last_error,
            overlap_s=self._tuner.overlap_s(),
            overlap_reason=self._tuner.overlap_reason(now=self._clock.now()),
            stretch=max(demand.stretch, demand.live_stretch),
            freshness_s=None if client.by_time else self._freshness_s(),
            limit_used=min(1.0, facts.requests.total() / (demand.rate * SPAN_S)),
            messages_per_minute=float(facts.messages.total()),
            messages=sum(map(messages.__getitem__, self._tags.values())),
            clock_ahead_s=client.provider_clock.offset / SECOND,
            streams=dict(census.states),
            in_trouble=+census.kinds,
            first_look_back=census.first_look_back,
            gaps=+census.gaps,
            worst=tuple(self._stream(stream_id) for stream_id in census.worst(SHOWN_MAX)),
            standing=tuple(self._stream(stream_id) for stream_id in islice(census.with_standing, SHOWN_MAX)),
            open_gaps=self._open_gaps(),
            backfills=tuple(self._backfill(stream_id) for stream_id in islice(census.with_backfills, SHOWN_MAX)),
        )

    def streams(self, offset: int, limit: int) -> StreamPage:
        """Some streams, those in trouble first, then the oldest watermark first."""
        found = tuple(self._stream(stream_id) for stream_id in self._census.some(offset, limit))
        return StreamPage(total=len(self._census), offset=offset, streams=found)

    def _stream(self, stream_id: str) -> StreamSnapshot:
        entry, now = self._schedule.entry(stream_id), self._clock.monotonic()
        poll, cursor = self._polls[stream_id], self._cursor(stream_id)
        trouble = self._trouble(self._backoffs.of(stream_id))
        return poll.snapshot(cursor, trouble, {} if entry is None else entry.due, now)

    def _open_gaps(self) -> tuple[OpenGap, ...]:
        found = (
            OpenGap(stream=stream_id, reason=gap.reason, since=gap.since, until=gap.until, found=gap.found)
            for stream_id in self._census.with_gaps
            if (cursor := self._cursor(stream_id)) is not None
            for gap in cursor.gaps
        )
        return tuple(islice(found, SHOWN_MAX))

    def _backfill(self, stream_id: str) -> BackfillSnapshot:
        held = backfill.running(self._cursor(stream_id))
        assert held is not None, "the census names streams whose backfill runs"
        left = held.until if held.left is None else held.left
        return BackfillSnapshot(stream=stream_id, since=held.since, until=held.until, left=left, pages=held.pages, events=held.events)

    def _trouble(self, held: Backoff | None) -> Trouble | None:
        return None if held is None else held.trouble(self._clock.monotonic())

    def _cursor(self, stream_id: str) -> Cursor | None:
        return self._shard_state.cursor(stream_id)

    def _freshness_s(self) -> float:
        """What a stream that has been quiet for long waits between two polls."""
        return max(self._settings.interval_s, round_s(len(self._schedule), self._tuner.demand.rate))


def no_state(provider: str, account: str, shard: int, *, owned_since: Instant, now: Instant) -> AccountSnapshot:
    """An account that is owned and not restored yet."""
    return AccountSnapshot(provider=provider, account=account, shard=shard, state=WAITING, owned_since=owned_since, now=now)
