"""``make bench-restore``: the state topic into the cache, against the bare fetch of the same topic, in one run."""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from pathlib import Path

import anyio
import psutil

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.topics import create
from poller.model import DAY
from poller.publishing.cache import CacheDirectory
from poller.publishing.message_state import MessageState, digest
from poller.publishing.restore import restore
from poller.publishing.state_records import META_KEY, Meta, encode_state, message_state_key, state_record

BATCH = 2000
ROUNDS = 3


async def fill(kafka: Kafka, count: int, shard: int = 0) -> None:
    """So many messages with random keys, as the daemon writes them, and the meta record of the shard."""
    writer, link = await kafka.open_and_fence(shard), kafka.connection
    meta = encode_state(Meta(link.group, link.shards, "nonce", b"k" * 32))
    for first in range(0, max(1, count), BATCH):
        records = [state_record(shard, META_KEY, meta)]
        for number in range(first, min(count, first + BATCH)):
            seen = MessageState(
                2,
                "delivered",
                "delivered",
                True,
                1_790_000_000_000_000 + number,
                7,
                1_790_000_000,
                77,
                1,
                9,
                0b111111,
                uuid.uuid4().bytes + b"12345678",
            )
            records.append(state_record(shard, message_state_key(digest(f"m{number}")), encode_state(seen)))
        await writer.commit(records, timeout_s=20)
    await writer.close()


async def bare(kafka: Kafka) -> tuple[float, int]:
    """Seconds of the fetch alone, and the records fetched."""
    end, began, count = await kafka.ends(0), time.monotonic(), 0
    async for chunk in kafka.read(0, 0, end.end):
        count += len(chunk.records)
    return time.monotonic() - began, count


async def whole(kafka: Kafka, folder: Path) -> tuple[float, float]:
    """Seconds of a whole restore, and how many MiB the process grew meanwhile at most."""
    process = psutil.Process()
    before = peak = process.memory_info().rss

    def look(done: int, end: int) -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    with CacheDirectory(folder) as store:
        began = time.monotonic()
        await restore(kafka, 0, store.shard(0), now=time.time_ns() // 1000, retention=DAY, progress=look)
        return time.monotonic() - began, (peak - before) / (1 << 20)


async def main(count: int) -> None:
    """Three rounds of both, the better of each."""
    silence_fenced_futures()
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as cluster:
        kafka = Kafka(Connection(bootstrap=cluster.bootstrap, topics={"state": "bench"}, shards=1, group="bench"))
        await create(kafka, ("state",), partitions=1, replication_factor=1)
        await fill(kafka, count)
        fetched, restored, grown = [], [], []
        for turn in range(ROUNDS):
            seconds, records = await bare(kafka)
            fetched.append(seconds)
            seconds, growth = await whole(kafka, Path(name) / f"cache-{turn}")
            restored.append(seconds)
            grown.append(growth)
            size = sum(path.stat().st_size for path in (Path(name) / f"cache-{turn}").rglob("*") if path.is_file())
    print(f"{records} records: bare fetch {records / min(fetched):,.0f} a second, restore {records / min(restored):,.0f} a second")
    print(
        f"ratio {min(restored) / min(fetched):.2f}; memory grew by {max(grown):.0f} MiB; {size / count:.0f} bytes on disk for each message"
    )


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
