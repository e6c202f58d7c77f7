"""What ``reshard`` and ``rebuild`` share: who is there, whose state it is, and how a partition is written."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from ..errors import WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.port import STATE, Record, Writer
from ..publishing.restore import newest_metas
from ..publishing.state_records import Meta, state_record

BATCH = 1000
"""Records in a transaction: well below what a transaction may take in its time."""

COMMIT_TIMEOUT_S = 20.0
"""Seconds a transaction may take, as a worker's: below the transaction timeout of 40 s."""

GRACE_S = 2.0
"""Seconds beyond a session, for the broker to notice that a worker is gone."""

Say = Callable[[str], None]
"""Told what happens, in a sentence."""


async def nobody(kafka: Kafka) -> None:
    """Raises WrongState while a worker is there; the seat of one that just ended may stay for a session."""
    with anyio.move_on_after(kafka.connection.session_s + GRACE_S):
        while await topics.members(kafka):
            await anyio.sleep(0.5)
        return
    raise WrongState("workers are running", fix="stop every worker of this group, then run this again")


async def metas(kafka: Kafka) -> list[Meta | None] | None:
    """The meta record of each partition, None where it has none; None without the topic."""
    there = await topics.inspect(kafka)
    topic = there.get(kafka.connection.topics[STATE])
    return None if topic is None else await newest_metas(kafka, topic.partitions)


async def own_metas(kafka: Kafka) -> list[Meta | None]:
    """The meta record of each configured shard, none where the topic is missing.

    Raises WrongState where the state is another group's, has another number of shards, or is being moved.
    """
    name, shards = kafka.connection.topics[STATE], kafka.connection.shards
    if await topics.exists(kafka, topics.copy_name(name)):
        raise WrongState("the number of shards is being changed", fix="run poller reshard again until it ends")
    held = await metas(kafka)
    if held is None:
        return [None] * shards
    if len(held) != shards:
        raise WrongState(f"the topic {name} has {len(held)} partitions, not {shards}", fix=f"set kafka.shards to {len(held)}, or delete it")
    for meta in held:
        if meta is not None and meta.group != kafka.connection.group:
            raise WrongState(f"the state topic belongs to the group {meta.group!r}", fix=f"set kafka.group to {meta.group}")
    return held


class Batches:
    """Records of one partition, in transactions."""

    def __init__(self, writer: Writer, shard: int) -> None:
        self._writer, self._shard = writer, shard
        self._waiting: list[Record] = []

    async def add(self, key: bytes, value: bytes | None) -> None:
        """One more record; a full batch is committed."""
        self._waiting.append(state_record(self._shard, key, value))
        if len(self._waiting) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        """Commit what waits."""
        if self._waiting:
            await self._writer.commit(self._waiting, timeout_s=COMMIT_TIMEOUT_S)
            self._waiting = []

    async def close(self) -> None:
        """End the producer."""
        await self._writer.close()
