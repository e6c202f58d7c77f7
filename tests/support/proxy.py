"""A network between a client and one broker that can be cut at any Kafka request: before it, after it, or for a while.

The broker advertises the proxy's port, so nothing has to be rewritten. Requests are framed as
in the Kafka protocol: four bytes of length, then two bytes that name the API.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream

PRODUCE, INIT_PRODUCER_ID, ADD_PARTITIONS, END_TXN = 0, 22, 24, 26
BEFORE, AFTER, HANG = "request lost", "reply lost", "held back"

Cut = Callable[[int], str | None]
"""Asked for every request by its API number: None, or how to cut."""


class Proxy:
    """Forwards to one port; ``cut`` decides over each request."""

    def __init__(self, target: int, cut: Cut, *, hang_s: float = 3.0) -> None:
        self.target, self.cut, self.hang_s = target, cut, hang_s
        self.port = 0
        self.cuts: Counter[tuple[int, str]] = Counter()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Proxy]:
        """Listen for as long as the block lasts."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self.port = listener.extra(SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._serve)
            yield self
            tasks.cancel_scope.cancel()

    async def _serve(self, client: SocketStream) -> None:
        try:
            async with client, await anyio.connect_tcp("127.0.0.1", self.target) as broker, anyio.create_task_group() as tasks:
                tasks.start_soon(self._replies, broker, client, tasks.cancel_scope)
                await self._requests(client, broker)
                tasks.cancel_scope.cancel()
        except* (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            pass

    async def _replies(self, broker: SocketStream, client: SocketStream, scope: anyio.CancelScope) -> None:
        try:
            while True:
                await client.send(await broker.receive())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            scope.cancel()

    async def _requests(self, client: SocketStream, broker: SocketStream) -> None:
        """Whole requests, one after the other, until one is cut."""
        waiting = b""
        while True:
            while len(waiting) < 6 or len(waiting) < 4 + struct.unpack_from(">i", waiting)[0]:
                waiting += await client.receive()
            size, api = struct.unpack_from(">ih", waiting)
            request, waiting = waiting[: 4 + size], waiting[4 + size :]
            how = self.cut(api)
            if how is not None:
                self.cuts[api, how] += 1
            if how == BEFORE:
                return
            if how == HANG:
                await anyio.sleep(self.hang_s)
            await broker.send(request)
            if how == AFTER:
                return
