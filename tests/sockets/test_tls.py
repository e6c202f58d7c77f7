"""The way to a provider: certificates are checked, private authorities and proxies are supported."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from poller.errors import Unreachable
from poller.providers.contract import Request
from tests.support.vendor import client_of


class Handler(BaseHTTPRequestHandler):
    """Answers everything, and remembers what it was asked for."""

    asked: list[str] = []

    def do_GET(self) -> None:
        """An empty list."""
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """In a thread; plain until a test wraps its socket."""
    Handler.asked = []
    found = HTTPServer(("127.0.0.1", 0), Handler)
    yield found
    found.shutdown()
    found.server_close()


def start(server: HTTPServer) -> int:
    """Serve; the port."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def fetched(folder: Path, url: str, **more: Any) -> bytes:
    """One request by the product's own client."""

    async def ask() -> bytes:
        async with client_of(url, folder, **more) as client:
            return (await client.exchange(Request("GET", "/x"))).response.body

    return anyio.run(ask)


@pytest.mark.parametrize("names", [("127.0.0.1",), ("other.invalid",)], ids=["right name", "wrong name"])
def test_a_certificate_is_checked_against_the_authority_and_the_name(server: HTTPServer, tmp_path: Path, names: tuple[str, ...]) -> None:
    """A private authority is accepted only where ca_file names it, and only for the right host."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{start(server)}"
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(Unreachable):
        fetched(tmp_path, url)
    if names == ("127.0.0.1",):
        assert fetched(tmp_path, url, ca_file=tmp_path / "ca.pem") == b"[]"
    else:
        with pytest.raises(Unreachable):
            fetched(tmp_path, url, ca_file=tmp_path / "ca.pem")


def test_a_proxy_of_the_account_or_of_the_environment_is_used(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go to the proxy, which is told the whole address."""
    proxy = f"http://127.0.0.1:{start(server)}"
    assert fetched(tmp_path, "http://provider.invalid", proxy=proxy) == b"[]"
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert fetched(tmp_path, "http://provider.invalid") == b"[]"
    assert Handler.asked == ["http://provider.invalid/x"] * 2
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetched(tmp_path, proxy) == b"[]"
    assert Handler.asked[2:] == ["/x"]
