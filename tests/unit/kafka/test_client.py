"""The real port's two waits that only a race would show: for what is open at a shard's end, and for every batch of a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiokafka.errors import NotLeaderForPartitionError

from poller.errors import KafkaError
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection
from poller.kafka.port import Record
from poller.kafka.writer import KafkaWriter

pytestmark = pytest.mark.anyio
TOPICS = {"state": "s", "messages": "m"}


@pytest.mark.parametrize("stable", [[9], [5, 9], [0, 5, 5, 8, 9]])
async def test_the_end_of_a_shard_waits_for_what_is_open(stable: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that were open at the fence are decided first: a restore that ends below them would miss what they commit."""
    left = [*stable]

    @asynccontextmanager
    async def consumer(_: Kafka, *, committed: bool = True, **__: Any) -> AsyncIterator[Any]:
        async def ends(places: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(places, left.pop(0) if committed and len(left) > 1 else left[0] if committed else 9)

        async def beginnings(places: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(places, 0)

        yield SimpleNamespace(end_offsets=ends, beginning_offsets=beginnings)

    monkeypatch.setattr(Kafka, "consumer", consumer)
    kafka = Kafka(Connection(bootstrap="127.0.0.1:1", topics=TOPICS, shards=1, group="g"))
    kafka._cluster_id = "c"
    with anyio.fail_after(10):
        assert (await kafka.ends(0)).end == 9
        left[:] = [*stable]
        assert (await kafka.ends(0, settled=False)).end == stable[0]


class Producer:
    """Takes each batch, and says later what became of it: ``fails`` is the batch that the broker refuses."""

    def __init__(self, fails: int | None) -> None:
        self.fails, self.said = fails, list[str]()
        self._txn_manager = None

    async def begin_transaction(self) -> None:
        """Nothing yet."""

    def create_batch(self) -> Any:
        """Of any size."""
        records: list[Any] = []
        return SimpleNamespace(append=lambda **record: records.append(record) or True, record_count=lambda: len(records))

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """On its way: its end comes some turns of the loop later."""
        number = sum(each.startswith("sent") for each in self.said)
        self.said.append(f"sent {topic}")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0, self._end, future, topic, number)
        return future

    def _end(self, future: asyncio.Future[Any], topic: str, number: int) -> None:
        self.said.append(f"done {topic}")
        if number == self.fails:
            future.set_exception(NotLeaderForPartitionError())
        else:
            future.set_result(SimpleNamespace(offset=7))

    async def commit_transaction(self) -> None:
        """As the client does: happily, whatever became of the batches."""
        self.said.append("commit")


@pytest.mark.parametrize("fails", [None, 0, 1])
async def test_a_commit_waits_for_every_batch(fails: int | None) -> None:
    """Nothing is committed before each batch has its answer, nor where one was refused: the client would commit happily."""
    producer: Any = Producer(fails)
    writer = KafkaWriter(producer, TOPICS, 0)
    records = [Record("messages", 0, b"k", b"v"), Record("state", 0, b"k", b"v")]
    if fails is None:
        assert await writer.commit(records, timeout_s=5) == 8
        assert producer.said[-1] == "commit"
        assert producer.said.count("done m") == producer.said.count("done s") == 1
    else:
        with pytest.raises(KafkaError):
            await writer.commit(records, timeout_s=5)
        assert "commit" not in producer.said
