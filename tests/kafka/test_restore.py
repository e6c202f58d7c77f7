"""Restore on real Kafka, from a topic that was really compacted and holds tombstones, aborted transactions and control records."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec.structs import replace

from poller.demo.kafka.broker import Cluster
from poller.errors import CorruptState, Refused
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.port import Chunk, LogEnd
from poller.model import DAY
from poller.publishing.cache import CacheDirectory, Position, ShardCache
from poller.publishing.restore import restore
from poller.publishing.state_records import META_KEY, Meta, encode_state, state_record

pytestmark = pytest.mark.anyio
TOPIC, ROWS = "compacted", 400
META = Meta("g", 2, "nonce", b"k" * 32, begin=0)
NOW = time.time_ns() // 1000


class Watched:
    """A log that notes where it is read from."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka, self.since = kafka, list[int]()

    async def ends(self, shard: int) -> LogEnd:
        """As the log says."""
        return await self.kafka.ends(shard)

    async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """From ``since``, noted."""
        self.since.append(since)
        async for chunk in self.kafka.read(shard, since, until):
            yield chunk


def folded(bootstrap: str, shard: int, *, committed: bool = True) -> tuple[dict[bytes, bytes], int]:
    """The truth by another client: what the log comes to, and how many records it still holds."""
    level = "read_committed" if committed else "read_uncommitted"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "truth",
            "isolation.level": level,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
        }
    )
    consumer.assign([Place(TOPIC, shard, OFFSET_BEGINNING)])
    found: dict[bytes, bytes] = {}
    count = 0
    while True:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is not None:
            consumer.close()
            return found, count
        count += 1
        key, value = message.key(), message.value()
        assert isinstance(key, bytes)
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value if isinstance(value, bytes) else value.encode()


async def fill(kafka: Kafka, shard: int) -> None:
    """Every row three times, every fifth forgotten, and transactions that nobody ended in between."""
    for turn in range(3):
        writer = await kafka.open_and_fence(shard)
        for first in range(0, ROWS, 50):
            rows = [state_record(shard, b"m%016d" % n, b"\x01turn %d of row %d" % (turn, n)) for n in range(first, first + 50)]
            await writer.commit([state_record(shard, META_KEY, encode_state(replace(META, clock=first))), *rows], timeout_s=20)
        gone = [state_record(shard, b"m%016d" % n, None) for n in range(turn, ROWS, 5)]
        await writer.commit(gone, timeout_s=20)
        producer = writer._producer
        await producer.begin_transaction()
        batch = producer.create_batch()
        batch.append(key=b"m%016d" % 7, value=b"never committed", timestamp=None)
        await (await producer.send_batch(batch, TOPIC, partition=shard))
        await (await kafka.open_and_fence(shard)).close()
        await writer.close()


@pytest.fixture(scope="module")
def compacted(kafka: Cluster) -> Iterator[Kafka]:
    """A state topic of two shards whose log the broker has compacted; the other one lost its beginning besides."""
    import anyio

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    settings = {
        "cleanup.policy": "compact,delete", "retention.ms": "-1", "segment.ms": "500", "max.compaction.lag.ms": "500",
        "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100",
    }  # fmt: skip
    admin.create_topics([NewTopic(TOPIC, 2, 1, config=settings)])[TOPIC].result()
    log = Kafka(Connection(bootstrap=kafka.bootstrap, topics={"state": TOPIC}, shards=2, group="g", worker="restore"))

    async def filled() -> None:
        silence_fenced_futures()
        for shard in (0, 1):
            await fill(log, shard)
            with anyio.fail_after(60):
                while folded(kafka.bootstrap, shard, committed=False)[1] > ROWS + 50:
                    writer = await log.open_and_fence(shard)
                    await writer.commit([state_record(shard, META_KEY, encode_state(META))], timeout_s=20)
                    await writer.close()
                    await anyio.sleep(0.2)

    anyio.run(filled)
    for done in admin.delete_records([Place(TOPIC, 1, 1000)]).values():
        done.result()
    return log


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CacheDirectory]:
    """An empty cache."""
    with CacheDirectory(tmp_path / "cache") as opened:
        yield opened


def held(rows: ShardCache) -> dict[bytes, bytes]:
    """Everything of the shard in the cache, but its position."""
    found: dict[bytes, bytes] = {}
    after = b""
    while step := rows.scan(b"", after):
        after = step[-1][0]
        found |= {key: value for key, value in step if not key.startswith(b"\xff")}
    return found


