"""A vendor without sockets: the port of transports over a function, for histories on virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from poller.demo.simulator.vendors.answers import Answer
from poller.polling.client.addresses import WireRequest
from poller.polling.client.wire import HEADERS, Head


class Sent(NamedTuple):
    """A request as the vendor gets it."""

    method: str
    target: str
    """Path and query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def path(self) -> str:
        """Its path."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """Its query, decoded."""
        return dict(parse_qsl(urlsplit(self.target).query))


def said(status: int, value: Any = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps({} if value is None else value).encode())


class Straight:
    """See :class:`poller.polling.client.wire.Transport`. What the function raises is what a transport may raise."""

    def __init__(self, answer: Callable[[Sent], Awaitable[Answer]]) -> None:
        self._answer = answer

    @asynccontextmanager
    async def answered(self, asked: WireRequest) -> AsyncIterator[Head]:
        """The function's answer, in one piece."""
        target = "/" + asked.url.split("/", 3)[3]
        found = await self._answer(Sent(asked.method, target, HEADERS | asked.headers, asked.body or b""))
        yield Head(found.status, {**found.headers, "content-type": found.kind}, _once(found.body))

    async def aclose(self) -> None:
        """Nothing is open."""


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
