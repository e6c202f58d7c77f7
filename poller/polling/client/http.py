"""The only HTTP: one request and its answer, every wait bounded, every answer within limits, every exception mapped.

httpx's transports are used without its client, so there is nothing that could follow a redirect (with
credentials they must not leave the host, and none of the three providers documents one) or keep a cookie.
TLS is verified.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import anyio
import httpx
from msgspec import Struct

from ... import __version__
from ...clock import SystemClock
from ...errors import BadPage, ConnectionLost, PollerError, Unreachable, saying_status
from ...model import Instant
from ...providers.contract import Headers, Request, Response, TokenRequest
from ...times import http_date
from .addresses import WireRequest, wire_request, wire_token_request
from .bodies import body_of
from .transport import Connections, Passage, Transport, passage

HEADERS_BYTES_MAX = 64 << 10
"""Bytes of all headers of an answer; servers refuse more than 8 to 64 KiB of requests, too."""

URLS_KEPT = 256
"""Addresses that are kept as they were read: an account whose questions are in their bodies asks the same one for ever."""

_url = lru_cache(maxsize=URLS_KEPT)(httpx.URL)

HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": f"poller/{__version__}"}
"""What every request to a vendor says of us and of what we read."""


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
        self._connections = Connections(base_url, proxy=proxy, ca_file=ca_file, transport=transport)
        self._timeouts = {"timeout": httpx.Timeout(timeout_s).as_dict()}

    async def __aenter__(self) -> Fetcher:
        """Connections are opened as they are needed."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close its connections, in bounded time."""
        await self._connections.aclose()

    async def send(self, request: Request | TokenRequest, made: Headers) -> Fetched:
        """One request with what its credentials made, and its answer.

        Raises ClientUnusable where no request can be sent at all, ConnectionLost where a kept connection ended before
        the answer began, Unreachable for every other failure of the transport, BadPage for an answer over the limits,
        and for a link that leads elsewhere.
        """
        asked = wire_token_request(self._base, request) if isinstance(request, TokenRequest) else wire_request(self._base, request, made)
        began, code = self._clock.monotonic(), "error"
        try:
            with anyio.fail_after(self._timeout_s):
                fetched = await self._exchange(asked)
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

    async def _exchange(self, asked: WireRequest) -> Fetched:
        way = Passage()
        extensions = {**self._timeouts, "trace": way.trace}
        sent = httpx.Request(asked.method, _url(asked.url), headers=HEADERS | asked.headers, content=asked.body, extensions=extensions)
        answer = await self._answer(sent, way)
        try:
            with saying_status(answer.status_code):
                if sum(len(name) + len(value) for name, value in answer.headers.raw) > HEADERS_BYTES_MAX:
                    raise BadPage("the answer's headers are too large")
                assert isinstance(answer.stream, httpx.AsyncByteStream), "transports stream"
                body = await body_of(answer.headers, answer.stream)
        finally:
            with anyio.move_on_after(1, shield=True):
                await answer.aclose()
        response = Response(answer.status_code, dict(answer.headers), body, self._clock.now())
        return Fetched(response, http_date(response.headers.get("date")))

    async def _answer(self, asked: httpx.Request, way: Passage) -> httpx.Response:
        """The head of the answer."""
        passage.set(way)
        try:
            return await self._connections.current().handle_async_request(asked)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            if way.reused:
                raise ConnectionLost("a kept connection ended before its answer began") from None
            raise
