"""The usual Heymarket row: one counterparty, known words, no error, no label."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...model import Message, Observation, Row
from ..kit.times import rfc3339
from ..kit.usual import international, usual_rows
from .message import FINAL, STATUSES


class Talk(Struct, gc=False):
    """The conversation of a usual row."""

    id: int = 0
    inbox: int = 0
    channel: None = None


class Usual(Struct, gc=False):
    """What :func:`.message._message` looks at, in the types that are usual."""

    date: str
    type: str
    status: str
    phone: str
    text: str | None = None
    updated: str | None = None
    user: int = 0
    author: str = ""
    broadcast_id: int = 0
    flagged: bool = False
    hidden: bool = False
    local_id: str = ""
    link_url: str = ""
    media: str = ""
    private: bool = False
    conversation: Talk | None = None
    conversation_id: None = None
    direction: None = None
    channel: None = None
    target: None = None
    targets: None = None
    raw_error: None = None
    target_errors: None = None
    label: None = None
    custom: None = None


NOBODY = Talk()
"""Stands for the conversation of a row that has none."""

KEPT = frozenset({"failed", "undelivered"})
"""Statuses of an inbound message that say more than that it was received."""


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it."""
    created, status, inbound = rfc3339(value.date), STATUSES.get(value.status), value.type == "inbound"
    other = international(value.phone) if value.phone else None
    if (
        created is None
        or not created.zoned
        or status is None
        or other is None
        or value.private
        or not (inbound or value.type == "outbound")
    ):
        return None
    if inbound and status not in KEPT:
        status = "received"
    updated = created if value.updated == value.date else rfc3339(value.updated)
    talk = value.conversation or NOBODY
    message = Message(
        message_id=row.id,
        conversation_id=str(talk.id) if talk.id else None,
        channel="mms" if value.media else "sms",
        direction=value.type,
        from_=other if inbound else None,
        to=None if inbound else [other],
        text=value.text,
        media=[{"url": value.media}] if value.media else None,
        status=status,
        provider_status=value.status,
        final=status in FINAL,
        created_at=created.text,
        updated_at=updated and updated.text,
        provider_data=_rest(value, talk),
    )
    return Observation(message=message, created=created.instant, stamp=updated.instant if updated else 0, position=created.instant)


def _rest(value: Usual, talk: Talk) -> dict[str, Any]:
    """What has no field of its own, in the order of the tolerant reader; zero values are absent."""
    rest: dict[str, Any] = {}
    if value.user:
        rest["user"] = str(value.user)
    if value.author:
        rest["author"] = value.author
    if value.broadcast_id:
        rest["broadcast_id"] = str(value.broadcast_id)
    if value.flagged:
        rest["flagged"] = True
    if value.hidden:
        rest["hidden"] = True
    if value.local_id:
        rest["local_id"] = value.local_id
    if value.link_url:
        rest["link_url"] = value.link_url
    rest["type"] = value.type
    if talk.inbox:
        rest["inbox"] = str(talk.inbox)
    return rest


usual = usual_rows(Usual, _observed)
