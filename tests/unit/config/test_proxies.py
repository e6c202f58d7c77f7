"""Proxies and certificates: what the check calls good can be used, and what cannot be used names its key or variable."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from poller.config.certificates import tls_context
from poller.config.proxies import environment_proxy, proxy_of, proxy_url
from poller.errors import ConfigError

GOOD = {
    "proxy.internal:3128": "http://proxy.internal:3128",
    "proxy": "http://proxy",
    " proxy:3128 ": "http://proxy:3128",
    "http://proxy:3128/": "http://proxy:3128/",
    "HTTP://Proxy:3128": "HTTP://Proxy:3128",
    "https://proxy": "https://proxy",
    "user:p%40ss@proxy:3128": "http://user:p%40ss@proxy:3128",
    "10.0.0.1:8080": "http://10.0.0.1:8080",
    "[::1]:3128": "http://[::1]:3128",
}
BAD = ['"http://proxy:3128"', "'proxy:3128'", "proxy:99999", "proxy:0", "proxy:", "proxy:http", ":3128", "http://", "socks4://proxy:1080", "ftp://proxy",
       "proxy name:1", "http://[::1", "pr\u00f6xy:1", "proxy\n:1", "http://pro\\xy:1", "*:1", "a..b..:1", "-:1"]  # fmt: skip


@pytest.mark.parametrize("written", list(GOOD))
def test_a_proxy_is_written_as_for_curl(written: str) -> None:
    """Without a scheme it is an HTTP proxy."""
    assert proxy_url(written) == GOOD[written]
    httpx.AsyncHTTPTransport(proxy=proxy_url(written))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("written", BAD)
def test_a_proxy_that_cannot_be_used_names_its_key_or_variable(written: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And never its value, which may hold a password."""
    monkeypatch.setenv(variable, written)
    with pytest.raises(ConfigError, match=f"variable {variable} .*expected .*fix: ") as caught:
        proxy_of(None, "https://api.example")
    assert "proxy:" not in str(caught.value)
    with pytest.raises(ConfigError, match="the key proxy "):
        proxy_of(written, "https://api.example")


def test_socks_without_support_is_said() -> None:
    """The package that would be needed is named."""
    with pytest.raises(ValueError, match="pip install"):
        proxy_url("socks5://proxy:1080")


@example("http://a:1\t")
@given(st.text(alphabet="ahtps:/@[]%.-_0189 \"'\\?#", max_size=30) | st.text(max_size=20))
def test_what_is_accepted_can_be_built(written: str) -> None:
    """One function decides for the check and for the daemon."""
    try:
        url = proxy_url(written)
    except ValueError:
        return
    httpx.AsyncHTTPTransport(proxy=url)


DIRECT = ["api.example", "example", ".example", "API.example", "*", "api.example:443", "x, api.example", "other,.example "]
NOT_DIRECT = ["", "pi.example", "api.example.org", "10.0.0.0/8", "api", ","]


@pytest.mark.parametrize("listed", DIRECT + NOT_DIRECT)
def test_no_proxy_is_respected(listed: str) -> None:
    """By host, by domain, for all."""
    environment = {"HTTPS_PROXY": "p:1", "no_proxy": listed}
    assert (environment_proxy("https://api.example:443/v1", environment) is None) == (listed in DIRECT)


@pytest.mark.parametrize(
    ("listed", "direct"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.2.0.0/16", False), ("10.1.2.3/32,x", True), ("fe80::/10", False)]
)
def test_networks_are_respected(listed: str, direct: bool) -> None:
    """As newer curls and Go read NO_PROXY."""
    assert (environment_proxy("https://10.1.2.3", {"all_proxy": "p:1", "NO_PROXY": listed}) is None) == direct


def test_which_variable_counts() -> None:
    """The scheme's before the one for all, lower case before upper case, and an empty one says nothing."""
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    for number, name in enumerate(names):
        environment = {**dict.fromkeys(names[:number], ""), **{each: each for each in names[number:]}, "http_proxy": "no"}
        assert environment_proxy("https://api.example", environment) == (name, name)
    assert environment_proxy("http://127.0.0.1:1", {"HTTPS_PROXY": "p:1"}) is None


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9000/stuut", "http://localhost", "http://LOCALHOST:1", "http://[::1]:9000"])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_plain_http_to_this_host_goes_by_no_proxy_of_the_environment(base_url: str, variable: str) -> None:
    """It is allowed because it leads over no network; a proxy that the account names itself is its own choice, and TLS hides what a proxy sees."""
    assert environment_proxy(base_url, {variable: "proxy.internal:3128"}) is None
    assert proxy_of("proxy.internal:3128", base_url) == "http://proxy.internal:3128"
    assert environment_proxy("https://127.0.0.1:1", {"ALL_PROXY": "p:1"}) == ("ALL_PROXY", "p:1")


AUTHORITY = trustme.CA().cert_pem.bytes()
FILES = {"empty": b"", "cut": AUTHORITY[:300], "a second one cut": AUTHORITY + AUTHORITY[:300], "no certificate": b"hello", "UTF-16": AUTHORITY.decode().encode("utf-16"),
         "binary": bytes(range(256)), "only a key": b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"}  # fmt: skip


@pytest.mark.parametrize("name", [*FILES, "a folder", "missing", "a name with a zero"])
def test_authorities_that_cannot_be_used_are_said(tmp_path: Path, name: str) -> None:
    """With the file, why, and what to do."""
    path = tmp_path / ("a\0b" if name == "a name with a zero" else "ca.pem")
    if name in FILES:
        path.write_bytes(FILES[name])
    elif name == "a folder":
        path.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be used: .*; expected .*; fix: ") as caught:
        tls_context(path)
    assert "_ssl" not in str(caught.value)


def test_accounts_that_trust_the_same_share_a_context(tmp_path: Path) -> None:
    """A context costs 20 ms and 0.8 MiB; a file that changed is read anew."""
    assert tls_context(None) is tls_context(None)
    assert tls_context(None).verify_mode == ssl.CERT_REQUIRED
    path = tmp_path / "ca.pem"
    path.write_bytes(AUTHORITY)
    first = tls_context(path)
    assert tls_context(path) is first
    path.write_bytes(AUTHORITY + trustme.CA().cert_pem.bytes())
    assert tls_context(path) is not first
