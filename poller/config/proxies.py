"""The proxy of an account: its own key, else what the environment says, as curl reads it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from ..errors import ConfigError
from .forms import is_loopback

EXPECTED = "expected HOST:PORT, or a URL with http, https or socks5"
"""How a message says what a proxy variable may hold."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def proxy_url(written: str) -> str:
    """A proxy as a URL; without a scheme it is an HTTP proxy. Raises ValueError saying what is wrong, never the value (it may hold a password)."""
    text = written.strip()
    if '"' in text or "'" in text:
        raise ValueError(f"it holds quotes; {EXPECTED}; fix: remove the quotes")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError(f"it holds characters that no URL has; {EXPECTED}; fix: correct it")
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"its port or host is none; {EXPECTED}; fix: correct it") from None
    scheme, host = parts.scheme, parts.netloc.rpartition("@")[2]
    if scheme not in ("http", "https", "socks5", "socks5h"):
        raise ValueError(f"its scheme is not supported; {EXPECTED}; fix: use an HTTP proxy")
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError(f"SOCKS needs a package that is not installed; {EXPECTED}; fix: pip install 'httpx[socks]', or use an HTTP proxy")
    if port == 0 or host.endswith(":") or not _HOST.fullmatch(host.removesuffix(f":{port}")):
        raise ValueError(f"its port or host is none; {EXPECTED}; fix: correct it")
    return url


def environment_proxy(base_url: str, environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """The variable that says how a host is reached, and its value; None where it is reached directly.

    Lower case goes before upper case, the scheme's variable before ``ALL_PROXY``; an empty one says nothing. Plain HTTP is
    allowed to this host alone, because it leads over no network: by a proxy the credentials would go over one.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return None
    names = (f"{parts.scheme}_proxy", f"{parts.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    name = next((name for name in names if environment.get(name)), None)
    if name is None or _bypassed(parts.hostname or "", parts.port, environment.get("no_proxy") or environment.get("NO_PROXY") or ""):
        return None
    return name, environment[name]


def _bypassed(host: str, port: int | None, listed: str) -> bool:
    """Whether ``NO_PROXY`` names a host: by its name, its domain, its address, or a network."""
    for entry in (each.strip().lower() for each in listed.split(",")):
        if entry and (entry in ("*", f"{host}:{port}") or f".{host}".endswith(f".{entry.lstrip('.')}")):
            return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, listed.split(",")) if network is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def proxy_of(own: str | None, base_url: str) -> str | None:
    """The proxy's URL for an account, or None. Raises ConfigError naming the key or the variable."""
    found = ("the key proxy", own) if own else environment_proxy(base_url)
    if found is None:
        return None
    name, written = found
    try:
        return proxy_url(written)
    except ValueError as error:
        where = name if own else f"the environment variable {name}"
        raise ConfigError([f"{where} is no proxy that can be used: {error}"]) from None
