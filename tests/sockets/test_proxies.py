"""A vendor over TLS behind a real proxy: what the environment says in each form, a proxy in trouble, and what the check says of each."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from poller.commands.check import _account
from poller.config.load import load
from poller.errors import ClientUnusable, ConfigError, Unreachable
from poller.providers.contract import Request
from tests.sockets.test_tls import Handler
from tests.support.connect_proxy import ConnectProxy
from tests.support.vendor import client_of

CONFIG = """\
kafka: {{bootstrap_servers: ["127.0.0.1:9"]}}
accounts:
- {{name: a, provider: stuut, base_url: "{url}", ca_file: ca.pem, credentials: {{token: {{file: token}}}}, threads: [t], timeout: 2s}}
"""


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[str]:
    """Its URL; the folder holds its authority, a token, and the configuration."""
    Handler.asked = []
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "token").write_text("invented")
    found = HTTPServer(("127.0.0.1", 0), Handler)
    found.socket = context.wrap_socket(found.socket, server_side=True)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{found.server_address[1]}"
    (tmp_path / "poller.yaml").write_text(CONFIG.format(url=url))
    yield url
    found.shutdown()
    found.server_close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this host's own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def asked(url: str, folder: Path, **more: Any) -> bytes:
    """One request as the daemon sends it."""

    async def ask() -> bytes:
        async with client_of(url, folder, timeout_s=2.0, ca_file=folder / "ca.pem", **more) as client:
            return (await client.exchange(Request("GET", "/x"))).response.body

    return anyio.run(ask)


def checked(folder: Path) -> list[tuple[int, str]]:
    """What ``check --online`` says of the account. Raises ConfigError as ``check``."""
    config, found = load(folder / "poller.yaml", referenced=True), list[tuple[int, str]]()
    anyio.run(_account, config, 0, found)
    return found


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "form", ["127.0.0.1:{}", "http://127.0.0.1:{}", "HTTP://127.0.0.1:{}/", " 127.0.0.1:{} ", "http://u:p%40ss@127.0.0.1:{}"]
)
def test_the_vendor_is_reached_through_the_proxy_that_the_environment_says(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    """In each form that curl takes; TLS goes through to the vendor, and the check says good."""
    with ConnectProxy().open() as proxy:
        monkeypatch.setenv(variable, form.format(proxy.port))
        assert asked(vendor, tmp_path) == b"[]"
        assert checked(tmp_path)[-1] == (0, "stuut/a: good")
    assert len(proxy.heard) == 2
    assert all(head.startswith(f"CONNECT {vendor.removeprefix('https://')} ") for head in proxy.heard)
    assert all(("proxy-authorization" in head.lower()) == ("@" in form) for head in proxy.heard)
    assert "invented" not in "".join(proxy.heard)


SILENT = {"NO_PROXY": ["127.0.0.1", " 127.0.0.1 ", "a,,127.0.0.1,", "*", "127.0.0.0/8", "[127.0.0.1]", "0.0.0.0/0"],
          "no_proxy": ["127.0.0.1"]}  # fmt: skip
HEARD = [
    "",
    ",",
    ".",
    "..",
    " , ",
    "localhost",
    "127.0.0.2",
    "10.0.0.0/8",
    "127.0.0.0/99",
    "[::1]",
    "::/0",
    "\u00e4",
    "127.0.0.1:1",
    ";",
    "%",
    "27.0.0.1",
]


@pytest.mark.parametrize(("variable", "entry"), [(name, entry) for name, entries in SILENT.items() for entry in entries])
def test_what_no_proxy_names_is_reached_directly(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, entry: str
) -> None:
    """Whatever stands around the entry: a proxy that is not there is not missed."""
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:1")
    monkeypatch.setenv(variable, entry)
    assert asked(vendor, tmp_path) == b"[]"
    assert checked(tmp_path)[-1] == (0, "stuut/a: good")


@pytest.mark.parametrize("entry", HEARD)
def test_odd_entries_of_no_proxy_take_nothing_out(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """Nor do they raise anything: the proxy is used."""
    with ConnectProxy().open() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", entry)
        assert asked(vendor, tmp_path) == b"[]"
    assert len(proxy.heard) == 1


TROUBLED: dict[str, bytes] = {
    "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
    "403": b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
    "502": b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
    "302": b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
    "nothing": b"",
    "noise": b"\x00\xff\x16\x03\x01\r\n\r\n",
    "a tunnel to nowhere": b"HTTP/1.1 200 OK\r\n\r\n",
    "a tunnel to another program": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
}


@pytest.mark.parametrize("name", list(TROUBLED))
def test_a_proxy_in_trouble_is_the_accounts_trouble(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An error of ours, and nothing is taken from what answered in the vendor's place; the check says it at the account, with file and line."""
    with ConnectProxy(TROUBLED[name]).open() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        with pytest.raises((Unreachable, ClientUnusable)):
            asked(vendor, tmp_path)
        [(code, line)] = checked(tmp_path)
    assert code == 69
    assert line.startswith(f"{tmp_path}/poller.yaml:3: accounts[0]: stuut/a: ")
    assert "; fix: " in line
    assert Handler.asked == []


@pytest.mark.parametrize("value", ["'127.0.0.1:1'", '"127.0.0.1:1"', "127.0.0.1:99999", "127.0.0.1:0", "::1:3128", "[::1:3128", "127.0.0.1 3128", "socks5://127.0.0.1:1",
                                   "ftp://127.0.0.1", "http://", "http:/127.0.0.1:1", "\u201c127.0.0.1:1\u201d"])  # fmt: skip
def test_a_proxy_that_is_none_ends_the_check_and_makes_the_account_wait(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The check names the variable and the line, before anything is asked; the value is never shown."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(
        ConfigError, match=r"poller\.yaml:3: accounts\[0\]\.proxy: the environment variable HTTPS_PROXY is no proxy"
    ) as caught:
        checked(tmp_path)
    assert value not in str(caught.value)
    with pytest.raises(ClientUnusable):
        asked(vendor, tmp_path)


NO_AUTHORITIES: dict[str, bytes] = {
    "empty": b"",
    "cut": b"-----BEGIN CERTIFICATE-----\nMIIB",
    "noise": b"\xff\xfe\x00",
    "words": b"ask the network team\n",
    "a bag of no certificate": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "a certificate of nothing": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "another kind of bag": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "a page of a proxy": b"<html><body>sign in</body></html>",
}
"""What a file of authorities holds that trusts nobody."""


@pytest.mark.parametrize("name", ["gone", "a folder", "another encoding", *NO_AUTHORITIES])
def test_authorities_of_the_environment_that_cannot_be_used_are_said(
    vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """``SSL_CERT_FILE`` of a file that is gone trusts nobody, and OpenSSL says nothing: the check names the variable."""
    whole, file = (tmp_path / "ca.pem").read_bytes(), tmp_path / "system.pem"
    written = NO_AUTHORITIES | {"another encoding": whole.decode().encode("utf-16")}
    if name in written:
        file.write_bytes(written[name])
    elif name == "a folder":
        file.mkdir()
    (tmp_path / "poller.yaml").write_text(CONFIG.format(url=vendor).replace("ca_file: ca.pem, ", ""))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigError, match=r"poller\.yaml:3: accounts\[0\]\.ca_file: the file .* SSL_CERT_FILE names, cannot be used"):
        checked(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert checked(tmp_path)[-1] == (0, "stuut/a: good")
