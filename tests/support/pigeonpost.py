"""The invented vendor of the tutorial and of ``examples/provider``: two lofts, pages of two, tokens of both kinds that do not live long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from poller.demo.simulator.vendors.answers import Answer
from poller.model import HOUR, SECOND, Instant
from poller.times import format_rfc3339, instant
from tests.support.straight import Sent, said

ID, SECRET = "pigeon", "coo"
BASIC = "Basic cGlnZW9uOmNvbw=="
LOFTS = ("north", "south")
TOKEN_LIVES_S = 3


class Pigeons:
    """The vendor's truth and its answers. Times are the caller's; ``forgotten``: the share of page tokens that are refused before their time, with ``refusal``."""

    def __init__(self, seed: int = 1, *, forgotten: float = 0.15, refusal: int = 410) -> None:
        self.rows: list[tuple[str, Instant, dict[str, str]]] = []
        self.deleted: set[str] = set()
        self.issued, self.gone, self.asked, self.random, self.forgotten = 0, 0, 0, random.Random(seed), forgotten
        self.refusal = refusal
        self._tokens: dict[str, tuple[int, Instant]] = {}

    def post(self, now: Instant) -> None:
        """A message comes to be."""
        number = len(self.rows)
        created = now - number % 3 * SECOND
        row = {"id": f"m{number}", "created": format_rfc3339(created), "state": "flown", "to": "+61400000001", "text": f"coo {number}"}
        self.rows.append((LOFTS[number % 2], created, row))

    def land(self, now: Instant) -> None:
        """All that are under way arrive."""
        for _, _, row in self.rows:
            row.update({} if row["id"] in self.deleted else {"state": "landed", "changed": format_rfc3339(now)})

    def delete(self, now: Instant) -> None:
        """Every fifth is listed without its content from now on."""
        for _, _, row in self.rows[::5]:
            self.deleted.add(row["id"])
            for name in ("state", "to", "text"):
                row.pop(name, None)
            row["deleted"] = format_rfc3339(now)

    def answer(self, asked: Sent, now: Instant) -> Answer:
        """What the vendor's page says."""
        if asked.path == "/oauth/token":
            if asked.headers["authorization"] != BASIC:
                return said(401)
            self.issued += 1
            return said(200, {"access_token": f"token-{self.issued}", "expires_in": 45})
        if self.issued == 0 or asked.headers.get("authorization") != f"Bearer token-{self.issued}":
            return said(401)
        return self._messages(asked.query, now)

    def _messages(self, query: dict[str, str], now: Instant) -> Answer:
        since, until = instant(query["from"]) or 0, instant(query.get("to")) or now + HOUR
        self.asked += 1
        begin, told = self._tokens.get(query.get("page_token", ""), (0, now))
        if "page_token" in query and (now > told + TOKEN_LIVES_S * SECOND or self.random.random() < self.forgotten):
            self.gone += 1
            return said(self.refusal, {})
        found = [row for loft, created, row in self.rows if loft == query["loft"] and since <= created < until]
        more, token = begin + 2 < len(found), f"{self.random.getrandbits(64):x}"
        self._tokens[token] = begin + 2, now
        return said(200, {"messages": found[begin : begin + 2]} | ({"next_page_token": token} if more else {}))


class Flying(Pigeons):
    """A vendor whose messages come to be while it is asked, until it rests."""

    flying = True

    def rest(self) -> None:
        """No message comes any more, and all arrive."""
        self.flying = False
        self.land(time.time_ns() // 1000)

    def answer(self, asked: Sent, now: Instant) -> Answer:
        """A message for every fourth request."""
        if self.flying and self.asked % 4 == 0:
            self.post(now)
        return super().answer(asked, now)


@contextmanager
def serve(pigeons: Pigeons) -> Iterator[str]:
    """The vendor on loopback, one request at a time."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with turn:
                headers = {name.lower(): value for name, value in self.headers.items()}
                found = pigeons.answer(Sent(self.command, self.path, headers), time.time_ns() // 1000)
            self.send_response(found.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Silence."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Clients are killed in the middle."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
