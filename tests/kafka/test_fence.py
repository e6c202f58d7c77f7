"""Fence first, then restore: the order that keeps a zombie out, on real Kafka, and what the other order does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidTxnState
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.reader import Reader
from poller.errors import Fenced, Unavailable
from poller.kafka import client
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.port import Record, Writer
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
        meta, log = await restoring.restore(self.kafka, SHARD, self.rows, now=clock.now(), retention=DAY, progress=lambda done, end: None)
        shard_state = ShardState(self.rows, claim(meta, group="g", shards=4), PUBLISHER)
        assert self.writer is not None or self.committer is None
        self.committer = Committer(
            shard_state, shard=SHARD, writer=self.writer, rows=self.rows, cluster=log.cluster_id,  # pyright: ignore[reportArgumentType]
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


@contextlib.contextmanager
def unverified(kafka: Cluster) -> Iterator[None]:
    """A broker that takes records of a transaction that its coordinator does not know, for as long as the block lasts."""
    admin, broker = AdminClient({"bootstrap.servers": kafka.bootstrap}), ConfigResource(ConfigResource.Type.BROKER, "1")
    for value, operation in (("false", AlterConfigOpType.SET), ("true", AlterConfigOpType.DELETE)):
        entry = ConfigEntry("transaction.partition.verification.enable", value, incremental_operation=operation)
        broker.incremental_configs = [entry]
        admin.incremental_alter_configs([broker])[broker].result()
        if value == "false":
            yield


async def left_hanging(link: Kafka, names: dict[str, str]) -> bool:
    """Records of one transaction on two topics that no coordinator will ever end; False where the broker still asks the coordinator."""
    writer = await link.open_and_fence(SHARD)
    producer = writer._producer
    manager = producer._txn_manager
    assert manager is not None
    await producer.begin_transaction()
    places = [TopicPartition(names["state"], SHARD), TopicPartition(names["messages"], 3)]
    manager._txn_partitions.update(places)
    try:
        for place in places:
            await producer.send_and_wait(place.topic, b"x", b"never committed", partition=place.partition)
    except InvalidTxnState:
        return False
    else:
        manager._txn_partitions.clear()
        return True
    finally:
        await writer.close()


async def test_a_transaction_that_its_coordinator_forgot_is_aborted_on_every_partition(
    kafka: Cluster, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a fence nor a timeout ends it, and readers of every topic that it touched would wait for ever."""
    monkeypatch.setattr(client, "STABLE_TIMEOUT_S", 0.5)
    silence_fenced_futures()
    link = Kafka(Connection(bootstrap=kafka.bootstrap, topics=names, shards=4, group="g"))
    await create(link, tuple(names), partitions=4, replication_factor=None)
    with unverified(kafka), anyio.fail_after(60):
        while not await left_hanging(link, names):
            pass
    await (await link.open_and_fence(SHARD)).close()
    with pytest.raises(Unavailable, match="stays open"):
        await link.ends(SHARD)
    writer = await link.open_and_fence(SHARD)
    end = await link.ends(SHARD)
    await writer.commit([Record("state", SHARD, b"y", b"committed"), Record("messages", 3, b"y", b"committed")], timeout_s=20)
    await writer.close()
    read = [record.value async for chunk in link.read(SHARD, end.begin, (await link.ends(SHARD)).end) for record in chunk.records]
    messages = TopicPartition(names["messages"], 3)
    async with link.consumer() as consumer:
        consumer.assign([messages])
        await consumer.seek_to_beginning(messages)
        public = [record.value for record in (await consumer.getmany(messages, timeout_ms=5000))[messages]]
    assert (read, public) == ([b"committed"], [b"committed"])


async def test_fence_then_restore_publishes_once(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """The zombie is fenced before the state is read: whatever it tries, one event."""
    assert await created(kafka, names, tmp_path, fence_first=True) == 1


async def test_the_trial_can_fail_restore_before_fence(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Negative control: the zombie commits between restore and fence, and the message is created twice."""
    assert await created(kafka, names, tmp_path, fence_first=False) == 2
