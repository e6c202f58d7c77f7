"""A vendor's connections by httpx: for what aiohttp does not do, proxies and an authority's file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx

from ...errors import ConnectionLost
from .addresses import WireRequest
from .wire import HEADERS, Head, head_of

CLOSE_S = 1.0
"""Seconds that closing an answer may take."""


class Passage:
    """What happened to one request on its way."""

    def __init__(self) -> None:
        self._made = self._begun = False

    async def trace(self, event: str, _: object) -> None:
        """Hear an event of httpcore."""
        self._made = self._made or event.startswith("connection.connect")
        self._begun = self._begun or event.endswith("send_request_headers.started")

    @property
    def reused(self) -> bool:
        """Whether the request went over a connection that had been used before."""
        return self._begun and not self._made


class OverHttpx:
    """See :class:`.wire.Transport`.

    httpx's transports are used without its client, so there is nothing that could follow a redirect or keep a cookie.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    @asynccontextmanager
    async def answered(self, asked: WireRequest) -> AsyncIterator[Head]:
        """See :class:`.wire.Transport`."""
        way = Passage()
        headers, extensions = HEADERS | asked.headers, {"trace": way.trace}
        request = httpx.Request(asked.method, asked.url, headers=headers, content=asked.body, extensions=extensions)
        try:
            answer = await self._transport.handle_async_request(request)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            if way.reused:
                raise ConnectionLost("a kept connection ended before its answer began") from None
            raise
        try:
            assert isinstance(answer.stream, httpx.AsyncByteStream), "transports stream"
            yield head_of(answer.status_code, answer.headers.raw, answer.stream)
        finally:
            with anyio.move_on_after(CLOSE_S, shield=True):
                await answer.aclose()

    async def aclose(self) -> None:
        """See :class:`.wire.Transport`."""
        await self._transport.aclose()
