"""One shard's transactional producer: all records of a commit in one transaction, or none.

The client commits happily although a batch failed, so every batch's future is awaited before the commit. After any
exception the producer is never used again ("one strike"): what became of the transaction, only the log can say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import anyio
from aiokafka import AIOKafkaProducer, TopicPartition

from .connection import _end_producer, _looked_at
from .port import REQUESTS, STATE, Record
from .translate import mapped

TICK_S = 0.02
"""Seconds between two looks whether all partitions joined a transaction."""

ABORT_S = 5.0
"""Seconds that a rehearsal waits for its own transaction to be aborted; the broker aborts it later, if need be."""


class KafkaWriter:
    """The open transactional producer of one shard."""

    def __init__(self, producer: AIOKafkaProducer, topics: dict[str, str], shard: int) -> None:
        self._producer, self._topics, self._shard = producer, topics, shard
        self._struck = False

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """See :class:`poller.kafka.port.Writer`."""
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

    async def rehearse(self, topics: Collection[str], *, timeout_s: float) -> None:
        """Try what a transaction needs, and leave nothing that anybody reads: every topic joins one, the state topic gets a record, and it is aborted.

        Raises Refused where a right is missing or this host's clock is not Kafka's, Unavailable.
        """
        try:
            with anyio.fail_after(timeout_s):
                await self._producer.begin_transaction()
                try:
                    await self._rehearsed(topics)
                except Exception as error:
                    raise mapped(_behind(self._producer) or error, None, right="Write") from None
                finally:
                    with anyio.move_on_after(ABORT_S, shield=True):  # an open transaction would hold up who restores
                        await self._producer.abort_transaction()
        except Exception as error:
            raise mapped(error, None, right="Write") from None

    async def _rehearsed(self, topics: Collection[str]) -> None:
        """Let topics join the transaction that is open, and send the state topic a record. Raises what the client does."""
        state, places = self._topics[STATE], [TopicPartition(topic, 0) for topic in topics]
        sent = await self._producer.send(state, b"", b"?", partition=0) if state in topics else None
        await self._joined(places)
        if sent is not None:
            await sent

    async def abort_left(self, *, timeout_s: float) -> None:
        """Abort, on every partition that this shard writes, what an earlier producer of it left open and the coordinator no longer knows.

        A coordinator that starts again may end a transaction whose partitions it does not know yet, and never write their markers
        (KIP-664 calls that a hanging transaction): no fence and no timeout ends it. An abort of our own writes a marker on each
        partition that joined, for whatever this producer's id has open there. Raises Unavailable, Refused.
        """
        try:
            with anyio.fail_after(timeout_s):
                places = [TopicPartition(self._topics[STATE], self._shard)]
                for topic in (name for role, name in self._topics.items() if role not in (STATE, REQUESTS)):
                    places += [TopicPartition(topic, partition) for partition in await self._producer.partitions_for(topic)]
                await self._producer.begin_transaction()
                await self._joined(places)
                await self._producer.abort_transaction()
        except Exception as error:
            raise mapped(_behind(self._producer) or error, None, right="Write") from None

    async def _joined(self, places: Collection[TopicPartition]) -> None:
        """Let partitions join the transaction that is open. Raises what the client does."""
        manager = self._producer._txn_manager
        assert manager is not None, "the producer is transactional"
        for place in places:
            manager.maybe_add_partition_to_txn(place)
        while manager.partitions_to_add():
            await anyio.sleep(TICK_S)

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
