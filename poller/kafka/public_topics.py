"""The public topics, read back: committed records only, for people and for the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
from aiokafka import TopicPartition
from msgspec import Struct

from ..errors import Refused, Unavailable
from ..model import Instant
from .client import STALLED_S, Kafka
from .port import PUBLIC

POLL_MS = 500
MILLISECOND = 1000


class Published(Struct, frozen=True):
    """One record. ``time`` is the record's timestamp."""

    topic: str
    key: str
    headers: dict[str, str]
    value: bytes
    time: Instant


class Stretch(Struct, frozen=True):
    """What is read of one topic: from which offset to which, by partition; ``edge`` when the beginning is not in it."""

    role: str
    spans: dict[Any, tuple[int, int]]
    edge: Instant | None


async def follow(kafka: Kafka, role: str, *, from_beginning: bool) -> AsyncIterator[Published]:
    """A topic's records, on and on. Raises Unavailable, Refused."""
    places = await places_of(kafka, role)
    async with kafka.consumer(auto_offset_reset="latest") as consumer:
        consumer.assign(places)
        await (consumer.seek_to_beginning if from_beginning else consumer.seek_to_end)(*places)
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    yield _published(role, record)


async def stretches(kafka: Kafka, since: Instant | None) -> list[Stretch]:
    """What there is to read of the three topics, all ends taken at once, so that what is published meanwhile is left out.

    Raises Unavailable, Refused.
    """
    found = []
    async with kafka.consumer() as consumer:
        places = {role: await places_of(kafka, role) for role in PUBLIC}
        ends = await consumer.end_offsets([place for each in places.values() for place in each])
        for role, each in places.items():
            starts = await consumer.beginning_offsets(each)
            edge = None
            if since is not None:
                later = await consumer.offsets_for_times(dict.fromkeys(each, since // MILLISECOND))
                starts = {p: later[p].offset if later[p] is not None else ends[p] for p in each}
                edge = since
            elif any(starts.values()):
                edge = await _oldest_kept(consumer, {p: (starts[p], ends[p]) for p in each if starts[p]})
            found.append(Stretch(role, {p: (starts[p], ends[p]) for p in each}, edge))
    return found


async def read(kafka: Kafka, stretch: Stretch) -> AsyncIterator[Published]:
    """Every committed record of a stretch, each partition in its order. Raises Unavailable."""
    left = {place: end for place, (start, end) in stretch.spans.items() if start < end}
    if not left:
        return
    async with kafka.consumer(auto_offset_reset="earliest") as consumer:
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, stretch.spans[place][0])
        moved = anyio.current_time()
        while left:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for place, records in batches.items():
                for record in records:
                    if record.offset < stretch.spans[place][1]:
                        yield _published(stretch.role, record)
            for place in list(left):
                if await consumer.position(place) >= left[place]:
                    del left[place]
                    consumer.pause(place)
            moved = anyio.current_time() if batches else moved
            if anyio.current_time() - moved > STALLED_S:
                raise Unavailable("a topic cannot be read to its end", fix="an open transaction may hold it back: wait for its timeout")


async def _oldest_kept(consumer: Any, spans: dict[Any, tuple[int, int]]) -> Instant | None:
    """The newest of the first timestamps: before it, some partition no longer has its records."""
    newest: Instant | None = None
    for place, (start, end) in spans.items():
        consumer.assign([place])
        consumer.seek(place, start)
        began = anyio.current_time()
        while await consumer.position(place) < end and anyio.current_time() - began < STALLED_S:
            records = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=1)).get(place)
            if records:
                newest = max(newest or 0, records[0].timestamp * MILLISECOND)
                break
    return newest


async def places_of(kafka: Kafka, role: str) -> list[Any]:
    """The partitions of a topic. Raises Unavailable, and Refused where it does not exist: asking for its end could create it, as a wrong one."""
    name = kafka.connection.topics[role]
    async with kafka.admin() as admin:
        if name not in await admin.list_topics():
            raise Refused(f"the topic {name} does not exist, or may not be seen", fix="run: poller topics create, or grant Describe on it")
        [topic] = await admin.describe_topics([name])
    return [TopicPartition(name, part["partition"]) for part in topic["partitions"]]


def _published(role: str, record: Any) -> Published:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    key = (record.key or b"").decode("utf-8", "replace")
    return Published(role, key, headers, record.value or b"", record.timestamp * MILLISECOND)
