"""The public topics, read back: committed records only, for people and for the audit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

import anyio
from aiokafka import TopicPartition
from msgspec import Struct

from ..errors import Refused, Unavailable
from ..model import Instant
from .connection import STALLED_S, Clients
from .partitioner import partition_of
from .port import DEAD_LETTERS, LATEST, PUBLIC

POLL_MS = 500
"""Milliseconds that a fetch waits for records."""

MILLISECOND = 1000
"""A millisecond in microseconds: Kafka counts in milliseconds."""

SETTLE_S = 5.0
"""Seconds that a reader waits for the markers of transactions that are decided; what is open longer is another program's."""

ALIVE_S = 10.0
"""Seconds without a record after which a reader that follows a topic asks whether Kafka still answers."""


SHARD = "ce_pollershard"
"""The header that says which shard published a record."""

FRAME_BYTES = 5
"""What stands before a value where schemas are registered: a zero, which no JSON begins with, and the schema's number."""

NOTHING_KEPT: Instant = 1 << 62
"""The edge where nobody knows what was lost: no record is young enough to be judged."""


class Published(Struct, frozen=True):
    """One record. ``time`` is the record's timestamp."""

    topic: str
    key: str
    headers: dict[str, str]
    value: bytes
    time: Instant


class Stretch(Struct, frozen=True):
    """What is read of one topic: from which offset to which, by partition."""

    role: str
    spans: dict[Any, tuple[int, int]]
    """The committed records: up to the last stable offset."""
    open: dict[Any, tuple[int, int]]
    """Behind them, where a transaction is open: which of these records will be committed is not decided."""
    edge: Instant | None
    """The time before which records may be missing, because they were not asked for or are no longer kept; None: all are there.

    What compaction takes away is not missing.
    """

    @property
    def records(self) -> int:
        """How many records there are to read, at most."""
        return sum(end - start for start, end in self.spans.values())


async def follow(kafka: Clients, role: str, *, since: Instant | None = None) -> AsyncIterator[Published]:
    """A topic's records, on and on: those to come, or also those since a time. Raises Unavailable, Refused."""
    places = await places_of(kafka, role)
    async with kafka.consumer(auto_offset_reset="latest") as consumer:
        consumer.assign(places)
        await consumer.seek_to_end(*places)
        if since is not None:
            for place, offset in (await _offsets_at(consumer, places, since)).items():
                consumer.seek(place, offset)
        heard = anyio.current_time()
        while True:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for records in batches.values():
                for record in records:
                    yield _published(role, record)
            if batches:
                heard = anyio.current_time()
            elif anyio.current_time() - heard > ALIVE_S:
                with anyio.fail_after(ALIVE_S):
                    await consumer.end_offsets(places)
                heard = anyio.current_time()


async def stored(kafka: Clients, role: str, *, since: Instant) -> AsyncIterator[Published]:
    """A topic's committed records that are there now, since a time, each partition in its order. Raises Unavailable, Refused."""
    places = await places_of(kafka, role)
    async with kafka.consumer() as consumer:
        starts, ends = await _offsets_at(consumer, places, since), await consumer.end_offsets(places)
    async for _, record in records_of(kafka, {place: (starts[place], ends[place]) for place in places}):
        yield _published(role, record)


async def events_of(kafka: Clients, role: str, key: str) -> AsyncIterator[Published]:
    """Every committed record with a key, from the one partition that has it. Raises Unavailable, Refused."""
    places = sorted(await places_of(kafka, role), key=lambda place: place.partition)
    wanted, place = key.encode(), places[partition_of(key.encode(), len(places))]
    async with kafka.consumer() as consumer:
        starts, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
    async for _, record in records_of(kafka, {place: (starts[place], ends[place])}):
        if record.key == wanted:
            yield _published(role, record)


async def stretches(kafka: Clients, since: Instant | None, *, expired: Mapping[str, Instant] = MappingProxyType({})) -> list[Stretch]:
    """What there is to read of the public topics, all ends taken at once, so that what is published meanwhile is left out.

    ``expired`` says of a role's topic the time before which retention may have removed records, where that is known.
    Raises Unavailable, Refused.
    """
    found = []
    places = {role: await places_of(kafka, role) for role in PUBLIC if role in kafka.connection.topics}
    everywhere = [place for each in places.values() for place in each]
    async with kafka.consumer() as consumer, kafka.consumer(committed=False) as everything:
        heads = await everything.end_offsets(everywhere)
        ends = await _settled(consumer, heads)
        for role, each in places.items():
            starts = await consumer.beginning_offsets(each)
            edge = None
            if since is not None:
                starts = {place: min(offset, ends[place]) for place, offset in (await _offsets_at(consumer, each, since)).items()}
                edge = since
            elif any(starts.values()) and role != LATEST:
                edge = await _edge(consumer, {p: (starts[p], ends[p]) for p in each if starts[p]}, role, expired.get(role))
            spans = {place: (starts[place], ends[place]) for place in each}
            found.append(Stretch(role, spans, {place: (ends[place], heads[place]) for place in each if ends[place] < heads[place]}, edge))
    return found


async def read(kafka: Clients, stretch: Stretch) -> AsyncIterator[Published]:
    """Every committed record of a stretch, each partition in its order. Raises Unavailable."""
    async for _, record in records_of(kafka, stretch.spans):
        yield _published(stretch.role, record)


async def undecided(kafka: Clients, stretch: Stretch) -> AsyncIterator[Published]:
    """The records behind a transaction that is open: some will be committed, some will not. Raises Unavailable."""
    async for _, record in records_of(kafka, stretch.open, committed=False):
        yield _published(stretch.role, record)


