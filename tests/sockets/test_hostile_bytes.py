"""Answers that are no answers, byte by byte over real sockets: bounded time, bounded memory, and only errors of ours."""

from __future__ import annotations

import gzip
import math
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import anyio
import pytest

from poller.errors import BadPage, ProviderError, Unreachable
from poller.model import DAY, SECOND, Observation, Row, Stream
from poller.polling.client.bodies import RESPONSE_BYTES_MAX
from poller.polling.client.over_aiohttp import CONNECTIONS_MAX
from poller.polling.client.rate_limit import Go
from poller.polling.client.wire import HEADERS_BYTES_MAX
from poller.providers.contract import Headers, Request, Window
from poller.providers.kit.rows import ROWS_MAX
from poller.providers.registry import BUILT_IN, provider_of
from tests.support.vendor import client_of
from tests.support.vendor_rows import body_of, id_name, raw_of

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def _whole(body: bytes, *headers: bytes) -> bytes:
    return OK + b"".join(header + b"\r\n" for header in headers) + b"content-length: %d\r\n\r\n" % len(body) + body


NOT_HTTP: dict[str, bytes] = {
    "nothing": b"",
    "noise": b"\x00\xff\x16\x03\x01 not http at all\r\n\r\n",
    "status": b"HTTP/1.1 wonderful\r\n\r\n",
    "version": b"HTTP/9.9 200 OK\r\n\r\n[]",
    "header": b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n[]",
    "nul": OK + b"x: a\x00b\r\ncontent-length: 2\r\n\r\n[]",
    "long line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    "many headers": OK + b"".join(b"x-%d: %s\r\n" % (n, b"v" * 60) for n in range(3_000)) + b"content-length: 2\r\n\r\n[]",
    "short": OK + b"content-length: 100\r\n\r\n[",
    "two lengths": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n[]",
    "negative": OK + b"content-length: -2\r\n\r\n[]",
    "chunk": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
    "endless chunk": OK + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    "not gzip": _whole(b"[1, 2, 3]", b"content-encoding: gzip"),
    "cut gzip": _whole(gzip.compress(b"[" + b"1," * 5_000)[:20], b"content-encoding: gzip"),
}
BOMB = _whole(gzip.compress(b" " * (RESPONSE_BYTES_MAX * 10)), b"content-encoding: gzip")


@contextmanager
def server(answer: Callable[[socket.socket], object], heard: list[bytes] | None = None) -> Iterator[str]:
    """Each connection gets what ``answer`` does with it; ``heard`` gets its first request."""
    stop = Event()

    def serve(listener: socket.socket) -> None:
        while not stop.is_set():
            try:
                found = listener.accept()[0]
            except OSError:
                return
            Thread(target=talk, args=(found,), daemon=True).start()

    def talk(found: socket.socket) -> None:
        with found:
            try:
                request = found.recv(65536)
                if heard is not None:
                    heard.append(request)
                answer(found)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()


def test_a_request_whose_new_connection_breaks_is_not_sent_again(tmp_path: Path) -> None:
    """What is sent unasked would be beside the rate limit."""
    sent: list[bytes] = []
    with server(lambda found: sent.append(b"")) as url, pytest.raises(Unreachable):
        fetched(url, tmp_path)
    assert len(sent) == 1