async def restored(kafka: Kafka, rows: ShardCache, shard: int = 0) -> list[int]:
    """Restore, prove the result, and tell where it was read from."""
    log = Watched(kafka)
    meta, _ = await restore(log, shard, rows, now=NOW, retention=DAY, progress=lambda done, end: None)  # pyright: ignore[reportArgumentType]
    assert meta is not None
    assert held(rows) == folded(kafka.connection.bootstrap, shard)[0]
    return log.since


async def test_an_empty_cache_is_filled_from_the_start(compacted: Kafka, store: CacheDirectory) -> None:
    """The result is what another client folds: no aborted record, no forgotten row."""
    assert await restored(compacted, store.shard(0)) == [0]
    assert not any(b"never committed" in value for value in held(store.shard(0)).values())
    assert 0 < len(held(store.shard(0))) <= ROWS + 1


async def test_a_good_cache_is_continued_from_its_last_transaction(compacted: Kafka, store: CacheDirectory) -> None:
    """A second restore reads only from the last transaction on, also after the log grew."""
    rows = store.shard(0)
    await restored(compacted, rows)
    position = rows.position()
    assert position is not None
    rows.write((), replace(position, last=position.offset))  # as a commit leaves it
    writer = await compacted.open_and_fence(0)
    await writer.commit([state_record(0, META_KEY, encode_state(META)), state_record(0, b"mnew", b"\x01x")], timeout_s=20)
    await writer.close()
    assert await restored(compacted, rows) == [position.offset]
    assert position.offset > 1000


WRONG: dict[str, dict[str, object]] = {
    "another cluster": {"cluster": "another"},
    "a topic made anew": {"nonce": "another"},
    "older than tombstones are kept": {"written": NOW - 2 * DAY},
    "of the future": {"written": NOW + DAY},
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_cache_that_this_log_cannot_continue_is_dropped(compacted: Kafka, store: CacheDirectory, what: str) -> None:
    """It is filled from the start, and rows of its own are gone."""
    rows = store.shard(0)
    await restored(compacted, rows)
    position = rows.position()
    assert position is not None
    rows.write([(b"mstrange", b"\x01")], replace(position, **WRONG[what]))
    assert (await restored(compacted, rows))[-1] == 0
    assert b"mstrange" not in held(rows)


async def test_a_log_that_was_cut_is_refused(compacted: Kafka, store: CacheDirectory) -> None:
    """The cache was further: what is lost would be published again."""
    rows = store.shard(0)
    await restored(compacted, rows)
    position = rows.position()
    assert position is not None
    rows.write((), replace(position, offset=1 << 40, last=1 << 40))
    with pytest.raises(Refused, match="lost its last transactions"):
        await restored(compacted, rows)


async def test_a_log_whose_beginning_was_deleted_is_refused_until_it_was_made_whole(compacted: Kafka, store: CacheDirectory) -> None:
    """Its meta record says then where it begins; a cache from before is dropped."""
    rows = store.shard(1)
    end = await compacted.ends(1)
    assert end.begin > 0
    rows.write([(b"mstrange", b"\x01")], Position(10, 5, META.nonce, end.cluster_id, NOW))
    with pytest.raises(Refused, match="lost its beginning"):
        await restored(compacted, rows, 1)
    writer = await compacted.open_and_fence(1)
    await writer.commit([state_record(1, META_KEY, encode_state(replace(META, nonce="whole", begin=end.begin)))], timeout_s=20)
    await writer.close()
    assert (await restored(compacted, rows, 1))[-1] == end.begin


async def test_a_corrupted_cache_is_thrown_away_with_the_next_start(compacted: Kafka, tmp_path: Path) -> None:
    """Whatever file is damaged, a start or the one after it restores everything."""
    with CacheDirectory(tmp_path / "good") as opened:
        await restored(compacted, opened.shard(0))
    files = [path.name for path in (tmp_path / "good" / "cache").iterdir() if path.is_file() and path.stat().st_size]
    assert {"CURRENT"} < set(files)
    for name in sorted(files):
        shutil.copytree(tmp_path / "good", tmp_path / name)
        damaged = tmp_path / name / "cache" / name
        damaged.write_bytes(bytes(byte ^ 0x5A for byte in damaged.read_bytes()))
        for _ in range(2):
            try:
                with CacheDirectory(tmp_path / name) as opened:
                    await restored(compacted, opened.shard(0))
                break
            except CorruptState:
                continue
        else:
            pytest.fail(f"{name} stays damaged")
