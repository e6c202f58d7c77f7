"""The topic of latest messages, filled from older events: what ``poller rebuild --latest`` does.

The topic may be named on an installation that has long published. Then it holds what changed since,
and this adds the rest: for each key whose newest event is above what the topic holds, the whole
message as that event left it. Left out is a message whose newest state the topics no longer tell.

Every shard is fenced before the topics are read, so no event is younger than what was read; a
worker that starts meanwhile takes its shard back, and this ends. What is written is written in
transactions of the shard and never below what is there: killed at any moment, it is run again.
Memory is needed for the messages of one partition at a time, about 2 KiB each.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from ..config.load import Config
from ..errors import Refused, WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import LATEST, MESSAGES, STATUS, Writer
from ..kafka.public_topics import Stretch, read, stretches
from ..kafka.schema_registry import register
from ..model import Instant
from ..publishing.events import Encoded, Publisher, in_transaction
from ..publishing.framing import frames, subjects
from ..publishing.newest import Newest
from ..publishing.privacy import Privacy, Unpublishable
from ..publishing.state_records import META_KEY, Meta, encode_state, state_record
from .audit_rules import EDGE
from .state_topic import BATCH, COMMIT_TIMEOUT_S, Say, nobody, own_metas

BYTES_MAX = 8 << 20
"""Bytes of one transaction, about, as a worker's."""


class Filled(Struct):
    """What was found, in messages."""

    written: int = 0
    there: int = 0
    """The topic held them already, as new or newer; or an operator erased them."""
    untold: int = 0
    """The topics of events no longer tell their newest state, or the topics take no record so large."""
    strangers: int = 0
    """Records that poller did not write."""


async def run(config: Config) -> int:
    """The command, in the installation of a configuration."""
    silence_fenced_futures()
    found = await fill(config, say=lambda what: print(what, file=sys.stderr))
    if found.untold:
        print(
            f"note: {found.untold} messages are left out: the topics no longer hold their events, or take no record so large",
            file=sys.stderr,
        )
    if found.strangers:
        print(f"note: {found.strangers} records were not written by poller and are left out", file=sys.stderr)
    print(f"{found.written} latest messages are filled in, {found.there} were there")
    return 0


async def fill(config: Config, *, say: Say) -> Filled:
    """Write what the topic of latest messages lacks.

    Raises WrongState where workers are running or a shard's state is lost; ConfigError, Unavailable, Refused.
    """
    link = connection_of(config)
    config.demand_topic(LATEST)
    await nobody(Kafka(link))
    await own_metas(Kafka(link))
    there = await _topics(config, Kafka(link))
    kafka = Kafka(replace(link, message_bytes_max=topics.batch_bytes_max(there)))
    publisher = await _publisher(config, topics.record_bytes_max(link.topics, there))
    found = Filled()
    async with _fenced(kafka) as shards:
        stretched = {stretch.role: stretch for stretch in await stretches(kafka, None)}
        if any(stretch.open for stretch in stretched.values()):
            raise Refused(
                "a transaction of another program is open on a public topic", fix="end it, or wait for its timeout, and run this again"
            )
        cut = None if (edge := stretched[STATUS].edge) is None else edge + EDGE
        for partition in range(config.kafka.partitions):
            messages = await _learn(kafka, [stretched[role] for role in (LATEST, MESSAGES, STATUS)], partition, found)
            await _write(messages, cut, publisher, shards, found)
            say(f"partition {partition} of {config.kafka.partitions}: {len(messages)} messages, {found.written} filled in so far")
    return found


async def _topics(config: Config, kafka: Kafka) -> dict[str, topics.Found]:
    """The topics as they are, that of latest messages created where it is missing. Raises ConfigError for what stands in the way."""
    file, names = config.kafka, kafka.connection.topics
    there = await topics.inspect(kafka)
    plan = topics.compare(names, there, partitions=file.partitions, shards=file.shards)
    with config.at("kafka", "topics"):
        plan.check()
    if LATEST in plan.create:
        await topics.create(
            kafka, (LATEST,), partitions=file.partitions, replication_factor=file.replication_factor, retention=file.retention
        )
        there = await topics.inspect(kafka)
    return there


async def _publisher(config: Config, record_bytes_max: int) -> Publisher:
    """As a worker has it, but for privacy: what is read from the topics has it already."""
    registry = config.kafka.schema_registry
    framed = {} if registry is None else frames(await register(registry, subjects()), registry.framing)
    return Publisher(partitions=config.kafka.partitions, privacy=Privacy(), record_bytes_max=record_bytes_max, frames=framed)


class _Shard:
    """The latest messages of one shard, in transactions behind its fence."""

    def __init__(self, number: int, writer: Writer, meta: Meta | None) -> None:
        self._number, self._writer, self._meta = number, writer, meta
        self._waiting: list[Encoded] = []
        self._bytes = 0

    async def add(self, latest: Encoded) -> None:
        """One more; a full transaction is committed."""
        self._waiting.append(latest)
        self._bytes += latest.size
        if len(self._waiting) >= BATCH or self._bytes >= BYTES_MAX:
            await self.flush()

    async def flush(self) -> None:
        """Commit what waits. Raises WrongState where the shard has no state: its next transaction's number is not known."""
        if not self._waiting:
            return
        if self._meta is None or self._meta.rebuilding:
            raise WrongState(f"shard {self._number} has published and has no state", fix="run first: poller rebuild")
        meta = replace(self._meta, clock=self._meta.clock + 1)
        records = [state_record(self._number, META_KEY, encode_state(meta))]
        records += in_transaction([], self._waiting, shard=self._number, sequence=meta.sequence)
        await self._writer.commit(records, timeout_s=COMMIT_TIMEOUT_S)
        self._meta, self._waiting, self._bytes = meta, [], 0


@asynccontextmanager
async def _fenced(kafka: Kafka) -> AsyncIterator[list[_Shard]]:
    """Every shard, with whoever wrote before fenced, and its state as it is since then."""
    async with AsyncExitStack() as open_:
        writers: list[Writer] = []
        for shard in range(kafka.connection.shards):
            writer = await kafka.open_and_fence(shard)
            open_.push_async_callback(writer.close)
            writers.append(writer)
        yield [_Shard(shard, writer, meta) for shard, (writer, meta) in enumerate(zip(writers, await own_metas(kafka), strict=True))]


async def _learn(kafka: Kafka, stretched: list[Stretch], partition: int, found: Filled) -> list[Newest]:
    """What the topics tell of the messages in one partition; a key is in the same one of each topic."""
    messages: dict[str, Newest] = {}
    for stretch in stretched:
        spans = {place: span for place, span in stretch.spans.items() if place.partition == partition}
        async for record in read(kafka, replace(stretch, spans=spans)):
            newest = messages.setdefault(record.key, Newest())
            if stretch.role == LATEST and not record.value:
                newest.erased()
            else:
                found.strangers += not newest.learn(record.headers.get("ce_type", ""), record.value, record.time)
    return list(messages.values())


async def _write(messages: list[Newest], cut: Instant | None, publisher: Publisher, shards: list[_Shard], found: Filled) -> None:
    """What the topic lacks of one partition, each message by its shard."""
    for newest in messages:
        if newest.held >= newest.revision:
            found.there += newest.held > 0
            continue
        event = newest.event(cut)
        try:
            if event is not None:
                await shards[shard_of(event.stream.account_key, len(shards))].add(publisher.latest(event))
                found.written += 1
        except Unpublishable:
            event = None
        found.untold += event is None
    for shard in shards:
        await shard.flush()
