"""The usual Fone Dynamics row: members as the documents print them and no other, stamps as numbers, a known status and direction, no error."""

from __future__ import annotations

from msgspec import Struct

from ...model import Message, Observation, Row
from ..kit.times import epoch
from ..kit.usual import usual_rows
from ..kit.values import number, phone
from .message import DIRECTIONS, STATUSES, is_final


class Usual(Struct, gc=False, rename="pascal", forbid_unknown_fields=True):
    """The documented members; one of another name may be one of these in another case, which the tolerant reader knows."""

    created: int
    status: str
    direction: str
    from_: str
    to: str
    message_sid: str
    text: str | None = None
    scheduled: int | None = None
    submitted: int | None = None
    delivered: int | None = None
    received: int | None = None
    num_segments: int | None = None
    delivery_receipt: bool | None = None
    error_code: None = None
    property_sid: str | None = None
    account_sid: str | None = None


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it."""
    created, status, direction = epoch(value.created), STATUSES.get(value.status.lower()), DIRECTIONS.get(value.direction.lower())
    sender, receiver = phone(value.from_), phone(value.to)
    if created is None or status is None or direction is None or receiver is None:
        return None
    scheduled, submitted = epoch(value.scheduled), epoch(value.submitted)
    delivered, received = epoch(value.delivered), epoch(value.received)
    message = Message(
        message_id=row.id,
        channel="sms",
        direction=direction,
        from_=sender,
        to=[receiver],
        text=value.text,
        status=status,
        provider_status=value.status,
        final=is_final(status, value.delivery_receipt),
        created_at=created.text,
        sent_at=submitted and submitted.text,
        delivered_at=delivered and delivered.text,
        received_at=received and received.text,
        scheduled_at=scheduled and scheduled.text,
        segments=number(value.num_segments) or None,
        provider_data=None if value.delivery_receipt is None else {"delivery_receipt": value.delivery_receipt},
    )
    return Observation(
        message=message,
        created=created.instant,
        stamp=max(each.instant for each in (created, submitted, delivered, received) if each is not None),
        position=max(each.instant for each in (created, scheduled, received) if each is not None),
    )


usual = usual_rows(Usual, _observed)