@pytest.mark.parametrize("ca", [False, True], ids=["aiohttp", "httpx"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_kept_connection_that_the_server_closed_is_no_trouble(tmp_path: Path, ca: bool, method: str, reset: bool) -> None:
    """The request is sent again on a new connection, once, and within the limit; each request only reads."""
    sent: list[bytes] = []

    def answer(found: socket.socket) -> None:
        sent.append(b"first of a connection")
        found.sendall(_whole(b"[]"))
        while heard := found.recv(65536):
            if b"HTTP/1.1" in heard:  # a body may come by itself
                sent.append(b"lost")
                if reset:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return

    async def ask(url: str) -> float:
        request = Request(method, "/x", body=b"{}" if method == "POST" else None)
        client = client_of(url, tmp_path, ca_file=_authority(tmp_path) if ca else None)
        async with client:
            for _ in range(3):
                assert (await client.exchange(request)).response.body == b"[]"
            return client._limiter._next

    with server(answer) as url:
        used = anyio.run(ask, url)
    assert sent == [b"first of a connection", b"lost", b"first of a connection", b"lost", b"first of a connection"]
    assert used > client_of("http://127.0.0.1:9", tmp_path)._limiter._next


def test_a_held_account_sends_nothing_again(tmp_path: Path) -> None:
    """A kept connection that ends while the account waits for its vendor stays a trouble of the stream."""

    def answer(found: socket.socket) -> None:
        found.sendall(_whole(b"[]"))
        found.recv(65536)

    async def ask(url: str) -> None:
        client = client_of(url, tmp_path)
        async with client:
            await client.exchange(Request("GET", "/x"))
            client.hold_until(anyio.current_time() + 60)
            with pytest.raises(Unreachable):
                await client.exchange(Request("GET", "/x"))

    with server(answer) as url:
        anyio.run(ask, url)


def test_a_request_that_is_asked_again_with_fresh_credentials_waits_for_its_turn(tmp_path: Path) -> None:
    """The second request after a 401 keeps the rate limit too."""
    heard: list[str] = []

    def answer(found: socket.socket) -> None:
        heard.append("asked")
        found.sendall(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    async def ask(url: str) -> int:
        client = client_of(url, tmp_path)

        def take(_: float) -> Go:
            heard.append("turn")
            if len(heard) > 2:
                client.hold_until(math.inf)
            return Go()

        client._limiter.take = take  # type: ignore[method-assign]
        client._credentials = SimpleNamespace(current=lambda _: Headers({}), renewed=lambda *_: Headers({"authorization": "x"}))  # type: ignore[assignment]
        async with client:
            await client.exchange(Request("GET", "/x"))
            return (await client.exchange(Request("GET", "/x"))).response.status

    with server(answer) as url:
        assert anyio.run(ask, url) == 401
    assert heard == ["asked", "turn", "asked", "asked", "turn"]  # the second time the account waits by then


def _authority(folder: Path) -> Path:
    """A file of some authority: an account that has one is asked by httpx's own transport."""
    import trustme

    trustme.CA().cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


def fetched(url: str, folder: Path, *, timeout_s: float = 5.0, ca: bool = False) -> bytes:
    """The body of one request; raises what the client raises. ``ca``: by httpx's own transport."""
    ca_file = _authority(folder)

    async def ask() -> bytes:
        async with client_of(url, folder, timeout_s=timeout_s, ca_file=ca_file if ca else None) as client:
            return (await client.exchange(Request("GET", "/x"))).response.body

    return anyio.run(ask)


@pytest.mark.parametrize("ca", [False, True], ids=["aiohttp", "httpx"])
@pytest.mark.parametrize("name", list(NOT_HTTP))
def test_what_is_not_http_is_an_error_of_ours(name: str, ca: bool, tmp_path: Path) -> None:
    """Noise, broken lines, lengths that lie, encodings that are none: Unreachable or BadPage, or nothing but the body; never another exception."""
    with server(lambda found: found.sendall(NOT_HTTP[name])) as url:
        try:
            body = fetched(url, tmp_path, ca=ca)
        except (Unreachable, BadPage):
            return
    assert body in (b"[]", b"")
    assert name not in ("nothing", "noise", "short", "not gzip", "many headers")


@pytest.mark.parametrize("ca", [False, True], ids=["aiohttp", "httpx"])
def test_a_decompression_bomb_is_refused_in_bounded_memory(ca: bool, tmp_path: Path) -> None:
    """A quarter of a megabyte that unpacks to ten times the limit is a BadPage, before half of it is unpacked."""
    tracemalloc.start()
    try:
        with server(lambda found: found.sendall(BOMB)) as url, pytest.raises(BadPage):
            fetched(url, tmp_path, timeout_s=30, ca=ca)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * RESPONSE_BYTES_MAX, peak  # the limit, and what one read of the socket may unpack to


def test_a_slow_drip_ends_at_the_total_deadline(tmp_path: Path) -> None:
    """A byte every few milliseconds never ends by itself; the whole answer has one deadline."""

    def drip(found: socket.socket) -> None:
        found.sendall(OK + b"content-length: 100000\r\n\r\n")
        while not done.wait(0.02):
            found.sendall(b" ")

    done = Event()
    with server(drip) as url, pytest.raises(Unreachable, match="in time"):
        fetched(url, tmp_path, timeout_s=0.4)
    done.set()


@pytest.mark.parametrize("ca", [False, True], ids=["aiohttp", "httpx"])
def test_an_address_goes_over_the_wire_as_it_was_written(ca: bool, tmp_path: Path) -> None:
    """No library unquotes, quotes or shortens what was signed by a vendor, or judged to lie below base_url."""
    asked: list[bytes] = []

    async def ask(url: str) -> None:
        async with client_of(url, tmp_path, ca_file=_authority(tmp_path) if ca else None) as client:
            await client.exchange(Request("GET", "/x/a%3Ab%7Ec/%2e%2e/d", (("DateSent>", "a:b+c d/~'"),)))

    with server(lambda found: found.sendall(_whole(b"[]")), asked) as url:
        anyio.run(ask, url)
    assert asked[0].split(b" ")[1] == b"/x/a%3Ab%7Ec/%2e%2e/d?DateSent%3E=a%3Ab%2Bc+d%2F~%27"


def test_credentials_and_cookies_go_nowhere_else(tmp_path: Path) -> None:
    """A redirect is not followed, to whatever host, and a cookie that was set is not sent back."""
    asked: list[bytes] = []
    answers = [
        _whole(b"[]", b"set-cookie: a=b; Path=/"),
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:9/\r\ncontent-length: 0\r\n\r\n",
    ]

    (tmp_path / "token").write_text("invented")

    async def ask(url: str) -> list[int]:
        client = client_of(url, tmp_path, on_request=lambda code, seconds: asked.append(code.encode()))
        async with client:
            return [(await client.exchange(Request("GET", "/x"))).response.status for _ in range(2)]

    seen: list[bytes] = []

    def answer(found: socket.socket) -> None:
        found.sendall(answers[0])
        seen.append(found.recv(65536))
        found.sendall(answers[1])

    with server(answer) as url:
        statuses = anyio.run(ask, url.replace("127.0.0.1", "localhost"))  # a cookie jar keeps none of a bare address
    assert statuses == [200, 302]
    assert seen
    assert asked == [b"200", b"302"]
    assert b"ookie" not in b"".join(seen)


DEEP = b"[" * 200_000
BODIES: dict[str, bytes] = {
    "deep list": DEEP,
    "deep object": b'{"a":' * 100_000,
    "many rows": b"[" + b",".join([b"1"] * (ROWS_MAX + 1)) + b"]",
    "not utf-8": b'[{"id":"\xff\xfe"}]',
    "huge number": b"[" + b"9" * 100_000 + b"]",
    "nan": b"[NaN]",
    "twice": b"[][]",
    "bom": b"\xef\xbb\xbf[]",
}  # fmt: skip
ROWS = {"deep row": {"x": b"[" * 50_000 + b"]" * 50_000}, "lone surrogate": {"x": rb'"\ud800"'}}
"""What a member of a row holds whose neighbour is a good one."""


@pytest.mark.parametrize("provider", BUILT_IN)
@pytest.mark.parametrize("name", [*BODIES, *ROWS])
def test_json_at_its_worst_is_an_error_of_ours_or_a_dead_letter(provider: str, name: str) -> None:
    """Nesting, counts, numbers and texts beyond measure: a typed error, or rows that can be read or refused one by one."""
    from poller.providers.contract import Response

    made, now = provider_of(provider), 1_790_000_000 * SECOND
    request = made.first_page(Stream(provider, "a", "b"), Window(now - DAY, now + DAY, now), None)
    body = (
        BODIES[name] if name in BODIES else body_of(provider, raw_of(provider, ROWS[name]), raw_of(provider, {id_name(provider): b'"2"'}))
    )
    try:
        page = made.read_page(request, Response(200, {"content-type": "application/json"}, body))
    except ProviderError:
        assert name in BODIES
        return
    read = [made.read_row(row) for row in page.rows if isinstance(row, Row)]
    assert name in BODIES or any(isinstance(each, Observation) for each in read)


def test_the_limits_have_names() -> None:
    """What bounds an answer is written in one place and is finite."""
    assert 0 < HEADERS_BYTES_MAX < RESPONSE_BYTES_MAX < 1 << 30
    assert 0 < ROWS_MAX <= 1_000_000
    assert 0 < CONNECTIONS_MAX < 1_000
