"""The simulated providers over real HTTP on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .vendors.answers import HANG, RESET
from .vendors.routes import Providers

HANG_S = 30.0
"""Seconds that a request hangs which is not answered: longer than any client waits."""


@asynccontextmanager
async def serving(providers: Providers, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve for as long as the block lasts, at a free port unless one is given; yields the URL that the vendors' path prefixes follow."""

    async def handle(request: Request) -> Response:
        target = request.scope["raw_path"].decode() + ("?" + request.url.query if request.url.query else "")
        found = providers.answer(request.method, target, request.headers, await request.body(), time.time_ns() // 1000)
        await anyio.sleep(HANG_S if found.status == HANG else providers.world.switches.latency_s)
        if found.status in (HANG, RESET):
            return Response(b"[", 200, {"content-length": "100", "content-type": found.kind})  # which breaks the connection
        return Response(found.body, found.status, {**found.headers, "content-type": found.kind})

    listener = socket.create_server((host, port))
    application = Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "POST"])])
    config = uvicorn.Config(
        application, log_config=None, log_level="critical", access_log=False, lifespan="off", date_header=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = _Nothing  # pyright: ignore[reportAttributeAccessIssue]  # signals belong to the demo
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: server.serve(sockets=[listener]))
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            with anyio.move_on_after(3, shield=True):
                while server.started:
                    await anyio.sleep(0.05)
                    if not server.servers or not any(each.is_serving() for each in server.servers):
                        break
            tasks.cancel_scope.cancel()


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
