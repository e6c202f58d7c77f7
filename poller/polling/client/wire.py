"""What carries a request to the vendor, and the head of the answer that it brings back."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from ... import __version__
from ...errors import BadPage
from .addresses import WireRequest

HEADERS_BYTES_MAX = 64 << 10
"""Bytes of all headers of an answer; servers refuse more than 8 to 64 KiB of requests, too."""


HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": f"poller/{__version__}"}
"""What every request has."""


class Head(Struct, frozen=True):
    """An answer of which the body is still to be read."""

    status: int
    headers: dict[str, str]
    """Names in lower case; what was sent several times is joined with commas (RFC 9110 section 5.3)."""
    body: AsyncIterable[bytes]


class Transport(Protocol):
    """Connections to a vendor, by one library."""

    def answered(self, asked: WireRequest) -> AbstractAsyncContextManager[Head]:
        """The answer, for as long as its body is read; what is not read to its end closes its connection.

        It may last for ever: the caller sets the time limit. Raises ConnectionLost where a kept connection ended before the answer began, BadPage for headers over
        the limit, and whatever else its library raises.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def head_of(status: int, raw: Sequence[tuple[bytes, bytes]], body: AsyncIterable[bytes]) -> Head:
    """The head, with its headers as text: UTF-8 where all of them are, else Latin-1. Raises BadPage for headers over the limit."""
    if sum([len(name) + len(value) for name, value in raw]) > HEADERS_BYTES_MAX:
        raise BadPage("the answer's headers are too large", code=status)
    try:
        return Head(status, _joined(raw, "utf-8"), body)
    except UnicodeDecodeError:
        return Head(status, _joined(raw, "latin-1"), body)


def _joined(raw: Sequence[tuple[bytes, bytes]], encoding: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        known, text = name.decode(encoding).lower(), value.decode(encoding)
        found[known] = f"{found[known]}, {text}" if known in found else text
    return found
