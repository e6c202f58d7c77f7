"""One exam for the port to Kafka, real and fake: what the engine relies on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from poller.errors import Fenced, OffsetGone
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.port import Log, Record, Stored
from tests.support.fake_kafka import FakeCluster, FakeLog

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["fake", "real"])
async def log(request: pytest.FixtureRequest, names: dict[str, str]) -> AsyncIterator[Log]:
    """The port, over fresh topics."""
    if request.param == "fake":
        yield FakeLog(FakeCluster(4))
        return
    silence_fenced_futures()
    bootstrap = request.getfixturevalue("kafka").bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 4, 1) for name in names.values()])
    await admin.close()
    yield Kafka(Connection(bootstrap=bootstrap, topics=names, shards=4, group=names["state"], session_s=2.0, worker="exam"))


def state(key: str, value: str = "v", shard: int = 1) -> Record:
    """A state record."""
    return Record("state", shard, key.encode(), value.encode())


async def everything(log: Log, since: int = 0, shard: int = 1) -> list[Stored]:
    """All committed records of a shard from an offset on."""
    end = await log.ends(shard)
    return [record async for chunk in log.read(shard, since, end.end) for record in chunk.records]


async def test_a_commit_is_readable_whole(log: Log) -> None:
    """What was committed is read back in order, up to the returned offset."""
    writer = await log.open_and_fence(1)
    offset = await writer.commit([state("a"), state("b"), Record("messages", 0, b"k", b"v", (("h", b"x"),))], timeout_s=20)
    assert [record.key for record in await everything(log)] == [b"a", b"b"]
    assert offset == 2
    await writer.close()


async def test_reading_from_a_commits_offset_gives_exactly_what_came_after(log: Log) -> None:
    """The offset of a commit is where the next one's records begin at the earliest."""
    writer = await log.open_and_fence(1)
    offset = await writer.commit([state("a")], timeout_s=20)
    await writer.commit([state("b"), state("c")], timeout_s=20)
    assert [record.key for record in await everything(log, offset)] == [b"b", b"c"]
    await writer.close()


async def test_opening_fences_the_older_writer(log: Log) -> None:
    """The older writer's next commit raises Fenced, and nothing of it is visible."""
    old = await log.open_and_fence(1)
    await old.commit([state("a")], timeout_s=20)
    new = await log.open_and_fence(1)
    with pytest.raises(Fenced):
        await old.commit([state("zombie")], timeout_s=20)
    await old.close()
    await new.commit([state("b")], timeout_s=20)
    assert [record.key for record in await everything(log)] == [b"a", b"b"]
    await new.close()


async def test_shards_do_not_fence_each_other(log: Log) -> None:
    """A writer belongs to one shard."""
    one, two = await log.open_and_fence(1), await log.open_and_fence(2)
    await one.commit([state("a", shard=1)], timeout_s=20)
    await two.commit([state("b", shard=2)], timeout_s=20)
    assert len(await everything(log, shard=1)) == len(await everything(log, shard=2)) == 1
    await one.close()
    await two.close()


async def test_an_offset_outside_the_log_is_gone(log: Log) -> None:
    """Reading from beyond the end says so; the cache then restores from the start."""
    with pytest.raises(OffsetGone):
        async for _ in log.read(1, 100, 200):
            pass


async def test_large_transactions_and_large_records_go(log: Log) -> None:
    """Five thousand records, and one of 900 KiB, in one transaction each."""
    writer = await log.open_and_fence(1)
    many = [state(f"k{n}", "x" * 100) for n in range(5000)]
    await writer.commit(many, timeout_s=20)
    await writer.commit([state("large", "x" * 900 * 1024)], timeout_s=20)
    records = await everything(log)
    assert [record.key for record in records] == [*(f"k{n}".encode() for n in range(5000)), b"large"]
    await writer.close()


async def test_two_members_share_and_one_that_leaves_hands_over(log: Log) -> None:
    """Together they own every shard once; when one leaves the other owns all."""
    with anyio.fail_after(60):
        async with log.membership() as first:
            owned = await first.next()
            while len(owned.shards) < 4:
                owned = await first.next()
            assert owned.stable
            assert first.fresh()
            other = FakeLog(log.cluster, "other") if isinstance(log, FakeLog) else Kafka(_renamed(log))
            async with other.membership() as second:
                mine, theirs = await first.next(), await second.next()
                while not (mine.stable and theirs.stable and len(mine.shards) == 2):
                    with anyio.move_on_after(0.5):
                        mine = await first.next()
                    with anyio.move_on_after(0.5):
                        theirs = await second.next()
                assert mine.shards | theirs.shards == {0, 1, 2, 3}
                assert not mine.shards & theirs.shards
            while len(mine.shards) < 4:
                mine = await first.next()


def _renamed(log: object) -> Connection:
    from msgspec.structs import replace

    assert isinstance(log, Kafka)
    return replace(log.connection, worker="other")
