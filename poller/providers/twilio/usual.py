"""The usual Twilio row: members of the documented types, a known status and direction, numbers without a channel, no error."""

from __future__ import annotations

from msgspec import Struct

from ...model import Message, Observation, Row
from ..contract import Json
from ..kit.usual import usual_rows
from ..kit.values import phone
from .message import FINAL, SCHEDULED_AHEAD, STATUSES, count, time


class Usual(Struct, gc=False, rename={"from_": "from"}):
    """What :func:`.message.observation_of` looks at, in the types that are usual."""

    date_created: str
    status: str
    direction: str
    from_: str
    to: str
    date_sent: str | None = None
    date_updated: str | None = None
    body: str | None = None
    num_media: str | None = None
    num_segments: str | None = None
    price: str | None = None
    price_unit: str | None = None
    messaging_service_sid: str | None = None
    error_code: None = None
    error_message: None = None


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it. A row with files is an unusual one."""
    created, status, inbound = time(value.date_created), STATUSES.get(value.status), value.direction == "inbound"
    receiver = None if ":" in value.to or ":" in value.from_ else phone(value.to)
    known = inbound or value.direction.startswith("outbound")
    if created is None or status is None or receiver is None or not known or count(value.num_media):
        return None
    sent = None if value.date_sent is None else time(value.date_sent)
    updated = created if value.date_updated == value.date_created else time(value.date_updated)
    message = Message(
        message_id=row.id,
        channel="sms",
        direction="inbound" if inbound else "outbound",
        from_=phone(value.from_),
        to=[receiver],
        text=value.body or None,
        status=status,
        provider_status=value.status,
        final=value.status in FINAL,
        created_at=created.text,
        updated_at=updated and updated.text,
        sent_at=None if inbound or sent is None else sent.text,
        received_at=sent.text if inbound and sent is not None else None,
        segments=count(value.num_segments) or None,
        provider_data=_rest(value),
    )
    ahead = created.instant + (SCHEDULED_AHEAD if status == "scheduled" else 0)
    return Observation(
        message=message,
        created=created.instant,
        stamp=updated.instant if updated else 0,
        position=max(ahead, sent.instant if sent else 0),
    )


def _rest(value: Usual) -> Json | None:
    """What has no field of its own, in the order of the tolerant reader."""
    rest: Json = {"messaging_service_sid": value.messaging_service_sid} if value.messaging_service_sid else {}
    if value.price:
        rest["price"] = {"amount": value.price, "currency": value.price_unit} if value.price_unit else {"amount": value.price}
    return rest or None


usual = usual_rows(Usual, _observed)
