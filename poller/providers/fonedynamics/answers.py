"""How answers of Fone Dynamics are read: lists in their several forms, single messages, and what rows say of the question."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct

from ...errors import BadPage, Unreachable
from ...model import BadRow, Instant, Row
from ..kit.rows import decoded, listed, read_once
from ..kit.times import epoch
from .message import STAMPS, read_rows


def path_of(stream_name: str) -> str:
    """Where a property's messages are listed."""
    return f"/v2/Properties/{quote(stream_name, safe='')}/Messages"


def _messages(body: bytes) -> list[bytes]:
    """The list, wrapped or bare. The vendor leaves out what is null, so an object without any member is an empty list; another is none."""
    try:
        return listed(body, ("messages",))[0]
    except BadPage:
        if _members(body) == {}:
            return []
        raise


def _members(body: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return {name.lower(): raw for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}
    except (msgspec.ValidationError, RecursionError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None


def single(body: bytes) -> list[bytes]:
    """One message, wrapped in ``Message`` or bare."""
    members = _members(body)
    if members is None or "responsestatus" in members or not members.keys() & {"message", "messagesid"}:
        raise BadPage("the answer is not a message")
    return [bytes(members["message"])] if "message" in members else [body]


@read_once
def rows_of(body: bytes) -> tuple[Row | BadRow, ...]:
    """The rows of an answer."""
    return tuple(read_rows(_messages(body)))


class Facts(Struct, frozen=True):
    """What the rows of an answer say of the question that it answers."""

    stamps: tuple[tuple[Instant, ...], ...]
    """Every stamp of each good row."""
    properties: frozenset[str]
    """The properties that rows say they are of."""


@read_once
def facts_of(body: bytes) -> Facts:
    """The facts of an answer."""
    stamps, properties = list[tuple[Instant, ...]](), set[str]()
    for row in rows_of(body):
        value = decoded(row.raw) if isinstance(row, Row) else row
        if isinstance(value, BadRow):
            continue
        folded = [(name.lower(), each) for name, each in value.items()]
        found = [epoch(each) for name, each in folded if name in STAMPS]
        stamps.append(tuple(stamp.instant for stamp in found if stamp is not None))
        properties.update(each for name, each in folded if name == "propertysid" and isinstance(each, str) and each)
    return Facts(tuple(stamps), frozenset(properties))
