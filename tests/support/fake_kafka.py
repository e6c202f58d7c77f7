"""The port to Kafka, in memory and on any clock: transactions, fencing, the group; and what may go wrong, by a script.

One :class:`FakeCluster` is Kafka; each worker has its own :class:`FakeLog`. It passes the same
exam as real Kafka (``test_port_exam.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio

from poller.errors import CommitUncertain, Fenced, KafkaError, OffsetGone, Unavailable
from poller.kafka.assignor import assign
from poller.kafka.port import STATE, Chunk, LogEnd, Ownership, Record, Stored

CHUNK = 500


class Written(NamedTuple):
    """A committed public record, in the order of commits."""

    transaction: int
    record: Record


class FakeCluster:
    """Topics as lists. ``fault(point, shard)`` may raise or wait: begin, send, commit, reply, read."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.state: dict[int, list[tuple[Stored, bool]]] = {shard: [] for shard in range(shards)}
        """Per shard (record, committed?); aborted records stay, as in a real log."""
        self.public: list[Written] = []
        self.epochs: dict[int, int] = {}
        self.begins: dict[int, int] = dict.fromkeys(range(shards), 0)
        self.transactions = 0
        self.commits: list[tuple[int, int, str]] = []
        """(shard, epoch, worker) of every transaction, in their order."""
        self.down = False
        self.members: dict[str, FakeMember] = {}
        self.requests: list[Stored] = []
        self.requested = anyio.Event()

    def add_request(self, request: Stored) -> None:
        """A command wrote it."""
        self.requests.append(request)
        self.requested.set()
        self.requested = anyio.Event()

    def compact(self, shard: int) -> None:
        """Keep the newest record of each key; the others leave gaps. The last stays, as in the active segment."""
        log, newest = self.state[shard], {}
        for offset, (record, committed) in enumerate(log):
            if committed:
                newest[record.key] = offset
        self.state[shard] = [(r, c and (newest.get(r.key) == o or o == len(log) - 1)) for o, (r, c) in enumerate(log)]

    def rebalance(self) -> None:
        """Deal the shards anew to whoever is there."""
        if self.members:
            dealt = assign(range(self.shards), {name: name.encode() for name in self.members})
            for name, member in self.members.items():
                member.tell(frozenset(dealt[name]))


class FakeWriter:
    """See :class:`poller.kafka.port.Writer`."""

    def __init__(self, log: FakeLog, shard: int, epoch: int) -> None:
        self._log, self._shard, self._epoch = log, shard, epoch
        self._struck = False

    def _check(self) -> None:
        cluster = self._log.cluster
        if cluster.down:
            raise Unavailable("down")
        if cluster.epochs[self._shard] != self._epoch:
            raise Fenced

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """All or nothing."""
        assert not self._struck, "a producer has one strike"
        assert any(record.topic == STATE for record in records)
        self._struck = True
        offset = -1
        with anyio.move_on_after(timeout_s, shield=True):
            offset = await self._transaction(records)
        if offset < 0:
            raise CommitUncertain("no answer in time")
        self._struck = False
        return offset

    async def _transaction(self, records: Sequence[Record]) -> int:
        cluster, fault = self._log.cluster, self._log.fault
        for point in ("begin", "send"):
            await fault(point, self._shard)
            self._check()
        log = cluster.state[self._shard]
        first = len(log)
        log += [(Stored(r.key or b"", r.value), False) for r in records if r.topic == STATE]
        last = len(log)
        try:
            await fault("commit", self._shard)
            self._check()
        except Unavailable:
            raise CommitUncertain("the end was not answered") from None
        cluster.transactions += 1
        cluster.commits.append((self._shard, self._epoch, self._log.name))
        log[first:last] = [(record, True) for record, _ in log[first:last]]
        cluster.public += [Written(cluster.transactions, record) for record in records if record.topic != STATE]
        await fault("reply", self._shard)
        return last

    async def close(self) -> None:
        """Nothing keeps running."""
        self._struck = True


async def no_fault(point: str, shard: int) -> None:
    """All goes well, in no time."""
    await anyio.sleep(0)


class FakeMember:
    """See :class:`poller.kafka.port.Membership`."""

    def __init__(self) -> None:
        self._owned = Ownership(frozenset(), stable=False)
        self._news = anyio.Event()
        self.healthy = True
        self.alive = True
        self.wrong: KafkaError | None = None

    def tell(self, shards: frozenset[int]) -> None:
        """The newest answer."""
        self._owned = Ownership(shards, stable=True)
        self._news.set()

    async def next(self) -> Ownership:
        """Wait for it."""
        await self._news.wait()
        self._news = anyio.Event()
        return self._owned

    def fresh(self) -> bool:
        """Heartbeats are as the story says."""
        return self.healthy

    def trouble(self) -> KafkaError | None:
        """As the story says."""
        return self.wrong


class FakeLog:
    """See :class:`poller.kafka.port.Log`."""

    def __init__(self, cluster: FakeCluster, name: str = "worker", fault: Callable[[str, int], object] = no_fault) -> None:
        self.cluster, self.name = cluster, name
        self.fault: Callable[[str, int], object] = fault

    async def open_and_fence(self, shard: int) -> FakeWriter:
        """Every earlier writer is fenced from now on."""
        await self.fault("open", shard)
        if self.cluster.down:
            raise Unavailable("down")
        self.cluster.epochs[shard] = self.cluster.epochs.get(shard, 0) + 1
        return FakeWriter(self, shard, self.cluster.epochs[shard])

    async def ends(self, shard: int, *, settled: bool = True) -> LogEnd:
        """Bounds; after a fence nothing is open."""
        if self.cluster.down:
            raise Unavailable("down")
        return LogEnd(self.cluster.begins[shard], len(self.cluster.state[shard]), "fake")

    async def has_published(self, shards: Collection[int], accounts: Collection[str]) -> bool:
        """By the headers of what was committed."""
        if self.cluster.down:
            raise Unavailable("down")
        wanted = {("ce_pollershard", str(shard).encode()) for shard in shards}
        wanted |= {("ce_source", f"/poller/{account}".encode()) for account in accounts}
        return any(not wanted.isdisjoint(written.record.headers) for written in self.cluster.public)

    async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """Committed records only."""
        log = self.cluster.state[shard]
        if since < self.cluster.begins[shard] or since > len(log):
            raise OffsetGone
        while since < until:
            await self.fault("read", shard)
            end = min(since + CHUNK, until)
            yield Chunk([record for record, committed in log[since:end] if committed], end)
            since = end

    async def requests(self) -> AsyncIterator[Stored]:
        """From now on."""
        read = len(self.cluster.requests)
        while True:
            while read < len(self.cluster.requests):
                read += 1
                yield self.cluster.requests[read - 1]
            await self.cluster.requested.wait()

    @asynccontextmanager
    async def membership(self) -> AsyncIterator[FakeMember]:
        """Join; leaving deals anew."""
        member = self.cluster.members[self.name] = FakeMember()
        self.cluster.rebalance()
        try:
            yield member
        finally:
            member.alive = False
            if self.cluster.members.get(self.name) is member:
                del self.cluster.members[self.name]
                self.cluster.rebalance()
