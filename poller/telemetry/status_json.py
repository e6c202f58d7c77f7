"""The status as JSON, and back: what ``/api/v1/status`` says is what ``poller status`` reads."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import Unreachable
from ..times import format_rfc3339, parse_rfc3339
from .snapshot import StreamPage, WorkerSnapshot
from .verdict import Verdict, verdict

INSTANTS = frozenset(
    {
        "started",
        "now",
        "since",
        "until",
        "found",
        "left",
        "watermark",
        "floor",
        "last_success",
        "last_error",
        "last_complete",
        "edge",
        "owned_since",
    }
)
"""The fields that are instants: RFC 3339 text in JSON."""


def encode(picture: WorkerSnapshot) -> bytes:
    """A worker's status with its verdict, instants as RFC 3339 text."""
    return msgspec.json.encode({"verdict": plain(verdict(picture)), **plain(picture)})


def encode_page(page: StreamPage) -> bytes:
    """Some of an account's streams; ``next`` is the offset of those that follow, null after the last."""
    following = page.offset + len(page.streams)
    return msgspec.json.encode({**plain(page), "next": following if following < page.total else None})


def decode(body: bytes) -> WorkerSnapshot:
    """The picture in a status. Raises Unreachable where the bytes are none."""
    try:
        return msgspec.convert(_instants(msgspec.json.decode(body)), WorkerSnapshot)
    except msgspec.MsgspecError:
        raise Unreachable("the answer is not the status of a poller of this release") from None


def plain(value: WorkerSnapshot | StreamPage | Verdict) -> Any:
    """A picture of JSON's types, its instants as text."""
    return _texts(msgspec.to_builtins(value))


def _texts(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _texts(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_texts(each) for each in value]
    return format_rfc3339(value) if name in INSTANTS and isinstance(value, int) else value


def _instants(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _instants(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_instants(each) for each in value]
    time = parse_rfc3339(value) if name in INSTANTS else None
    return value if time is None else time.instant
