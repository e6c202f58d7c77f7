"""The usual Stuut row: members of the documented types, a known status and direction, no error."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...model import Message, Observation, Row
from ..kit.times import rfc3339
from ..kit.usual import usual_rows
from ..kit.values import phone, tidy
from .message import ARRIVED, FINAL, STATUSES


class Usual(Struct, gc=False):
    """What :func:`.message.observation_of` looks at, in the types that are usual."""

    created_at: str
    direction: str
    status: str
    from_number: str
    to_number: str
    modified_at: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    sms_thread_id: str | None = None
    body: str | None = None
    is_automated: bool | None = None
    error_message: None = None
    classifications: list[Any] | None = None


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it."""
    created, status, direction = rfc3339(value.created_at), STATUSES.get(value.status), value.direction
    sender, receiver = phone(value.from_number), phone(value.to_number)
    if created is None or not created.zoned or status is None or direction not in ("inbound", "outbound") or receiver is None:
        return None
    if direction == "inbound" and status in ARRIVED:
        status = "received"
    modified, sent, delivered = rfc3339(value.modified_at), rfc3339(value.sent_at), rfc3339(value.delivered_at)
    message = Message(
        message_id=row.id,
        conversation_id=value.sms_thread_id or None,
        channel="sms",
        direction=direction,
        from_=sender,
        to=[receiver],
        text=value.body,
        status=status,
        provider_status=value.status,
        final=status in FINAL,
        created_at=created.text,
        updated_at=modified and modified.text,
        sent_at=sent and sent.text,
        delivered_at=delivered and delivered.text,
        automated=value.is_automated,
        provider_data={"classifications": tidy(value.classifications)} if value.classifications else None,
    )
    return Observation(message=message, created=created.instant, stamp=modified.instant if modified else 0, position=created.instant)


usual = usual_rows(Usual, _observed)
