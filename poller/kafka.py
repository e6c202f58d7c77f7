"""Kafka, as the engine needs it: the only producers and readers, and the strict protocol around them.

aiokafka's own recovery of transactions is not safe, so a producer has one strike: after any
exception, timeout or cancellation it is only ended, never aborted or used again; opening the
next one with the same transactional id aborts what was left and fences it. Every send is
awaited before a commit, because aiokafka commits happily although a batch failed. Deadlines
are ordered: request < commit < transaction timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka import errors as ak
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from msgspec import Struct

from .errors import Unavailable
from .kafka_errors import START_TIMEOUT_S, TRANSACTION_TIMEOUT_MS, mapped
from .port import STATE, Chunk, LogEnd, Membership, Record, Stored

REQUEST_TIMEOUT_MS = 5_000

CLOSE_GRACE_S = 3.0
STABLE_TIMEOUT_S = 60.0
"""How long a restore waits for transactions that were open at the fence to be decided."""

BATCH_BYTES_MAX = 256 * 1024
FETCH_BYTES_MAX = 1 << 20
POLL_MS = 50
STALLED_S = 30.0


class Connection(Struct, frozen=True, kw_only=True):
    """How to reach Kafka, and the names of its topics."""

    bootstrap: str
    topics: dict[str, str]
    """Role to name."""
    shards: int
    group: str
    session_s: float = 6.0
    instance_id: str | None = None
    worker: str = "poller"
    """A name that tells this worker from the others in the group; stable across restarts for static membership."""
    client: dict[str, Any] = {}
    """Security arguments of every aiokafka client."""


def quiet() -> None:
    """Drop aiokafka's "exception was never retrieved" reports of its own futures after a fencing, and nothing else."""

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), ak.KafkaError | ak.IllegalOperation) and "never retrieved" in context["message"]:
            return
        loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handler)


class KafkaWriter:
    """The open transactional producer of one shard."""

    def __init__(self, producer: AIOKafkaProducer, topics: dict[str, str], shard: int) -> None:
        self._producer, self._topics, self._shard = producer, topics, shard
        self._struck = False

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """See :class:`poller.port.Writer`."""
        assert not self._struck, "a producer has one strike"
        self._struck = True
        sent: list[asyncio.Future[Any]] = []
        try:
            with anyio.fail_after(timeout_s, shield=True):
                offset = await self._transaction(records, sent)
        except Exception as error:
            first = next((f.exception() for f in sent if f.done() and not f.cancelled() and f.exception()), None)
            raise mapped(_behind(self._producer) or error, first, writing=True, right="Write") from None
        finally:
            for future in sent:
                future.add_done_callback(_looked_at)
        self._struck = False
        return offset

    async def _transaction(self, records: Sequence[Record], sent: list[asyncio.Future[Any]]) -> int:
        """Begin, send prepared batches, await every one of them, commit; the offset after the last state record."""
        await self._producer.begin_transaction()
        batches: dict[tuple[str, int], Any] = {}
        state: list[tuple[asyncio.Future[Any], int]] = []

        async def ship(place: tuple[str, int]) -> None:
            batch = batches.pop(place)
            count = batch.record_count()
            future = await self._producer.send_batch(batch, place[0], partition=place[1])
            sent.append(future)
            if place[0] == self._topics[STATE]:
                state.append((future, count))

        for record in records:
            place = (self._topics[record.topic], record.partition)
            while True:
                if place not in batches:
                    batches[place] = self._producer.create_batch()
                if _append(batches[place], record):
                    break
                await ship(place)
        for place in list(batches):
            await ship(place)
        await asyncio.gather(*sent)
        await self._producer.commit_transaction()
        return max(future.result().offset + count for future, count in state)

    async def close(self) -> None:
        """End it in bounded time; nothing of it keeps running."""
        self._struck = True
        with anyio.CancelScope(shield=True):
            await _end_producer(self._producer)


def _behind(producer: AIOKafkaProducer) -> BaseException | None:
    """What broke the transaction, where the client only tells what the transaction's state forbids after it."""
    waiter = producer._txn_manager and producer._txn_manager._transaction_waiter
    return waiter.exception() if waiter is not None and waiter.done() and not waiter.cancelled() else None


