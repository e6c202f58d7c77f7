"""A schema registry of a few lines, for tests: Confluent's API over HTTP, in memory, and what may go wrong with it."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

UNKNOWN = 404, {"error_code": 40401, "message": "not found"}


class Registry:
    """What it holds, what it was asked, and how it answers."""

    def __init__(self) -> None:
        self.schemas: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.guids, self.compatible, self.password = True, True, ""
        self.status: int | None = None
        """What it answers to everything, where it is in trouble."""
        self.silence = threading.Event()
        """Set, it answers; cleared, every request waits."""
        self.silence.set()
        self.url = ""

    def numbered(self, subject: str, schema: str) -> tuple[int, dict[str, Any]]:
        """What is said of a schema that is there."""
        number = 1 + [each for held in self.schemas.values() for each in held].index(schema)
        return 200, {"id": number} | ({"guid": str(uuid.uuid5(uuid.NAMESPACE_URL, schema))} if self.guids else {})

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The code, and the object."""
        kind, _, rest = path.strip("/").partition("/")
        subject, _, what = unquote(rest.removeprefix("subjects/")).partition("/")
        held, schema = self.schemas.get(subject, []), body.get("schema", "")
        if kind == "config":
            if method == "PUT":
                self.levels[subject] = body["compatibility"]
            return (200, {"compatibilityLevel": self.levels[subject]}) if subject in self.levels else UNKNOWN
        if kind == "compatibility":
            return (200, {"is_compatible": self.compatible, "messages": ["Type changed"]}) if held else UNKNOWN
        if what != "versions":
            return self.numbered(subject, schema) if schema in held else UNKNOWN
        if held and not self.compatible:
            return 409, {"error_code": 409, "message": "incompatible"}
        self.schemas[subject] = [*held, schema]
        return self.numbered(subject, schema)


@contextmanager
def serving() -> Iterator[Registry]:
    """It answers on loopback for as long as the block lasts."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            registry.silence.wait(30)
            path = self.path.partition("?")[0]
            registry.asked.append((self.command, path))
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            code, told = (registry.status, {}) if registry.status else registry.answer(self.command, path, body)
            if registry.password and self.headers.get("authorization") != registry.password:
                code = 401
            data = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815  # the names that http.server asks for

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Quiet where the client has left while it waited; anything else is a mistake of this file."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]

    server = Server(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield registry
    finally:
        registry.silence.set()
        server.shutdown()
        server.server_close()
