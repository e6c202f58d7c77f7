"""A vendor's connections by aiohttp: the usual transport."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any

import aiohttp
import yarl

from ...errors import ConnectionLost
from .addresses import WireRequest
from .wire import HEADERS, Head, head_of

CONNECTIONS_MAX = 64
"""Connections of one account: twice its requests in flight, so that none waits for another to close."""

KEEPALIVE_S = 60.0
"""Seconds that an idle connection is kept: longer than most intervals, shorter than most servers' patience."""

URLS_KEPT = 256
"""Addresses that are kept as they were read: an account whose questions are in their bodies asks the same one for ever."""

_url = lru_cache(maxsize=URLS_KEPT)(partial(yarl.URL, encoded=True))
"""An address as it was written: what is quoted stays quoted, and dots are dots, because a link was judged in that form."""

_UNTIMED = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
"""The whole exchange has one time limit, which the caller keeps."""


class Passage:
    """What happened to one request on its way."""

    reused = False
    """Whether it went over a connection that had been used before."""


class OverAiohttp:
    """See :class:`.wire.Transport`."""

    def __init__(self, verify: ssl.SSLContext) -> None:
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def answered(self, asked: WireRequest) -> AsyncIterator[Head]:
        """See :class:`.wire.Transport`."""
        way, session = Passage(), self._session
        if session is None:
            session = self._session = _opened(self._verify)
        try:
            headers = HEADERS | asked.headers
            answer = await session.request(
                asked.method, _url(asked.url), headers=headers, data=asked.body, allow_redirects=False, trace_request_ctx=way
            )
        except aiohttp.ClientPayloadError:
            if way.reused:
                raise ConnectionLost("a kept connection ended before its answer began") from None
            raise
        try:
            yield head_of(answer.status, answer.raw_headers, answer.content.iter_any())
        finally:
            answer.close()

    async def aclose(self) -> None:
        """See :class:`.wire.Transport`."""
        if self._session is not None:
            await self._session.close()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A request whose connection breaks is not sent again unasked: the session would, beside the rate limit."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientPayloadError(type(error).__name__) from None


async def _reused(_session: aiohttp.ClientSession, of: Any, _found: aiohttp.TraceConnectionReuseconnParams) -> None:
    of.trace_request_ctx.reused = True


def _opened(verify: ssl.SSLContext) -> aiohttp.ClientSession:
    heard = aiohttp.TraceConfig()
    heard.on_connection_reuseconn.append(_reused)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S, ssl=verify),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=_UNTIMED,
        middlewares=(_once,),
        trace_configs=[heard],
    )
