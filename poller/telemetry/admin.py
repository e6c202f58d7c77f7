"""The administration port: health, metrics, status. Only pictures are shown; nothing here reaches into what runs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from html import escape
from typing import Any

import anyio
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..errors import ConfigError
from ..model import SECOND
from ..times import format_rfc3339
from .facts import Telemetry
from .snapshot import StreamSnapshot, WorkerSnapshot

STREAMS_MAX = 1_000
"""Streams shown at once, those in trouble first; ``?account=`` narrows."""

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
INSTANTS = frozenset({"started", "now", "since", "watermark", "floor", "last_success", "last_complete"})


def checks(picture: WorkerSnapshot) -> list[tuple[bool, str]]:
    """What readiness depends on, one sentence each. A worker that owns no shard is ready."""
    found = [(picture.joined, "joined the group"), (not picture.draining, "not stopping")]
    for shard in picture.shards:
        behind = f" at offset {shard.restored} of {shard.restore_end}" if shard.state == "restoring" else ""
        why = f" ({shard.reason})" if shard.reason else ""
        found.append((shard.state == "running", f"shard {shard.shard} {shard.state}{behind}{why}"))
    return found + [(False, problem) for problem in picture.problems]


def application(snapshot: Callable[[], WorkerSnapshot], telemetry: Telemetry, *, loopback: bool) -> Starlette:
    """The routes, over pictures."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n", headers=HEADERS)

    async def readyz(request: Request) -> Response:
        found = checks(snapshot())
        ready = all(good for good, _ in found)
        lines = [f"[{'+' if good else '-'}] {text}\n" for good, text in found] if "verbose" in request.query_params else []
        return PlainTextResponse("".join(lines) + ("ready\n" if ready else "not ready\n"), 200 if ready else 503, headers=HEADERS)

    async def metrics(request: Request) -> Response:
        body, kind = telemetry.exposition(request.headers.get("accept", ""))
        return Response(body, headers={**HEADERS, "content-type": kind})

    async def status(request: Request) -> Response:
        body = msgspec.json.encode(picture_of(snapshot(), request.query_params.get("account")))
        return Response(body, headers=HEADERS, media_type="application/json")

    async def page(_: Request) -> Response:
        return HTMLResponse(render(snapshot()), headers=HEADERS)

    routes = [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/api/v1/status", status),
        Route("/", page),
    ]
    guard = [Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK), www_redirect=False)] if loopback else []
    return Starlette(routes=routes, middleware=guard)


def picture_of(picture: WorkerSnapshot, account: str | None = None) -> dict[str, Any]:
    """The picture as JSON: instants as RFC 3339 text, at most ``STREAMS_MAX`` streams, those in trouble first."""
    value: dict[str, Any] = _plain(msgspec.to_builtins(picture))
    room, left_out = STREAMS_MAX, 0
    for shard in value["shards"]:
        shard["accounts"] = [a for a in shard["accounts"] if account in (None, a["account"], f"{a['provider']}/{a['account']}")]
        for each in shard["accounts"]:
            each["streams"].sort(key=lambda stream: stream["state"] != "waiting")
            left_out += max(0, len(each["streams"]) - room)
            each["streams"] = each["streams"][:room]
            room -= len(each["streams"])
    return {**value, "streams_left_out": left_out}


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _plain(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if name in INSTANTS and isinstance(value, int):
        return format_rfc3339(value)
    return value


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>poller</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><style>:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui;margin:2rem}}
table{{border-collapse:collapse}}td,th{{text-align:left;padding:.2rem .8rem;border-bottom:1px solid #8888}}.bad{{font-weight:bold}}</style></head>
<body><h1>poller {version}</h1><p>{summary}</p><h2>Shards</h2><table><tr><th>shard<th>state<th>reason</tr>{shards}</table>
<h2>Accounts</h2><table><tr><th>account<th>shard<th>state<th>lag<th>messages<th>streams<th>in trouble</tr>{accounts}</table>
<h2>Streams in trouble</h2><table><tr><th>stream<th>reason<th>since<th>next try</tr>{troubles}</table></body></html>"""


def render(picture: WorkerSnapshot) -> str:
    """The status page; every text is escaped, no message text and no number is in a picture."""
    accounts = [account for shard in picture.shards for account in shard.accounts]
    sick = [stream for account in accounts for stream in account.streams if stream.state == "waiting"]
    rows = [
        [
            f"{a.provider}/{a.account}",
            a.shard,
            a.state + (f" ({a.reason})" if a.reason else ""),
            "" if a.watermark is None else f"{(picture.now - a.watermark) / SECOND:.0f} s",
            "" if a.messages is None else a.messages,
            len(a.streams),
            sum(stream.state == "waiting" for stream in a.streams),
        ]
        for a in accounts
    ]
    ready = all(good for good, _ in checks(picture))
    return _PAGE.format(
        version=escape(picture.version),
        summary=f"{'ready' if ready else 'not ready'}; {len(picture.shards)} shards with accounts; started {format_rfc3339(picture.started)}",
        shards=_rows([[s.shard, s.state, s.reason or ""] for s in picture.shards]),
        accounts=_rows(rows),
        troubles=_rows([_trouble(stream) for stream in sick[:STREAMS_MAX]]),
    )


def _trouble(stream: StreamSnapshot) -> list[object]:
    since = "" if stream.since is None else format_rfc3339(stream.since)
    return [stream.id, stream.reason or "", since, "" if stream.next_try_s is None else f"in {stream.next_try_s:.0f} s"]


def _rows(rows: list[list[object]]) -> str:
    return "".join("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row) + "</tr>" for row in rows)


async def serve(application: Starlette, host: str, port: int) -> None:
    """Serve until cancelled. Raises ConfigError when the address cannot be used."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            [f"admin.listen: {host}:{port} cannot be used: {error.strerror}; expected a free address; fix: set another admin.listen"]
        ) from None
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