async def has_published(kafka: Clients, shards: Collection[int], accounts: Collection[str]) -> bool:
    """Whether the public topics hold anything of these shards or accounts. Reads until it finds it. Raises Unavailable, Refused."""
    wanted = {(SHARD, str(shard).encode()) for shard in shards} | {("ce_source", f"/poller/{account}".encode()) for account in accounts}
    async with aclosing(_headers(kafka, wanted)) as found:
        return await anext(found, None) is not None


async def shards_that_published(kafka: Clients, among: Collection[int]) -> set[int]:
    """Those shards of which the public topics hold anything. Reads until it has found all. Raises Unavailable, Refused."""
    wanted = {(SHARD, str(shard).encode()) for shard in among}
    found: set[int] = set()
    async with aclosing(_headers(kafka, wanted)) as headers:
        async for _, value in headers:
            found.add(int(value))
            if len(found) == len(wanted):
                break
    return found


async def _headers(kafka: Clients, wanted: set[tuple[str, bytes]]) -> AsyncGenerator[tuple[str, bytes], None]:
    """The wanted headers that committed records have, whenever one is met."""
    for stretch in await stretches(kafka, None) if wanted else ():
        async with aclosing(records_of(kafka, stretch.spans)) as records:
            async for _, record in records:
                for header in wanted.intersection(record.headers):
                    yield header


async def records_of(kafka: Clients, spans: dict[Any, tuple[int, int]], *, committed: bool = True) -> AsyncGenerator[tuple[Any, Any], None]:
    """``(place, record)`` of every span, each place in its order. Raises Unavailable where a topic does not come to its end."""
    left = {place: end for place, (start, end) in spans.items() if start < end}
    if not left:
        return
    async with kafka.consumer(committed=committed, auto_offset_reset="earliest") as consumer:
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, spans[place][0])
        moved = anyio.current_time()
        while left:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
            for place, records in batches.items():
                for record in records:
                    if record.offset < spans[place][1]:
                        yield place, record
            for place in list(left):
                if await consumer.position(place) >= left[place]:
                    del left[place]
                    consumer.pause(place)
            moved = anyio.current_time() if batches else moved
            if anyio.current_time() - moved > STALLED_S:
                raise Unavailable("a topic cannot be read to its end", fix="see whether the brokers that hold it are up")


async def _settled(consumer: Any, heads: dict[Any, int]) -> dict[Any, int]:
    """The last stable offsets, once every decided transaction below ``heads`` has its marker; less where one stays open."""
    ends: dict[Any, int] = {}
    with anyio.move_on_after(SETTLE_S):
        while not ends or any(ends[place] < head for place, head in heads.items()):
            ends = await consumer.end_offsets(list(heads))
            await anyio.sleep(0.05)
    if not ends:
        raise Unavailable("Kafka does not say where its topics end")
    return {place: min(end, heads[place]) for place, end in ends.items()}


async def _offsets_at(consumer: Any, places: Iterable[Any], since: Instant) -> dict[Any, int]:
    """The first offset at or after a time, of each place; its end where nothing is that young."""
    found = await consumer.offsets_for_times(dict.fromkeys(places, since // MILLISECOND))
    ends = await consumer.end_offsets(list(found))
    return {place: later.offset if later is not None else ends[place] for place, later in found.items()}


async def _edge(consumer: Any, spans: dict[Any, tuple[int, int]], role: str, expired: Instant | None) -> Instant:
    """Before which time the partitions that lost their beginning may have lost records.

    That is the time of the first record that is left. Dead letters are rare, so there the first one
    may be young although all that was lost is as old as retention says.
    """
    oldest = await _oldest_kept(consumer, spans)
    unknown = NOTHING_KEPT if expired is None else expired
    firsts = [oldest.get(place, unknown) for place in spans]
    return max(min(first, unknown) if role == DEAD_LETTERS else first for first in firsts)


async def _oldest_kept(consumer: Any, spans: dict[Any, tuple[int, int]]) -> dict[Any, Instant]:
    """The time of the first record of each place that has one."""
    oldest: dict[Any, Instant] = {}
    for place, (start, end) in spans.items():
        consumer.assign([place])
        consumer.seek(place, start)
        began = anyio.current_time()
        while await consumer.position(place) < end and anyio.current_time() - began < STALLED_S:
            records = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=1)).get(place)
            if records:
                oldest[place] = records[0].timestamp * MILLISECOND
                break
    return oldest


async def places_of(kafka: Clients, role: str) -> list[Any]:
    """The partitions of a topic. Raises Unavailable, and Refused where it does not exist: asking for its end could create it, as a wrong one."""
    name = kafka.connection.topics.get(role)
    if name is None:
        raise Refused(f"no topic is named for {role}", fix=f"set kafka.topics.{role}")
    async with kafka.admin() as admin:
        if name not in await admin.list_topics():
            raise Refused(f"the topic {name} does not exist, or may not be seen", fix="run: poller topics create, or grant Describe on it")
        [topic] = await admin.describe_topics([name])
    return [TopicPartition(name, part["partition"]) for part in topic["partitions"]]


def _published(role: str, record: Any) -> Published:
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    key = (record.key or b"").decode("utf-8", "replace")
    value = record.value or b""
    if role != DEAD_LETTERS and value[:1] == b"\0":
        value = value[FRAME_BYTES:]
    return Published(role, key, headers, value, record.timestamp * MILLISECOND)
