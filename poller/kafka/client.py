"""Kafka, as the engine needs it: the only producers and readers, and the strict protocol around them.

aiokafka's own recovery of transactions is not safe, so a producer has one strike: after any
exception, timeout or cancellation it is only ended, never aborted or used again; opening the
next one with the same transactional id aborts what was left and fences it. Every send is
awaited before a commit, because aiokafka commits happily although a batch failed. Deadlines
are ordered: request < commit < transaction timeout.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as ak
from aiokafka.admin import AIOKafkaAdminClient

from ..errors import Unavailable
from . import public_topics
from .connection import CLOSE_GRACE_S, REQUEST_TIMEOUT_MS, STALLED_S, Connection, _end_consumer, _end_producer, refusal
from .port import REQUESTS, STATE, Chunk, LogEnd, Membership, Stored
from .translate import START_TIMEOUT_S, TRANSACTION_TIMEOUT_MS, mapped
from .writer import KafkaWriter

STABLE_TIMEOUT_S = 60.0
"""How long a restore waits for transactions that were open at the fence to be decided."""

BATCH_BYTES_MAX = 256 * 1024
"""Bytes of one batch of a transaction: large enough that batches are few, well below what brokers take by default (1 MiB)."""

FETCH_BYTES_MAX = 1 << 20
"""Bytes that a restore fetches of a partition at once."""

POLL_MS = 50
"""Milliseconds that a fetch waits for records: short, because a fetch of control records alone does not end the wait."""

REQUESTS_WAIT_MS = 2_000
"""How long a fetch of requests waits at the broker; an answer comes at once where there is something."""

REFUSED_WITHIN_MS = 2_000
"""How long a reader waits to be refused; the answer to a fetch that waits briefly comes long before."""


class Kafka:
    """The port :class:`poller.kafka.port.Log`, filled by aiokafka."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cluster_id = ""
        self._left = set[int]()  # shards on whose partition a transaction stayed open after a fence

    async def open_and_fence(self, shard: int) -> KafkaWriter:
        """See :class:`poller.kafka.port.Log`. The id is the state topic's, so a second installation is fenced, not doubled.

        Where a transaction stayed open after the last fence (:meth:`ends`), it is aborted by hand.
        """
        link = self.connection
        producer = AIOKafkaProducer(
            bootstrap_servers=link.bootstrap,
            client_id=f"{link.worker}-{shard}",
            transactional_id=f"{link.topics[STATE]}-{shard}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_batch_size=min(BATCH_BYTES_MAX, link.message_bytes_max),
            compression_type="zstd",
            **link.client,
        )
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await producer.start()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await _end_producer(producer)
            if not isinstance(error, Exception):
                raise
            raise mapped(await refusal(link, error), None, starting="the transaction coordinator") from None
        writer = KafkaWriter(producer, link.topics, shard)
        if shard in self._left:
            await self._abort_left(writer, shard)
        return writer

    async def _abort_left(self, writer: KafkaWriter, shard: int) -> None:
        """Abort what stayed open; the writer is closed where that fails. Raises Unavailable, Refused."""
        try:
            await writer.abort_left(timeout_s=START_TIMEOUT_S)
        except BaseException:
            await writer.close()
            raise
        self._left.discard(shard)

    @asynccontextmanager
    async def consumer(self, *, committed: bool = True, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        """A reader without a group, for as long as the block lasts."""
        link = self.connection
        consumer = AIOKafkaConsumer(
            bootstrap_servers=link.bootstrap,
            client_id=link.worker,
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            **{"auto_offset_reset": "none", **link.client, **options},
        )
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await consumer.start()
            yield consumer
        except (ak.KafkaError, OSError, TimeoutError) as error:
            raise mapped(await refusal(link, error), None, right="Read") from None
        finally:
            await _end_consumer(consumer)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """An administration client, for as long as the block lasts. Raises Unavailable, Refused."""
        link = self.connection
        admin = AIOKafkaAdminClient(
            bootstrap_servers=link.bootstrap, client_id=link.worker, request_timeout_ms=REQUEST_TIMEOUT_MS, **link.client
        )
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await admin.start()
            yield admin
        except (ak.KafkaError, OSError, TimeoutError) as error:
            raise mapped(await refusal(link, error), None, right="Describe") from None
        finally:
            with anyio.move_on_after(CLOSE_GRACE_S, shield=True):
                await admin.close()

    async def cluster_id(self) -> str:
        """Which cluster this is; a cache of another one is worth nothing."""
        if not self._cluster_id:
            async with self.admin() as admin:
                self._cluster_id = (await admin.describe_cluster())["cluster_id"] or "unknown"
        return self._cluster_id

    async def ends(self, shard: int, *, settled: bool = True) -> LogEnd:
        """See :class:`poller.kafka.port.Log`."""
        place, cluster = TopicPartition(self.connection.topics[STATE], shard), await self.cluster_id()
        async with self.consumer() as committed, self.consumer(committed=False) as everything:
            begin = (await everything.beginning_offsets([place]))[place]
            with anyio.move_on_after(STABLE_TIMEOUT_S):
                while True:
                    end = (await everything.end_offsets([place]))[place]
                    stable = (await committed.end_offsets([place]))[place]
                    if stable >= end or not settled:
                        return LogEnd(begin, min(end, stable), cluster)
                    await anyio.sleep(0.02)
        self._left.add(shard)
        raise Unavailable(
            "a transaction on the state topic stays open",
            fix="a worker aborts it when it opens the shard again; of a stopped installation, start one",
        )

    async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """See :class:`poller.kafka.port.Log`. By position: control records and compaction leave gaps."""
        place = TopicPartition(self.connection.topics[STATE], shard)
        async with self.consumer() as consumer:
            consumer.assign([place])
            consumer.seek(place, since)
            before, moved = since, anyio.current_time()
            while before < until:
                found = (await consumer.getmany(place, timeout_ms=POLL_MS)).get(place, [])
                after = await consumer.position(place)
                if after > before:
                    records = [Stored(r.key or b"", r.value) for r in found if r.offset < until]
                    yield Chunk(records, min(after, until))
                    before, moved = after, anyio.current_time()
                elif anyio.current_time() - moved > STALLED_S:
                    raise Unavailable("the state topic cannot be read to its end")

    async def has_published(self, shards: Collection[int], accounts: Collection[str]) -> bool:
        """See :class:`poller.kafka.port.Log`."""
        return await public_topics.has_published(self, shards, accounts)

    async def send_request(self, key: bytes, value: bytes) -> None:
        """Ask something of the workers, outside of any transaction. Raises Unavailable, Refused."""
        link = self.connection
        producer = AIOKafkaProducer(
            bootstrap_servers=link.bootstrap, client_id=link.worker, request_timeout_ms=REQUEST_TIMEOUT_MS, acks="all", **link.client
        )
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await producer.start()
                await producer.send_and_wait(link.topics[REQUESTS], value, key)
        except (ak.KafkaError, OSError, TimeoutError) as error:
            raise mapped(await refusal(link, error), None, right="Write") from None
        finally:
            await _end_producer(producer)

    async def requests(self) -> AsyncIterator[Stored]:
        """See :class:`poller.kafka.port.Log`. From the end on: a command repeats what nobody has taken up."""
        async with self._from_the_end(self.connection.topics[REQUESTS], wait_ms=REQUESTS_WAIT_MS) as consumer:
            while True:
                for records in (await consumer.getmany(timeout_ms=REQUESTS_WAIT_MS)).values():
                    for record in records:
                        yield Stored(record.key or b"", record.value)

    async def try_to_read(self, names: Collection[str]) -> None:
        """Ask for what is written to topics from now on: who may not read is refused with the first answer. Raises Refused, Unavailable."""
        async with self._from_the_end(*names, wait_ms=POLL_MS) as consumer:
            await consumer.getmany(timeout_ms=REFUSED_WITHIN_MS)

    @asynccontextmanager
    async def _from_the_end(self, *names: str, wait_ms: int) -> AsyncIterator[AIOKafkaConsumer]:
        """A reader of every partition of some topics, from its end on; ``wait_ms`` is how long a fetch waits at the broker where there is nothing."""
        async with self.admin() as admin:
            found = await admin.describe_topics(list(names))
        async with self.consumer(auto_offset_reset="latest", fetch_max_wait_ms=wait_ms) as consumer:
            consumer.assign([TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"]])
            await consumer.seek_to_end()
            yield consumer

    def membership(self) -> AbstractAsyncContextManager[Membership]:
        """See :class:`poller.kafka.port.Log`."""
        from .membership import member

        return member(self.connection)
