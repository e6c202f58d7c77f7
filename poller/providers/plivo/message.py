"""A Plivo row as a message. Rows have no text; numbers have no plus sign, and times have the account's zone."""

from __future__ import annotations

from ...model import Message, Observation, Problem
from ...times import Time
from ..contract import Json
from ..kit.rows import row_reader
from ..kit.times import rfc3339
from ..kit.values import distinct, identity, number, phone, words

STATUSES = {
    "queued": "queued", "sent": "sent", "failed": "failed", "delivered": "delivered", "undelivered": "undelivered",
    "rejected": "failed", "read": "read", "received": "received",
}  # fmt: skip
"""The vendor's words (field ``message_state``), in any case, as ours."""

FINAL = frozenset({"delivered", "read", "failed", "undelivered", "received"})
"""The vendor's words after which nothing follows."""

CHANNELS = {"sms": "sms", "mms": "mms", "whatsapp": "whatsapp", "rcs": "rcs"}
"""The vendor's words (field ``message_type``) as ours."""

NO_ERROR = (None, "0", "000")
"""Codes that say that there is no error."""


read_rows = row_reader("message_uuid", ("message_time",), rfc3339)


def observation_of(id_: str, value: Json, created: Time) -> Observation:
    """One message; null and absent are the same."""
    sent, updated = rfc3339(value.get("message_sent_time")), rfc3339(value.get("message_updated_time"))
    word, direction = words(value.get("message_state")), (words(value.get("message_direction")) or "").lower()
    inbound = direction == "inbound"
    status = "received" if inbound else STATUSES.get((word or "").lower(), "unknown")
    code, text = words(value.get("error_code")), words(value.get("error_message"))
    return Observation(
        message=Message(
            message_id=id_,
            conversation_id=identity(value.get("conversation_id") or None),
            channel=CHANNELS.get((words(value.get("message_type")) or "").lower(), "unknown"),
            direction=direction if direction in ("inbound", "outbound") else "unknown",
            from_=phone(value.get("from_number"), bare_is_international=True),
            to=distinct([phone(value.get("to_number"), bare_is_international=True)]),
            status=status,
            provider_status=word,
            final=status in FINAL,
            created_at=created.text,
            updated_at=updated and updated.text,
            sent_at=sent.text if sent and not inbound else None,
            error=None if code in NO_ERROR and not text else Problem(code=None if code in NO_ERROR else code, message=text),
            segments=number(value.get("units")) or None,
            provider_data=_rest(value),
        ),
        created=created.instant,
        stamp=max(each.instant for each in (created, sent, updated) if each is not None),
        position=created.instant,
        oddities=("status_unknown",) * (status == "unknown"),
    )


def _rest(value: Json) -> Json | None:
    """What has no field of its own. The price is known only later: it is published with the next event."""
    powerpack, amount = words(value.get("powerpack_id")), words(value.get("total_amount"))
    rest: Json = {"powerpack_id": powerpack} if powerpack else {}
    if amount:
        rest["price"] = {"amount": amount}
    return rest or None
