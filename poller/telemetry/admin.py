"""The administration port: health, metrics, status, pages. Only pictures are shown; nothing here reaches into what runs."""

from __future__ import annotations

import socket

import anyio
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..errors import ConfigError
from . import page, status_json
from .facts import Telemetry
from .snapshot import Pictures, readiness

STREAMS_MAX = 1_000
"""Streams of one answer: more would hold the loop; ``next`` in the answer says where to go on."""

REFRESH_S = 5
"""How often a page asks for itself again, by a header, so that no script is needed; ``?refresh=0`` stops it."""

REFRESH_MAX_S = 3600
"""The longest time in seconds between two refreshes that an address can ask for."""

OFFSET_MAX = 10_000_000
"""The largest offset that an address can ask for."""

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
"""What every answer of the administration port says to browsers: nothing from elsewhere, no frame, no cache."""

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
"""Hosts of the Host header that mean this machine."""


class Port:
    """The answers, over pictures."""

    def __init__(self, pictures: Pictures, telemetry: Telemetry) -> None:
        self._pictures, self._telemetry = pictures, telemetry

    async def livez(self, _: Request) -> Response:
        """The event loop runs."""
        return PlainTextResponse("ok\n", headers=HEADERS)

    async def readyz(self, request: Request) -> Response:
        """State restored, producing possible; ``?verbose`` lists the checks."""
        found = readiness(self._pictures.snapshot())
        good = all(well for well, _ in found)
        lines = [f"[{'+' if well else '-'}] {text}\n" for well, text in found] if "verbose" in request.query_params else []
        return PlainTextResponse("".join(lines) + ("ready\n" if good else "not ready\n"), 200 if good else 503, headers=HEADERS)

    async def metrics(self, request: Request) -> Response:
        """The metrics in the format that is asked for; thousands of series are encoded beside the event loop."""
        picture, accept = self._pictures.snapshot(), request.headers.get("accept", "")
        body, kind = await anyio.to_thread.run_sync(self._telemetry.exposition, picture, accept)
        return Response(body, headers={**HEADERS, "content-type": kind})

    async def status(self, request: Request) -> Response:
        """The worker as JSON; with ``?account=P/A`` its streams, by ``offset`` and ``limit``."""
        key = request.query_params.get("account")
        if key is None:
            return Response(status_json.encode(self._pictures.snapshot()), headers=HEADERS, media_type="application/json")
        limit = _number(request, "limit", page.STREAMS_A_PAGE, STREAMS_MAX)
        found = self._pictures.streams(key, _number(request, "offset", 0, OFFSET_MAX), max(1, limit))
        if found is None:
            return PlainTextResponse("this worker does not own the account\n", 404, headers=HEADERS)
        return Response(status_json.encode_page(found), headers=HEADERS, media_type="application/json")

    async def overview(self, request: Request) -> Response:
        """The status page."""
        refresh = _number(request, "refresh", REFRESH_S, REFRESH_MAX_S)
        return _html(page.status_page(self._pictures.snapshot(), refresh=refresh), refresh)

    async def account(self, request: Request) -> Response:
        """The page of one account."""
        key = f"{request.path_params['provider']}/{request.path_params['account']}"
        refresh, picture = _number(request, "refresh", REFRESH_S, REFRESH_MAX_S), self._pictures.snapshot()
        for account in picture.accounts:
            if account.key == key:
                offset = _number(request, "offset", 0, OFFSET_MAX)
                streams = self._pictures.streams(key, offset, page.STREAMS_A_PAGE)
                if streams is not None:
                    return _html(page.account_page(picture, account, streams, refresh=refresh), refresh)
        for found in picture.elsewhere:
            if f"{found.provider}/{found.account}" == key:
                return _html(page.elsewhere_page(picture, found, refresh=refresh), refresh)
        return PlainTextResponse("no such account is configured\n", 404, headers=HEADERS)

    async def runbook(self, _: Request) -> Response:
        """The runbook."""
        return _html(page.runbook_page(self._pictures.snapshot()), 0)


def application(pictures: Pictures, telemetry: Telemetry, *, loopback: bool) -> Starlette:
    """The routes. On loopback foreign host names are refused (DNS rebinding)."""
    port = Port(pictures, telemetry)
    routes = [
        Route("/livez", port.livez),
        Route("/readyz", port.readyz),
        Route("/metrics", port.metrics),
        Route("/api/v1/status", port.status),
        Route("/accounts/{provider}/{account}", port.account),
        Route("/runbook", port.runbook),
        Route("/", port.overview),
    ]
    guard = [Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK), www_redirect=False)] if loopback else []
    return Starlette(routes=routes, middleware=guard)


def _number(request: Request, name: str, default: int, most: int) -> int:
    """A number of the query; what is none is the default."""
    given = request.query_params.get(name, "")
    return min(int(given), most) if given.isascii() and given.isdigit() and len(given) < 9 else default


def _html(body: str, refresh: int) -> Response:
    return HTMLResponse(body, headers=HEADERS | ({"refresh": str(refresh)} if refresh else {}))


def listening(host: str, port: int) -> socket.socket:
    """The administration port, opened; ``::`` is every address of this host, IPv4 too. Raises ConfigError when the address cannot be used."""
    family, both = socket.AF_INET6 if ":" in host else socket.AF_INET, host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except (OSError, ValueError) as error:  # a host that no name can be is a UnicodeError
        why = (getattr(error, "strerror", None) or "its host is none").partition(" (")[0].lower()
        raise ConfigError([f"{host}:{port} cannot be used: {why}; expected a free address; fix: set another admin.listen"]) from None


async def serve(application: Starlette, listener: socket.socket) -> None:
    """Serve until cancelled, and close the listener."""
    config = uvicorn.Config(
        application, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # pyright: ignore[reportAttributeAccessIssue]  # signals are ours
    try:
        await server.serve(sockets=[listener])
    finally:
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            listener.close()


class _no_signals:  # noqa: N801  # stands in for a context manager function
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
