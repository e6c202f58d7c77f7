"""A request as it is sent: its URL, which never leaves the account's base_url, and its headers. Pure.

Credentials travel with every request, so a link that an answer gives is followed only to where the account's own
requests go: the same scheme, host, port and path prefix.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from msgspec import Struct

from ...errors import BadPage, Unauthorized
from ...providers.contract import Headers, Request, TokenRequest

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The port of a scheme, where an address names none."""


class WireRequest(Struct, frozen=True):
    """A request as it goes over the wire, without the headers that every request has."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None


def wire_request(base_url: str, request: Request, made: Headers) -> WireRequest:
    """A provider's request as it goes over the wire. Raises BadPage for a link that leads elsewhere."""
    headers = dict(made.headers)
    if request.body is not None:
        headers["content-type"] = "application/json"
    if request.link is not None:
        return WireRequest(request.method, resolved(base_url, request.link), headers, request.body)
    path, query = request.path, request.query
    for name, value in made.fill.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
        query = tuple((key, said.replace(f"{{{name}}}", value)) for key, said in query)
    return WireRequest(request.method, base_url + path + (f"?{urlencode(query)}" if query else ""), headers, request.body)


def wire_token_request(base_url: str, wanted: TokenRequest) -> WireRequest:
    """A request for a token as it goes over the wire. Raises Unauthorized for an address without TLS that is not base_url's own."""
    url = base_url + wanted.url if wanted.url.startswith("/") else wanted.url
    if not wanted.url.startswith("/") and urlsplit(url).scheme != "https" and _origin(url) != _origin(base_url):
        raise Unauthorized("the address that issues tokens is not https")
    headers = {"content-type": "application/x-www-form-urlencoded", **wanted.headers}
    return WireRequest("POST", url, headers, urlencode(wanted.form).encode())


def resolved(base_url: str, link: str) -> str:
    """A link against base_url (RFC 3986 section 5).

    An absolute path without the base_url's prefix is taken to be relative to it: a proxy adds a prefix that the vendor
    does not know. Raises BadPage for another origin, another prefix, or what is no link.
    """
    prefix = urlsplit(base_url).path.rstrip("/")
    try:
        path = urlsplit(link).path
        if not _plain(link, path):
            raise BadPage("the next link is no address")
        if link.startswith("/") and not link.startswith("//") and not _under(prefix, path):
            link = prefix + link
        url = urlsplit(urljoin(base_url + "/", link))
        same = _origin(url.geturl()) == _origin(base_url) and url.username is None and url.password is None
    except ValueError:
        raise BadPage("the next link is no address") from None
    if not same or not _under(prefix, url.path):
        raise BadPage("the next link leads to another address than base_url")
    return url._replace(fragment="").geturl()


def _plain(link: str, path: str) -> bool:
    """Whether a link is of characters that an address may have, and its path without a way up, however that is encoded."""
    return link.isascii() and link.isprintable() and not {" ", "\\"} & {*link} and ".." not in unquote(path).split("/")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454 section 4). Raises ValueError for a port that is none."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _under(prefix: str, path: str) -> bool:
    """Whether a path lies under a prefix, as a whole segment."""
    return path == prefix or path.startswith(prefix + "/")