def _append(batch: Any, record: Record) -> bool:
    return batch.append(key=record.key, value=record.value, timestamp=None, headers=list(record.headers)) is not None


def _looked_at(future: asyncio.Future[Any]) -> None:
    """So that asyncio does not complain that nobody asked."""
    if not future.cancelled():
        future.exception()


async def _end_producer(producer: AIOKafkaProducer) -> None:
    """In bounded time."""
    await _end(producer, producer._sender, producer._message_accumulator, producer.client)


async def _end_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stopping right after the start raises CancelledError, which would end a task group silently."""
    with anyio.CancelScope(shield=True):
        await asyncio.sleep(0)
    await _end(consumer, consumer._fetcher, consumer._coordinator, consumer._client)


async def _end(client: Any, *parts: Any) -> None:
    """``stop()`` can hang and swallows cancellation: a short grace, then the client's own tasks are cancelled one by one."""
    with anyio.CancelScope(shield=True):
        stop = asyncio.ensure_future(client.stop())
        stop.add_done_callback(_looked_at)
        await asyncio.wait({stop}, timeout=CLOSE_GRACE_S)
        for _ in range(3):
            if stop.done():
                return
            stop.cancel()
            for task in asyncio.all_tasks():
                frame = getattr(task.get_coro(), "cr_frame", None)
                owner = frame and frame.f_locals.get("self")
                if owner is not None and any(owner is part for part in (client, *parts)):
                    task.cancel()
            await asyncio.sleep(0)
        for connection in list(parts[-1]._conns.values()):
            connection.close()


class Kafka:
    """The port :class:`poller.port.Log`, filled by aiokafka."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cluster_id = ""

    async def open_and_fence(self, shard: int) -> KafkaWriter:
        """See :class:`poller.port.Log`. The id is the state topic's, so a second installation is fenced, not doubled."""
        link = self.connection
        producer = AIOKafkaProducer(
            bootstrap_servers=link.bootstrap,
            client_id=f"{link.worker}-{shard}",
            transactional_id=f"{link.topics[STATE]}-{shard}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES_MAX,
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
        return KafkaWriter(producer, link.topics, shard)

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
        """See :class:`poller.port.Log`."""
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
        raise Unavailable("a transaction on the state topic stays open", fix="wait for its timeout, or abort it")

    async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """See :class:`poller.port.Log`. By position: control records and compaction leave gaps."""
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

    async def tell(self, shard: int, key: bytes, value: bytes) -> None:
        """Write a request for a shard's owner, outside of any transaction. Raises Unavailable, Refused."""
        link = self.connection
        producer = AIOKafkaProducer(
            bootstrap_servers=link.bootstrap, client_id=link.worker, request_timeout_ms=REQUEST_TIMEOUT_MS, acks="all", **link.client
        )
        try:
            with anyio.fail_after(START_TIMEOUT_S):
                await producer.start()
                await producer.send_and_wait(link.topics[STATE], value, key, partition=shard)
        except (ak.KafkaError, OSError, TimeoutError) as error:
            raise mapped(await refusal(link, error), None, right="Write") from None
        finally:
            await _end_producer(producer)

    def membership(self) -> AbstractAsyncContextManager[Membership]:
        """See :class:`poller.port.Log`."""
        from .group import member  # the group builds on the clients here

        return member(self.connection)


async def refusal(link: Connection, error: BaseException) -> BaseException:
    """Why no broker could be connected to: the client only says that none could, so one more connection is made and asked."""
    if not isinstance(error, ak.KafkaConnectionError):
        return error
    host, port, _ = collect_hosts(link.bootstrap)[0]
    try:
        with anyio.fail_after(REQUEST_TIMEOUT_MS / 1000):
            (await create_conn(host, port, client_id=link.worker, request_timeout_ms=REQUEST_TIMEOUT_MS, **link.client)).close()
    except (ak.KafkaError, OSError, TimeoutError) as deeper:
        return deeper
    return error
