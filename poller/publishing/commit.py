"""Group commit: the only writer of Kafka and of the cache.

Pages of many streams ride in one transaction. A finished page is committed at once if the
shard's last commit is old enough, else at that mark or when enough changes wait; so batches
grow with the load by themselves. The cache is written only after the commit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
from msgspec.structs import replace

from ..clock import SystemClock
from ..coverage.cursor import Cursor
from ..errors import CommitUncertain, Fenced, KafkaError
from ..kafka.port import Writer
from ..model import BadRow, Observation
from ..telemetry.facts import Telemetry
from .cache import Position, ShardCache
from .diff import Event, PageChanges, PageContext
from .events import Publisher
from .shard_state import Entry, ShardState
from .state_records import META_KEY, encode_state, state_record

COMMIT_EVERY_S = 0.1
CHANGES_MAX = 500
"""A transaction is closed at so many changes, even before its time."""

CURSORS_EVERY_S = 60.0
"""Cursors that no change carries along are written this often."""

CURSORS_MAX = 500
COMMIT_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


class Committer:
    """The transactions of one running shard."""

    def __init__(
        self,
        shard_state: ShardState,
        *,
        shard: int,
        writer: Writer,
        rows: ShardCache,
        cluster: str,
        publisher: Publisher,
        clock: SystemClock,
        telemetry: Telemetry,
    ) -> None:
        self.shard_state, self._shard, self._writer, self._rows, self._cluster = shard_state, shard, writer, rows, cluster
        self._publisher, self._clock, self._telemetry = publisher, clock, telemetry
        self._queue: list[tuple[Entry, anyio.Event]] = []
        self._changes = 0
        self._wake = anyio.Event()
        self._last = -math.inf
        self._flushed = clock.monotonic()

    async def submit(
        self,
        scope: PageContext,
        observations: list[Observation],
        bad: list[BadRow],
        advance: Callable[[PageChanges], Cursor],
        *,
        always: bool = False,
    ) -> PageChanges:
        """Make a page durable with its cursor; returns at once when it changed nothing (unless ``always``)."""
        delta, entry = self.shard_state.page(scope, observations, bad, advance, always=always)
        if entry is not None:
            await self.durable(entry)
        return delta

    async def durable(self, entry: Entry) -> None:
        """Queue an entry and wait until it is committed and applied."""
        done = anyio.Event()
        self._queue.append((entry, done))
        self._changes += len(entry.rows)
        self._wake.set()
        await done.wait()

    async def run(self) -> None:
        """Commit until cancelled; raises what ended the writer (then the shard starts anew)."""
        while True:
            flush_in = self._flushed + CURSORS_EVERY_S - self._clock.monotonic()
            with anyio.move_on_after(max(0.0, flush_in)):
                await self._wake.wait()
            wait = self._last + COMMIT_EVERY_S - self._clock.monotonic()
            if wait > 0 and self._changes < CHANGES_MAX:
                await self._clock.sleep(wait)
            await self._commit(COMMIT_TIMEOUT_S)

    async def drain(self) -> None:
        """At a clean stop: what is queued, and every cursor, in bounded time."""
        with anyio.fail_after(STOP_TIMEOUT_S, shield=True):
            self._flushed = -math.inf
            while await self._commit(STOP_TIMEOUT_S):
                self._flushed = -math.inf

    async def _commit(self, timeout_s: float) -> bool:
        """One transaction of what waits; False when nothing did."""
        batch = self._take()
        rows: dict[bytes, bytes | None] = {}
        events: list[Event] = []
        for entry, _ in batch:
            rows |= entry.rows
            events += entry.events
        due = self._clock.monotonic() >= self._flushed + CURSORS_EVERY_S
        dirty = self.shard_state.take_dirty(CURSORS_MAX if due else 0)
        if due:
            rows |= dirty.rows
            if len(dirty.rows) < CURSORS_MAX:
                self._flushed = self._clock.monotonic()
        if not rows:
            return False
        await self._transaction(events, rows, timeout_s)
        self.shard_state.applied(dirty)
        for entry, done in batch:
            self.shard_state.applied(entry)
            done.set()
        return True

    def _take(self) -> list[tuple[Entry, anyio.Event]]:
        """The entries of the next transaction, in their order."""
        taken, changes = 0, 0
        while taken < len(self._queue) and (not taken or changes < CHANGES_MAX):
            changes += len(self._queue[taken][0].rows)
            taken += 1
        batch, self._queue = self._queue[:taken], self._queue[taken:]
        self._changes -= changes
        if not self._queue:
            self._wake = anyio.Event()
        return batch

    async def _transaction(self, events: list[Event], rows: dict[bytes, bytes | None], timeout_s: float) -> None:
        """Events and state in one Kafka transaction; then, and only then, the cache."""
        old = self.shard_state.meta
        sequence = old.sequence + bool(events)
        meta = replace(old, clock=self.shard_state.tick(), sequence=sequence, size=len(events))
        state = {META_KEY: encode_state(meta), **rows}
        records = [state_record(self._shard, key, value) for key, value in state.items()]
        records += self._publisher.records(events, shard=self._shard, sequence=sequence)
        began = self._clock.monotonic()
        try:
            offset = await self._writer.commit(records, timeout_s=timeout_s)
        except KafkaError as error:
            self._telemetry.transaction(_outcome(error), self._clock.monotonic() - began)
            raise
        now = self._clock.now()
        self._rows.write(state.items(), Position(offset, offset - len(state), meta.nonce, self._cluster, now))
        self.shard_state.meta = meta
        self._last = self._clock.monotonic()
        self._telemetry.transaction("committed", self._last - began)


def _outcome(error: KafkaError) -> str:
    if isinstance(error, Fenced):
        return "fenced"
    return "unknown" if isinstance(error, CommitUncertain) else "aborted"
