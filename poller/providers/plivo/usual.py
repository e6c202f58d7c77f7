"""The usual Plivo row: members of the documented types, a known status, direction and channel, no error."""

from __future__ import annotations

from msgspec import Struct

from ...model import Message, Observation, Row
from ..contract import Json
from ..kit.times import rfc3339
from ..kit.usual import international, usual_rows
from ..kit.values import identity, number
from .message import CHANNELS, FINAL, NO_ERROR, STATUSES


class Usual(Struct, gc=False):
    """What :func:`.message.observation_of` looks at, in the types that are usual."""

    message_time: str
    message_state: str
    message_direction: str
    message_type: str
    from_number: str
    to_number: str
    message_sent_time: str | None = None
    message_updated_time: str | None = None
    conversation_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    units: int | None = None
    powerpack_id: str | None = None
    total_amount: str | None = None


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it."""
    created, inbound = rfc3339(value.message_time), value.message_direction == "inbound"
    status = "received" if inbound else STATUSES.get(value.message_state.lower())
    channel, receiver = CHANNELS.get(value.message_type.lower()), international(value.to_number)
    unusual = value.error_message or value.error_code not in NO_ERROR or not (inbound or value.message_direction == "outbound")
    if created is None or status is None or channel is None or receiver is None or unusual:
        return None
    times = (created, rfc3339(value.message_sent_time), rfc3339(value.message_updated_time))
    _, sent, updated = times
    message = Message(
        message_id=row.id,
        conversation_id=identity(value.conversation_id),
        channel=channel,
        direction=value.message_direction,
        from_=international(value.from_number),
        to=[receiver],
        status=status,
        provider_status=value.message_state or None,
        final=status in FINAL,
        created_at=created.text,
        updated_at=updated and updated.text,
        sent_at=sent.text if sent and not inbound else None,
        segments=number(value.units) or None,
        provider_data=_rest(value),
    )
    stamp = max(each.instant for each in times if each is not None)
    return Observation(message=message, created=created.instant, stamp=stamp, position=created.instant)


def _rest(value: Usual) -> Json | None:
    """What has no field of its own, in the order of the tolerant reader."""
    rest: Json = {"powerpack_id": value.powerpack_id} if value.powerpack_id else {}
    if value.total_amount:
        rest["price"] = {"amount": value.total_amount}
    return rest or None


usual = usual_rows(Usual, _observed)
