"""Mutated HTTP answers through the real client, over real sockets: ``make fuzz``, and a few hundred of them in the suite.

Statuses, headers, encodings, lengths and bodies are mutated; what comes back is read as the account would read it.
Only errors of ours, dead letters and messages may come out, each request ends in time, and the client goes on.
"""

from __future__ import annotations

import gzip
import random
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import anyio

from poller.errors import ProviderError
from poller.model import DAY, SECOND, BadRow, Observation, Row, Stream
from poller.providers.contract import Request, Skipped, Window
from poller.providers.registry import provider_of
from tests.lab.fuzz import corpus, mutate
from tests.support.vendor import client_of

NOW = 1_790_000_000 * SECOND
TIMEOUT_S = 2.0

STATUSES = (*(200,) * 40, 201, 204, 206, 301, 304, 400, 401, 403, 404, 408, 418, 425, 429, 500, 502, 503, 504, 599, 999, 0, 99)
DATES = ("Mon, 21 Sep 2026 14:13:20 GMT", "Mon Sep 21 14:13:20 2026", "0", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
         "Mon, 21 Sep 2026 14:13:20 -0000", "yesterday", "", "\xe4", "Mon, 99 Sep 2026 99:99:99 GMT")  # fmt: skip
WAITS = (
    "1",
    "0",
    "-1",
    "1e9",
    "99999999999999999999",
    "30.5",
    "30, 60",
    "nan",
    "soon",
    "Mon, 21 Sep 2026 14:13:30 GMT",
    "\xff",
    "1790000060000",
    "",
)
CODINGS = ("gzip", "deflate", "identity", "br", "gzip, gzip", "GZIP", "x-gzip", "", "compress", "gzip;q=1", "\xe4")
TYPES = ("application/json", "text/html", "application/json; charset=utf-16", "text/plain;charset=iso-8859-1", 'a/b; charset="', "", "\x7f")


def answer(rng: random.Random, bodies: list[bytes]) -> tuple[bytes, bool]:
    """One answer as a broken, careless or hostile server might send it, and whether it closes the connection then."""
    body = rng.choice(bodies) if rng.random() < 0.5 else mutate(rng, bodies)
    headers: list[tuple[str, str]] = [("content-type", rng.choice(TYPES))]
    match rng.randrange(8):
        case 0:
            body, coding = gzip.compress(body), "gzip"
        case 1:
            body, coding = zlib.compress(body), "deflate"
        case 2:
            body, coding = gzip.compress(body[: len(body) // 2]) + gzip.compress(body[len(body) // 2 :]), "gzip"
        case 3:
            body, coding = (
                body.decode("utf-8", "replace").encode(rng.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")), "replace"),
                "",
            )
        case 4:
            coding = rng.choice(CODINGS)
        case _:
            coding = ""
    if coding:
        headers.append(("content-encoding", coding))
    for name, values in (
        ("date", DATES),
        ("retry-after", WAITS),
        ("ratelimit-reset", WAITS),
        ("x-ratelimit-remaining", ("0", "1")),
        ("age", WAITS),
    ):
        headers += [(name, rng.choice(values)) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    if rng.random() < 0.1:
        body = body[: rng.randrange(len(body) + 1)]
    head = f"HTTP/1.{rng.choice('1110')} {rng.choice(STATUSES)} {rng.choice(('OK', '', 'x' * 50))}\r\n".encode()
    framed, whole = _framed(rng, body, headers)
    return head + framed, not whole or rng.random() < 0.5


def _framed(rng: random.Random, body: bytes, headers: list[tuple[str, str]]) -> tuple[bytes, bool]:
    """Headers and body, and whether the frame says where the body ends: with a length, in chunks, or until the end.

    At times the length lies, or a byte is another.
    """
    kind, lie, mutated = rng.randrange(10), rng.choice((0,) * 9 + (1, -1, 10**9)), rng.random() < 0.1
    if kind < 6:
        headers.append(("content-length", str(len(body) + lie)))
    elif kind < 8:
        headers.append(("transfer-encoding", "chunked"))
        at = rng.randrange(len(body) + 1)
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:at], body[at:]) if part) + b"0\r\n\r\n"
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in rng.sample(headers, len(headers)))
    whole = bytearray(lines + b"\r\n" + body)
    if mutated:
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole), kind < 8 and not lie and not mutated


@contextmanager
def serving(rng: random.Random, bodies: list[bytes]) -> Iterator[str]:
    """A server on loopback that gives each request such an answer, and then closes or keeps the connection."""

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                found = listener.accept()[0]
            except OSError:
                return
            Thread(target=talk, args=(found,), daemon=True).start()

    def talk(found: socket.socket) -> None:
        with found:
            try:
                while found.recv(1 << 16):
                    sent, closes = answer(rng, bodies)
                    found.sendall(sent)
                    if closes:
                        return
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def fuzz_http(name: str, count: int, seed: int) -> dict[str, int]:
    """Ask so often; what came out, by kind. Any exception but a typed one goes through."""
    rng, provider = random.Random(seed), provider_of(name)
    found = {"errors": 0, "rows": 0, "dead letters": 0, "pages": 0}
    asked = provider.first_page(Stream(name, "main", "s1"), Window(NOW - DAY, NOW, NOW), None)
    get, waits = Request("GET", "/x"), list[float]()

    async def ask(url: str, folder: Path) -> None:
        async with client_of(url, folder, timeout_s=TIMEOUT_S) as client:
            for _ in range(count):
                client.release()
                with anyio.fail_after(20 * TIMEOUT_S):
                    try:
                        page = provider.read_page(asked, (await client.exchange(get)).response)
                    except ProviderError as error:
                        found["errors"] += 1
                        waits.append(error.wait_s or 0.0)
                        continue
                found["pages"] += 1
                for row in page.rows:
                    read = provider.read_row(row) if isinstance(row, Row) else row
                    assert isinstance(read, Observation | BadRow | Skipped)
                    found["rows" if isinstance(read, Observation) else "dead letters"] += 1
            assert client.provider_clock.origin(NOW) <= NOW
        assert all(0 <= wait <= 3600 for wait in waits)

    with tempfile.TemporaryDirectory() as folder, serving(rng, corpus(name)) as url:
        anyio.run(ask, url, Path(folder))
    return found
