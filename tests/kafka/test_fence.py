"""Fence first, then restore: the order that keeps a zombie out, on real Kafka, and what the other order does."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.reader import Reader
from poller.errors import Fenced
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.port import Writer
from poller.kafka.topics import create
from poller.model import DAY
from poller.publishing import restore as restoring
from poller.publishing.cache import CacheDirectory
from poller.publishing.commit import Committer
from poller.publishing.shard_state import ShardState, claim
from poller.telemetry.facts import Telemetry
from tests.support.rows import PUBLISHER, observation, scope

pytestmark = pytest.mark.anyio
SHARD = 1


class Owner:
    """One worker's hold on a shard, taken step by step."""

    def __init__(self, kafka: Kafka, store: CacheDirectory) -> None:
        self.kafka, self.rows = kafka, store.shard(SHARD)
        self.writer: Writer | None = None
        self.committer: Committer | None = None

    async def fence(self) -> None:
        """Open the producer."""
        self.writer = await self.kafka.open_and_fence(SHARD)
        if self.committer is not None:
            self.committer._writer = self.writer

    async def restore(self) -> None:
        """Read the state."""
        clock = SystemClock()
        meta, cluster = await restoring.restore(
            self.kafka, SHARD, self.rows, now=clock.now(), retention=DAY, progress=lambda done, end: None
        )
        shard_state = ShardState(self.rows, claim(meta, group="g", shards=4), PUBLISHER)
        assert self.writer is not None or self.committer is None
        self.committer = Committer(
            shard_state, shard=SHARD, writer=self.writer, rows=self.rows, cluster=cluster,  # pyright: ignore[reportArgumentType]
            clock=clock, telemetry=Telemetry(version="x", level="critical", form="json"),
        )  # fmt: skip

    async def publish(self) -> None:
        """The same page, whoever reads it."""
        assert self.committer is not None
        shard_state = self.committer.shard_state
        entry = shard_state.queue(shard_state.compare(scope(shard_state.tick()), [observation()], []), Cursor(0, 0, (), 0, 0))
        if entry is not None:
            await self.committer._transaction(entry, 20.0)

    async def close(self) -> None:
        """End."""
        if self.writer is not None:
            await self.writer.close()


async def created(kafka: Cluster, names: dict[str, str], tmp_path: Path, *, fence_first: bool) -> int:
    """How often the one message is created when a paused owner goes on in the middle of the takeover."""
    silence_fenced_futures()
    link = Kafka(Connection(bootstrap=kafka.bootstrap, topics=names, shards=4, group="g"))
    await create(link, tuple(names), partitions=4, replication_factor=None)
    with CacheDirectory(tmp_path / "old") as one, CacheDirectory(tmp_path / "new") as two:
        zombie, owner = Owner(link, one), Owner(link, two)
        await zombie.fence()
        await zombie.restore()
        for step in (owner.fence, owner.restore) if fence_first else (owner.restore, owner.fence):
            await step()
            with contextlib.suppress(Fenced, AssertionError):
                await zombie.publish()
        await owner.publish()
        await zombie.close()
        await owner.close()
    events = []
    with Reader(kafka.bootstrap, [names["messages"]]) as reader:
        for _ in range(10):
            events += reader.poll(0.2)
    return len(events)


async def test_fence_then_restore_publishes_once(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """The zombie is fenced before the state is read: whatever it tries, one event."""
    assert await created(kafka, names, tmp_path, fence_first=True) == 1


async def test_the_trial_can_fail_restore_before_fence(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Negative control: the zombie commits between restore and fence, and the message is created twice."""
    assert await created(kafka, names, tmp_path, fence_first=False) == 2
