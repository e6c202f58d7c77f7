"""The only HTTP: one request and its answer, every wait bounded, every answer within limits, every exception mapped.

No transport follows a redirect (with credentials they must not leave the host, and no provider documents one) or
keeps a cookie. TLS is verified.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import anyio
from msgspec import Struct

from ...clock import SystemClock
from ...errors import BadPage, PollerError, Unreachable, saying_status
from ...model import Instant
from ...providers.contract import Headers, Request, Response, TokenRequest
from ...times import http_date
from .addresses import WireRequest, resolved, wire_request, wire_token_request
from .bodies import body_of
from .transport import Connections
from .wire import Transport


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

    async def __aenter__(self) -> Fetcher:
        """Connections are opened as they are needed."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close its connections, in bounded time."""
        await self._connections.aclose()

    def unusable(self, request: Request) -> BadPage | None:
        """Why a request cannot be sent: its link leads elsewhere."""
        if request.link is not None:
            try:
                resolved(self._base, request.link)
            except BadPage as error:
                return error
        return None

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
        except TimeoutError:
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
        async with self._connections.current().answered(asked) as head:
            with saying_status(head.status):
                body = await body_of(head.headers, head.body)
        return Fetched(Response(head.status, head.headers, body, self._clock.now()), http_date(head.headers.get("date")))
