"""What is asked beside the sweeps: hints, look-ups by id, recounts, rereadings.

Side queries make changes visible sooner. They never advance a sweep, and their failures do not pause the stream.
Each provider says which it has (:class:`poller.providers.contract.SideQuery`); the engine gives each a share of
the rate limit, and keeps between two runs what the provider wants to know again.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..coverage import gaps
from ..coverage.cursor import Cursor
from ..model import SECOND, Stream
from ..providers import contract
from ..providers.contract import LOOKUP, Page, Request, View, recalled
from ..publishing.message_state import stream_tag
from ..publishing.shard_state import ShardState
from .client.vendor import VendorClient
from .jobs import SideQuery
from .lookups import Lookups
from .provider_code import provider_code
from .settings import AccountSettings
from .streams import StreamPoll

OFF_S = 86_400.0
"""Seconds until a side query that was switched off is tried again: once a day."""


class SideQueries:
    """The side queries of one account."""

    def __init__(self, settings: AccountSettings, client: VendorClient, shard_state: ShardState) -> None:
        self._settings, self._client, self._shard_state = settings, client, shard_state
        self.declared: dict[SideQuery, contract.SideQuery] = {SideQuery(each.name): each for each in client.provider.side_queries}

    def period_s(self, job: SideQuery) -> float:
        """Seconds from one run to the next."""
        return (self.declared[job].period or self._settings.interval) / SECOND

    def hints(self, job: SideQuery) -> bool:
        """Whether it looks at every interval for what is new; look-ups have times of their own."""
        return not self.declared[job].period and job.name != LOOKUP

    def lookups(self, stream: Stream) -> Lookups | None:
        """Where single messages can be asked for: those of a stream that are not final, as the state has them."""
        if SideQuery(LOOKUP) not in self.declared:
            return None
        lookups = Lookups(interval=self._settings.interval, horizon=self._settings.status_horizon)
        now, cursor = self._client.now_earliest(), self._shard_state.cursor(stream.id)
        looked = min(mark.complete for mark in cursor.marks) if cursor is not None else None  # the earliest: a look too many harms nothing
        for digest, state in self._shard_state.waiting.pop(stream_tag(stream.id), {}).items():
            lookups.learn(digest, state, now, looked=looked)
        return lookups

    def begin(self, poll: StreamPoll, job: SideQuery) -> Request | None:
        """What the side query asks next; None where it has nothing to ask now."""
        progress, cursor = poll.of(job), self._shard_state.cursor(poll.stream.id)
        if progress.request is not None or cursor is None:
            return progress.request
        declared, now, deepest = self.declared[job], self._client.now_earliest(), poll.rungs[-1]
        view = View(
            now=now,
            floor=cursor.floor,
            depth=deepest.reach,
            every=deepest.period,
            remembered=recalled(declared.Learned, self._shard_state.learned(poll.stream.id, job.name)),
            learned=recalled(self._client.provider.Learned, cursor.learned),
            events=progress.events,
            quiet=max(0, now - cursor.changed),
            message_id=poll.lookups.due(now) if job.name == LOOKUP and poll.lookups is not None else None,
        )
        with provider_code("a side query cannot be begun"):
            progress.request = declared.begin(poll.stream, view)
        return progress.request

    def advanced(self, cursor: Cursor, page: Page) -> Cursor:
        """The cursor after a page: no watermark moves, but gaps are found and proved."""
        if not cursor.gaps and not page.gaps:
            return cursor
        found = gaps.reported(cursor.gaps, page.gaps, now=self._client.now_earliest(), lasting=True)
        return replace(cursor, gaps=gaps.proved(found, page.proved))

    def answered(self, poll: StreamPoll, job: SideQuery, page: Page) -> None:
        """A page of the run is queued: go on, or keep what the next run should know."""
        progress = poll.of(job)
        if page.learned is not None:
            self._shard_state.keep_learned(poll.stream.id, job.name, page.learned)
        progress.request = page.next
        if page.count:
            progress.fruitless = 0
        elif page.next is None and job.name == LOOKUP:
            progress.fruitless += 1
