"""Group commit: the only writer of Kafka and of the cache.

Changes of many streams ride in one transaction, in the order in which they were queued. A
transaction is closed by size, or by time: what waits is committed at once if the shard's last
commit is old enough, else at that mark; so batches grow with the load by themselves. The
cache is written only after the commit.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import anyio
from msgspec.structs import replace

from ..clock import SystemClock
from ..coverage.cursor import Cursor
from ..errors import CommitUncertain, Fenced, KafkaError
from ..kafka.port import Writer
from ..telemetry.facts import Telemetry
from .cache import Position, ShardCache
from .changes import Entry, PageChanges
from .events import Encoded, in_transaction
from .shard_state import ShardState
from .state_records import META_KEY, encode_state, state_record

COMMIT_EVERY_S = 0.1
"""Seconds between two commits of a shard, unless one is full."""

CHANGES_MAX = 2_000
"""State records of one transaction. Where that many wait, they are committed at once."""

BYTES_MAX = 8 << 20
"""Bytes of one transaction, about. Where that many wait, they are committed at once."""

QUEUED_CHANGES_MAX, QUEUED_BYTES_MAX = 2 * CHANGES_MAX, 2 * BYTES_MAX
"""State records, and bytes, that may wait for a transaction: one under way and one more. Who writes more waits for room."""

CURSORS_EVERY_S = 60.0
"""Seconds after which cursors are written that no change has carried along."""

CURSORS_MAX = 500
"""State records (cursors, waits, what was learned) of one entry that carries nothing else."""

COMMIT_TIMEOUT_S = 20.0
"""Seconds that a commit may take: less than the transaction timeout of 40 s, after which the broker aborts it."""

STOP_TIMEOUT_S = 10.0
"""Seconds that a commit may take during a clean stop, which has 20 s in all."""


class Queued(NamedTuple):
    """An entry that waits for its transaction."""

    entry: Entry
    size: int
    done: anyio.Event
    """Set when the entry is committed and applied."""


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
        clock: SystemClock,
        telemetry: Telemetry,
    ) -> None:
        self.shard_state, self._shard, self._writer, self._rows, self._cluster = shard_state, shard, writer, rows, cluster
        self._clock, self._telemetry = clock, telemetry
        self._queue: deque[Queued] = deque()
        self._changes = self._bytes = 0
        self._wake, self._full, self._room = anyio.Event(), anyio.Event(), anyio.Event()
        self._last = -math.inf
        self._flushed = clock.monotonic()

    async def write(self, changes: PageChanges, cursor: Cursor | None = None, *, always: bool = False) -> None:
        """Queue changes, at once, with the cursor that stands for them and for everything of their stream before them.

        With a cursor it returns when all of it is durable; at once where nothing changed (unless
        ``always``). Without one, for a portion of a page, it returns when there is room for more.
        """
        if cursor is not None:
            await self.queue(changes, cursor, always=always).wait()
            return
        entry = self.shard_state.queue(changes, None, always=always)
        if entry is not None:
            self._put(entry)
            while self.full:
                await self._room.wait()

    @property
    def full(self) -> bool:
        """Whether nothing more should be asked for, because enough waits to be committed."""
        return self._changes > QUEUED_CHANGES_MAX or self._bytes > QUEUED_BYTES_MAX

    def queue(self, changes: PageChanges, cursor: Cursor, *, always: bool = False) -> anyio.Event:
        """As :meth:`write` with a cursor, without waiting: the event is set once all of it is durable."""
        entry = self.shard_state.queue(changes, cursor, always=always)
        if entry is not None:
            return self._put(entry)
        done = anyio.Event()
        done.set()
        return done

    async def durable(self, entry: Entry) -> None:
        """Queue an entry and wait until it is committed and applied."""
        await self._put(entry).wait()

    def _put(self, entry: Entry) -> anyio.Event:
        queued = Queued(entry, entry.size, anyio.Event())
        self._queue.append(queued)
        self._changes += len(entry.rows)
        self._bytes += queued.size
        self._wake.set()
        if self._changes >= CHANGES_MAX or self._bytes >= BYTES_MAX:
            self._full.set()
        return queued.done

    async def run(self) -> None:
        """Commit until cancelled; raises what ended the writer (then the shard starts anew)."""
        while True:
            flush_in = self._flushed + CURSORS_EVERY_S - self._clock.monotonic()
            with anyio.move_on_after(max(0.0, flush_in)):
                await self._wake.wait()
            wait = self._last + COMMIT_EVERY_S - self._clock.monotonic()
            with anyio.move_on_after(max(0.0, wait)):
                await self._full.wait()
            if self._clock.monotonic() >= self._flushed + CURSORS_EVERY_S:
                self._flush()
            await self._commit(COMMIT_TIMEOUT_S)

    async def drain(self) -> None:
        """At a clean stop: what is queued, and every cursor, in bounded time."""
        with anyio.fail_after(STOP_TIMEOUT_S, shield=True):
            while self._flush() or self._queue:
                await self._commit(STOP_TIMEOUT_S)

    def _flush(self) -> bool:
        """Queue cursors that no change carried along, behind everything that waits; False where there are none."""
        entry = self.shard_state.take_dirty(CURSORS_MAX)
        if entry is None or len(entry.rows) < CURSORS_MAX:
            self._flushed = self._clock.monotonic()
        if entry is not None:
            self._put(entry)
        return entry is not None

    async def _commit(self, timeout_s: float) -> None:
        """One transaction of what waits, if anything does."""
        batch = self._take()
        rows: dict[bytes, bytes | None] = {}
        events: list[Encoded] = []
        latest: dict[bytes, Encoded] = {}
        for entry, _, _ in batch:
            rows |= entry.rows
            events += entry.events
            latest |= entry.latest
        if not batch:
            return
        await self._transaction(Entry(events, rows, latest), timeout_s)
        for entry, size, done in batch:
            self.shard_state.applied(entry)
            self._changes -= len(entry.rows)
            self._bytes -= size
            done.set()
        self._room.set()
        self._room = anyio.Event()
        if self._changes < CHANGES_MAX and self._bytes < BYTES_MAX:
            self._full = anyio.Event()

    def _take(self) -> list[Queued]:
        """The entries of the next transaction, in their order."""
        batch: list[Queued] = []
        changes = size = 0
        while self._queue and (not batch or (changes < CHANGES_MAX and size < BYTES_MAX)):
            batch.append(self._queue.popleft())
            changes += len(batch[-1].entry.rows)
            size += batch[-1].size
        if not self._queue:
            self._wake = anyio.Event()
        return batch

    async def _transaction(self, whole: Entry, timeout_s: float) -> None:
        """Events and state in one Kafka transaction; then, and only then, the cache."""
        events, old = whole.events, self.shard_state.meta
        sequence = old.sequence + bool(events)
        meta = replace(old, clock=self.shard_state.tick(), sequence=sequence, size=len(events))
        state = {META_KEY: encode_state(meta), **whole.rows}
        records = [state_record(self._shard, key, value) for key, value in state.items()]
        records += in_transaction(events, whole.latest.values(), shard=self._shard, sequence=sequence)
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
