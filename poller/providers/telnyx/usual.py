"""The usual Telnyx record: members of the documented types, a known status and direction, no error."""

from __future__ import annotations

from msgspec import Struct

from ...model import Message, Observation, Row
from ..contract import Json
from ..kit.times import rfc3339
from ..kit.usual import usual_rows
from ..kit.values import number, phone
from .message import CHANNELS, NOT_FINAL, STATUSES


class Usual(Struct, gc=False):
    """What :func:`.message.observation_of` looks at, in the types that are usual."""

    created_at: str
    status: str
    direction: str
    message_type: str
    cli: str
    cld: str
    updated_at: str | None = None
    sent_at: str | None = None
    completed_at: str | None = None
    errors: tuple[()] | None = None
    parts: int | None = None
    profile_id: str | None = None
    profile_name: str | None = None
    carrier: str | None = None
    cost: str | None = None
    currency: str | None = None


def _observed(row: Row, value: Usual) -> Observation | None:
    """As the tolerant reader sees it."""
    created, word = rfc3339(value.created_at), value.status.lower()
    status, channel, receiver = STATUSES.get(word), CHANNELS.get(value.message_type.lower()), phone(value.cld)
    outbound = value.direction == "outbound"
    if created is None or status is None or channel is None or receiver is None or not (outbound or value.direction == "inbound"):
        return None
    times = (created, rfc3339(value.sent_at), rfc3339(value.completed_at), rfc3339(value.updated_at))
    _, sent, completed, updated = times
    message = Message(
        message_id=row.id,
        channel=channel,
        direction=value.direction,
        from_=phone(value.cli),
        to=[receiver],
        status=status,
        provider_status=value.status,
        final=word not in NOT_FINAL,
        created_at=created.text,
        updated_at=updated and updated.text,
        sent_at=sent.text if sent and outbound else None,
        delivered_at=completed.text if completed and outbound and status == "delivered" else None,
        segments=number(value.parts) or None,
        provider_data=_rest(value),
    )
    stamp = max(each.instant for each in times if each is not None)
    return Observation(message=message, created=created.instant, stamp=stamp, position=created.instant)


def _rest(value: Usual) -> Json | None:
    """What has no field of its own, in the order of the tolerant reader."""
    rest: Json = {}
    if value.profile_id:
        rest["profile_id"] = value.profile_id
    if value.profile_name:
        rest["profile_name"] = value.profile_name
    if value.carrier:
        rest["carrier"] = value.carrier
    if value.cost:
        rest["price"] = {"amount": value.cost, "currency": value.currency} if value.currency else {"amount": value.cost}
    return rest or None


usual = usual_rows(Usual, _observed)
