"""The only HTTP: one transport an account, every wait bounded, every answer within limits, every exception mapped.

httpx's transports are used without its client, so there is nothing that could follow a redirect (with
credentials they must not leave the host, and none of the three providers documents one) or keep a cookie.
TLS is verified.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode, urlsplit

import anyio
import httpx
from msgspec import Struct

from ... import __version__
from ...clock import SystemClock
from ...errors import BadPage, PollerError, Unreachable
from ...model import Instant
from ...providers.contract import Request, Response
from ...times import http_date

Transport = httpx.AsyncBaseTransport

RESPONSE_BYTES_MAX = 32 << 20
"""Decoded bytes of one answer: a page of a thousand long messages is far below, a bomb above."""

HEADERS_BYTES_MAX = 64 << 10
CONNECTIONS_MAX = 64
KEEPALIVE_S = 60.0
HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": f"poller/{__version__}"}


class Fetched(Struct, frozen=True):
    """An answer, and what its ``Date`` header says."""

    response: Response
    date: Instant | None


class Fetcher:
    """The HTTP client of one account, as an async context manager.

    ``on_request(code, seconds)`` hears of every request: the status, or the kind of failure.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float,
        clock: SystemClock,
        on_request: Callable[[str, float], None],
        proxy: str | None = None,
        ca_file: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._base, self._timeout_s = base_url.rstrip("/"), timeout_s
        self._clock, self._on_request = clock, on_request
        self._transport = transport or _transport(proxy or _environment_proxy(base_url), ca_file)
        self._timeouts = {"timeout": httpx.Timeout(timeout_s).as_dict()}

    async def __aenter__(self) -> Fetcher:
        """Connections are opened as they are needed."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it, in bounded time."""
        with anyio.move_on_after(2, shield=True):
            await self._transport.aclose()

    async def send(self, request: Request, authorization: dict[str, str]) -> Fetched:
        """One request with the headers of its credentials, and its answer.

        Raises Unreachable for every failure of the transport, BadPage for an answer over the limits.
        """
        began, code = self._clock.monotonic(), "error"
        try:
            with anyio.fail_after(self._timeout_s):
                fetched = await self._exchange(request, authorization)
            code = str(fetched.response.status)
        except (TimeoutError, httpx.TimeoutException):
            code = "timeout"
            raise Unreachable("the provider did not answer in time") from None
        except (PollerError, AssertionError):
            raise
        except Exception as error:  # the transports raise more than they name: an answer that is not HTTP must end no process
            code = "transport"
            raise Unreachable(f"the provider cannot be reached ({type(error).__name__})") from None
        finally:
            self._on_request(code, self._clock.monotonic() - began)
        return fetched

    async def _exchange(self, request: Request, authorization: dict[str, str]) -> Fetched:
        headers = HEADERS | authorization
        if request.body is not None:
            headers["content-type"] = "application/json"
        url = self._base + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        asked = httpx.Request(request.method, url, headers=headers, content=request.body, extensions=self._timeouts)
        answer = await self._transport.handle_async_request(asked)
        try:
            body = await self._body(answer)
        finally:
            with anyio.move_on_after(1, shield=True):
                await answer.aclose()
        date = http_date(answer.headers.get("date"))
        return Fetched(Response(answer.status_code, dict(answer.headers), body), date)

    async def _body(self, answer: httpx.Response) -> bytes:
        if sum(len(name) + len(value) for name, value in answer.headers.raw) > HEADERS_BYTES_MAX:
            raise BadPage("the answer's headers are too large")
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > RESPONSE_BYTES_MAX:
                raise BadPage(f"the answer is larger than {RESPONSE_BYTES_MAX >> 20} MiB")
            parts.append(part)
        return b"".join(parts)


def _environment_proxy(base_url: str) -> str | None:
    """What ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` say of a host."""
    found, parts = urllib.request.getproxies(), urlsplit(base_url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return found.get(parts.scheme) or found.get("all")


def _transport(proxy: str | None, ca_file: Path | None) -> Transport:
    """The fast transport where nothing special is asked for; else httpx's own."""
    verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else ssl.create_default_context()
    if proxy or ca_file:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=KEEPALIVE_S)
        return httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=limits)
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    async def once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """A request whose connection breaks is not sent again unasked: the session would, beside the rate limit."""
        try:
            return await send(request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise aiohttp.ClientPayloadError(type(error).__name__) from None

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEEPALIVE_S, ssl=verify)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(once,))

    return AiohttpTransport(verify=verify, client=session)
