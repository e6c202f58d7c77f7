"""How Kafka is reached: the settings of every client, and its end in bounded time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import anyio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import errors as ak
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from msgspec import Struct

REQUEST_TIMEOUT_MS = 5_000
"""Milliseconds that one request to a broker may take: shorter than a commit's deadline, so that a request can be tried again within it."""

CLOSE_GRACE_S = 3.0
"""Seconds that a client may take to close by itself; then its tasks are cancelled."""

STALLED_S = 30.0
"""Seconds without progress after which a reader gives up: longer than a transaction may stay open once its producer is fenced."""


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
    message_bytes_max: int = 1 << 20
    """The largest batch that every topic takes."""
    client: dict[str, Any] = {}
    """Security arguments of every aiokafka client."""


class Clients(Protocol):
    """What opens clients over one connection: :class:`poller.kafka.client.Kafka`."""

    connection: Connection

    def consumer(self, *, committed: bool = True, **options: Any) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A reader without a group, for as long as the block lasts."""
        ...

    def admin(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        """An administration client, for as long as the block lasts."""
        ...


def silence_fenced_futures() -> None:
    """Drop aiokafka's "exception was never retrieved" reports of its own futures after a fencing, and nothing else."""

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), ak.KafkaError | ak.IllegalOperation) and "never retrieved" in context["message"]:
            return
        loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(handler)


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
