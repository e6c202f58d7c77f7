"""Connections to a vendor: made at the first request, and anew where the file of authorities changed.

What an operator wrote is checked here by the functions that ``poller check`` uses, so what it calls good can be used.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import anyio
import httpx

from ...config.certificates import Stamp, stamp_of, tls_context
from ...config.proxies import proxy_of
from ...errors import ClientUnusable, ConfigError
from .over_aiohttp import CONNECTIONS_MAX, KEEPALIVE_S, OverAiohttp
from .over_httpx import OverHttpx
from .wire import Transport

CLOSE_S = 2.0
"""Seconds that closing an account's connections may take."""


class Connections:
    """The connections of one account."""

    def __init__(self, base_url: str, *, proxy: str | None, ca_file: Path | None, transport: Transport | None = None) -> None:
        self._base_url, self._proxy, self._ca_file = base_url, proxy, ca_file
        self._made, self._stamp = transport, _stamp(ca_file)
        self._retired: list[Transport] = []

    def current(self) -> Transport:
        """The transport to send by. Raises ClientUnusable where the configuration gives none: it is tried again with the next request."""
        stamp = _stamp(self._ca_file)
        if self._made is not None and stamp != self._stamp:
            self._retired.append(self._made)  # requests in flight end on the connections where they began
            self._made = None
        if self._made is None:
            self._made, self._stamp = self._make(), stamp
        return self._made

    def _make(self) -> Transport:
        try:
            return _transport(proxy_of(self._proxy, self._base_url), tls_context(self._ca_file), special=self._ca_file is not None)
        except ConfigError as error:
            raise ClientUnusable(str(error)) from None
        except Exception as error:  # what a library refuses that our checks let pass is the account's trouble, not the process's
            raise ClientUnusable(f"no connection can be made with this configuration ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Close them, in bounded time, whatever closing raises."""
        with anyio.move_on_after(CLOSE_S, shield=True):
            for each in (*self._retired, *([self._made] if self._made is not None else [])):
                with contextlib.suppress(Exception):  # what cannot be closed is gone; a shard must not end for it
                    await each.aclose()


def _stamp(ca_file: Path | None) -> Stamp | None:
    try:
        return None if ca_file is None else stamp_of(ca_file)
    except (OSError, ValueError):
        return None


def _transport(proxy: str | None, verify: ssl.SSLContext, *, special: bool) -> Transport:
    """aiohttp where nothing special is asked for; else httpx."""
    if proxy or special:
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=KEEPALIVE_S)
        return OverHttpx(httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=limits))
    return OverAiohttp(verify)
