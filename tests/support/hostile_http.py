"""A Stuut that answers each thread in its own bad way, over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from poller.model import MINUTE
from poller.times import format_rfc3339
from tests.support.trial import now

TOKEN, TEXT, NUMBER = "canary-token-5417", "canary words", "+14155550199"
CREATED = format_rfc3339(now() - MINUTE)
THREADS = ("html", "null", "large", "rows", "redirect", "gone", "cut", "number", "fine", "../a/b", "...")


def row(id_: Any, **fields: Any) -> dict[str, Any]:
    """A message of the documented shape."""
    return {
        "id": id_, "created_at": CREATED, "modified_at": None, "body": TEXT, "classifications": [], "direction": "outbound",
        "from_number": NUMBER, "to_number": NUMBER, "status": "sent", "is_automated": False, "sent_at": None, "delivered_at": None, **fields,
    }  # fmt: skip


def rows() -> bytes:
    """Good rows among bad ones."""
    bad = [{"created_at": "x", "body": TEXT}, 5, row("y0", created_at="0000-01-01T00:00:00Z"), row("huge", body=TEXT + "z" * 2_000_000)]
    return json.dumps(
        [row("good-1"), *bad, row("y9999", created_at="9999-01-01T00:00:00Z"), row("odd", status="teleported"), row("good-2")]
    ).encode()


ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "html": (200, "text/html", b"<html>maintenance</html>"),
    "null": (200, "application/json", b"null"),
    "large": (200, "application/json", b'["' + b"x" * 40_000_000 + b'"]'),
    "redirect": (302, "text/plain", b""),
    "gone": (404, "application/json", b'{"detail":"Not found"}'),
    "cut": (200, "application/json", b'[{"id":"a","created_at":'),
    "number": (200, "application/json", b"7"),
}


class Handler(BaseHTTPRequestHandler):
    """One answer a thread."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The thread's name says what it gets; anything else gets one message of that name."""
        name = self.path.split("/")[-2]
        status, kind, body = (200, "application/json", rows()) if name == "rows" else ANSWERS.get(name, (200, "application/json", b""))
        if not body and name not in ANSWERS:
            body = json.dumps([row("only-" + name)]).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if status == 302:
            self.send_header("location", "http://127.0.0.2:9/")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Silence."""


class Server(ThreadingHTTPServer):
    """Clients may leave in the middle."""

    def handle_error(self, *_: object) -> None:
        """Silence."""


def serve() -> ThreadingHTTPServer:
    """Serving in a thread until ``shutdown()``."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
