"""A request never leaves the account's base_url, whatever link an answer gives: credentials travel with it."""

from __future__ import annotations

import pytest

from poller.errors import BadPage, Unauthorized
from poller.polling.client.addresses import resolved, wire_request, wire_token_request
from poller.providers.contract import Headers, Request, TokenRequest

BASE = "https://api.example.test:8443/pre"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("/pre/next?p=2", f"{BASE}/next?p=2"),
        ("/next?p=2", f"{BASE}/next?p=2"),
        (f"{BASE}/next?p=2#end", f"{BASE}/next?p=2"),
        ("?p=2", f"{BASE}/?p=2"),
        ("HTTPS://API.example.test:8443/pre/x", "https://API.example.test:8443/pre/x"),
        ("/prefix/x", f"{BASE}/prefix/x"),
    ],
)
def test_a_link_within_base_url_is_followed(link: str, url: str) -> None:
    """Absolute or relative; a proxy's prefix, which the vendor does not know, is added."""
    assert resolved(BASE, link) == url


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/pre/x",
        "//evil.test/pre/x",
        "http://api.example.test:8443/pre/x",
        "https://api.example.test/pre/x",
        "https://api.example.test:8443/other",
        "https://api.example.test:8443/prefix",
        f"{BASE}/../other",
        f"{BASE}/%2e%2e/other",
        "/pre/..%2fother/../../x",
        "https://api.example.test:8443@evil.test/pre/x",
        "https://user@api.example.test:8443/pre/x",
        "https://api.example.test:99999/pre/x",
        "/pre/x y",
        "/pre/\nx",
        "\\\\evil.test/pre",
        "javascript:alert(1)",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(link: str) -> None:
    """Another origin, another prefix, a way up, or no address at all."""
    with pytest.raises(BadPage):
        resolved(BASE, link)


def test_what_only_the_credentials_know_is_filled_in_at_the_last_moment() -> None:
    """An account's id in a path is encoded, a number in a query is; state has seen neither."""
    request = Request("GET", "/Accounts/{account}/Messages", (("phone", "{phone}"), ("page", "1")))
    asked = wire_request(BASE, request, Headers({"authorization": "x"}, fill={"account": "A/1", "phone": "+1 555"}))
    assert asked.url == f"{BASE}/Accounts/A%2F1/Messages?phone=%2B1+555&page=1"
    assert asked.headers == {"authorization": "x"}


def test_a_token_is_asked_for_over_tls_or_at_base_url_only() -> None:
    """A form, as RFC 6749 says; never in clear to another host."""
    asked = wire_token_request(BASE, TokenRequest("/oauth/token", (("grant_type", "client_credentials"),), {"authorization": "x"}))
    assert (asked.method, asked.url, asked.body) == ("POST", f"{BASE}/oauth/token", b"grant_type=client_credentials")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert wire_token_request(BASE, TokenRequest("https://login.example.test/t", ())).url == "https://login.example.test/t"
    with pytest.raises(Unauthorized):
        wire_token_request(BASE, TokenRequest("http://login.example.test/t", ()))
