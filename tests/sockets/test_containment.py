"""An account whose client cannot be made or used waits as an account; what a library throws is an error of ours."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx
import msgspec
import pytest
import trustme

from poller.errors import AccountTrouble, ClientUnusable, ProviderError, Unreachable
from poller.polling.client.over_httpx import OverHttpx
from poller.polling.client.transport import Connections
from poller.providers.contract import Request
from tests.sockets.test_hostile_bytes import _whole, fetched, server
from tests.support.vendor import client_of

UNUSABLE: dict[str, bytes | None] = {
    "empty": b"", "cut": trustme.CA().cert_pem.bytes()[:200], "noise": b"\xff\xfe", "gone": None,
    "a key": b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
}  # fmt: skip


@pytest.mark.parametrize("name", list(UNUSABLE))
def test_authorities_that_break_while_running_make_the_account_wait_until_they_are_mended(tmp_path: Path, name: str) -> None:
    """Each request says why; the first one after the file is whole again is sent."""
    path = tmp_path / "ca.pem"
    good = trustme.CA().cert_pem.bytes()
    path.write_bytes(good)

    async def ask(url: str) -> None:
        async with client_of(url, tmp_path, ca_file=path) as client:
            assert (await client.exchange(Request("GET", "/x"))).response.body == b"[]"
            path.unlink() if UNUSABLE[name] is None else path.write_bytes(UNUSABLE[name] or b"")
            for _ in range(2):
                with pytest.raises(ClientUnusable, match=r"ca\.pem cannot be used"):
                    await client.exchange(Request("GET", "/x"))
            path.write_bytes(good)
            assert (await client.exchange(Request("GET", "/x"))).response.body == b"[]"

    with server(lambda found: found.sendall(_whole(b"[]", b"connection: close"))) as url:
        anyio.run(ask, url)


@pytest.mark.parametrize("proxy", ["http://[", "socks5://127.0.0.1:1", "ftp://x", '"127.0.0.1:1"', "127.0.0.1:99999"])
def test_a_proxy_that_cannot_be_used_makes_the_account_wait(tmp_path: Path, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its key or by the environment: never an exception of a library."""

    async def ask(**more: Any) -> None:
        async with client_of("http://vendor.invalid", tmp_path, **more) as client:
            await client.exchange(Request("GET", "/x"))

    with pytest.raises(ClientUnusable, match="the key proxy"):
        anyio.run(lambda: ask(proxy=proxy))
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ClientUnusable, match="HTTP_PROXY"):
        anyio.run(ask)


def test_a_proxy_without_a_scheme_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by curl."""
    with server(lambda found: found.sendall(_whole(b"[]"))) as url:
        monkeypatch.setenv("http_proxy", url.removeprefix("http://"))
        assert fetched("http://vendor.invalid", tmp_path) == b"[]"


THROWN: dict[str, BaseException] = {
    **{
        name: kind("x")
        for name, kind in vars(httpx).items()
        if isinstance(kind, type) and issubclass(kind, httpx.TransportError | httpx.InvalidURL)
    },
    "httpx stream": httpx.StreamClosed(),
    "aiohttp payload": aiohttp.ClientPayloadError("x"),
    "aiohttp disconnected": aiohttp.ServerDisconnectedError("x"),
    "aiohttp os": aiohttp.ClientOSError(104, "x"),
    "aiohttp connector closed": aiohttp.ClientConnectionError("x"),
    "aiohttp invalid url": aiohttp.InvalidURL("x"),
    "aiohttp timeout": aiohttp.ServerTimeoutError("x"),
    "aiohttp redirects": aiohttp.TooManyRedirects(None, ()),  # type: ignore[arg-type]
    "ssl": ssl.SSLError(1, "x"),
    "certificate": ssl.SSLCertVerificationError(1, "x"),
    "want read": ssl.SSLWantReadError(1, "x"),
    "dns": socket.gaierror(-2, "x"),
    "reset": ConnectionResetError(104, "x"),
    "pipe": BrokenPipeError(32, "x"),
    "no file left": OSError(24, "x"),
    "timeout": TimeoutError("x"),
    "json": json.JSONDecodeError("x", "y", 0),
    "msgspec": msgspec.DecodeError("x"),
    "validation": msgspec.ValidationError("x"),
    "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
    "unicode out": UnicodeEncodeError("ascii", "\u00e4", 0, 1, "x"),
    "value": ValueError("x"),
    "type": TypeError("x"),
    "key": KeyError("x"),
    "index": IndexError("x"),
    "attribute": AttributeError("x"),
    "recursion": RecursionError("x"),
    "overflow": OverflowError("x"),
    "memory": MemoryError("x"),
    "runtime": RuntimeError("x"),
    "end of file": EOFError("x"),
    "incomplete": asyncio.IncompleteReadError(b"", 1),
    "limit": asyncio.LimitOverrunError("x", 1),
    "closed": anyio.ClosedResourceError("x"),
    "broken": anyio.BrokenResourceError("x"),
    "import": ImportError("x"),
}


class Throwing(httpx.AsyncBaseTransport):
    """Throws before the answer, while its body is read, or while it is closed."""

    def __init__(self, thrown: BaseException, where: str) -> None:
        self.thrown, self.where = thrown, where

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head, or the exception."""
        if self.where == "head":
            raise self.thrown
        return httpx.Response(200, stream=ThrowingBody(self))

    async def aclose(self) -> None:
        """The end of the account."""
        if self.where == "end":
            raise self.thrown


class ThrowingBody(httpx.AsyncByteStream):
    """A body that begins well."""

    def __init__(self, way: Throwing) -> None:
        self.way = way

    async def __aiter__(self) -> Any:
        """Half a list."""
        yield b"["
        if self.way.where == "body":
            raise self.way.thrown
        yield b"]"

    async def aclose(self) -> None:
        """The connection goes back."""
        if self.way.where == "close":
            raise self.way.thrown


@pytest.mark.parametrize("where", ["head", "body", "close", "end"])
@pytest.mark.parametrize("name", list(THROWN))
def test_whatever_a_library_throws_stops_a_stream_or_an_account_at_most(tmp_path: Path, name: str, where: str) -> None:
    """At every place of the client; only an assertion of ours, and a cancellation, go through."""
    outcome: list[str] = []

    async def ask() -> None:
        way = Throwing(THROWN[name], where)
        heard: list[str] = []
        client = client_of("http://127.0.0.1:9", tmp_path, transport=OverHttpx(way), on_request=lambda code, _: heard.append(code))
        async with client:
            try:
                assert (await client.exchange(Request("GET", "/x"))).response.body == b"[]"
                outcome.append("read")
            except ProviderError as error:
                outcome.append("the account" if isinstance(error, AccountTrouble) else "refused")
        assert len(heard) == 1

    anyio.run(ask)
    assert outcome == ["read" if where == "end" else "refused"]


@pytest.mark.parametrize("name", list(THROWN))
def test_whatever_building_throws_makes_the_account_wait(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What our checks let pass and a library refuses."""

    def throw(*_: object, **__: object) -> None:
        raise THROWN[name]

    monkeypatch.setattr("poller.polling.client.transport._transport", throw)
    with pytest.raises(ClientUnusable):
        Connections("http://127.0.0.1:9", proxy=None, ca_file=None).current()


def test_a_defect_of_ours_is_not_taken_for_a_vendors(tmp_path: Path) -> None:
    """An assertion goes through, or it would be hidden as trouble of the network for ever."""
    with pytest.raises(AssertionError):
        _thrown(tmp_path, AssertionError("ours"))
    with pytest.raises(Unreachable):
        _thrown(tmp_path, httpx.ReadError("theirs"))


def _thrown(folder: Path, error: BaseException) -> None:
    async def ask() -> None:
        async with client_of("http://127.0.0.1:9", folder, transport=OverHttpx(Throwing(error, "head"))) as client:
            await client.exchange(Request("GET", "/x"))

    anyio.run(ask)
