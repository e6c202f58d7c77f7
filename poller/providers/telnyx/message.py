"""A Telnyx message detail record as a message. Records have no text, and a status only once they have ended."""

from __future__ import annotations

from ...model import Message, Observation, Problem
from ...times import Time
from ..contract import Json
from ..kit.rows import row_reader
from ..kit.times import rfc3339
from ..kit.values import distinct, number, phone, words

STATUSES = {
    "delivered": "delivered", "received": "received", "dlr_unconfirmed": "sent", "dlr_timeout": "sent",
    "gw_timeout": "failed", "gw_reject": "failed", "failed": "failed",
    "queued": "queued", "sending": "queued", "sent": "sent", "expired": "failed", "sending_failed": "failed",
    "delivery_failed": "undelivered", "delivery_unconfirmed": "sent",
}  # fmt: skip
"""The seven words of records, in any case, and those of the vendor's single messages. A carrier that confirms nothing leaves it at sent."""

NOT_FINAL = frozenset({"queued", "sending", "sent"})
"""All other words are the last ones, as far as the vendor knows."""

CHANNELS = {"sms": "sms", "mms": "mms", "rcs": "rcs"}
"""The vendor's words (field ``message_type``), in any case, as ours."""


read_rows = row_reader("uuid", ("created_at",), rfc3339, older_id_name="id")


def observation_of(id_: str, value: Json, created: Time) -> Observation:
    """One record; null and absent are the same."""
    times = {name: rfc3339(value.get(name)) for name in ("sent_at", "completed_at", "updated_at")}
    sent, completed, updated = times["sent_at"], times["completed_at"], times["updated_at"]
    word, direction = words(value.get("status")), (words(value.get("direction")) or "").lower()
    outbound = direction == "outbound"
    status = STATUSES.get(word.lower(), "unknown") if word else "sent" if sent else "queued"
    errors = value.get("errors")
    code = words(errors[0]) if isinstance(errors, list) and errors else None
    return Observation(
        message=Message(
            message_id=id_,
            channel=CHANNELS.get((words(value.get("message_type")) or "").lower(), "unknown"),
            direction=direction if direction in ("inbound", "outbound") else "unknown",
            from_=phone(value.get("cli")),
            to=distinct([phone(value.get("cld"))]),
            status=status,
            provider_status=word,
            final=word is not None and status != "unknown" and word.lower() not in NOT_FINAL,
            created_at=created.text,
            updated_at=updated and updated.text,
            sent_at=sent.text if sent and outbound else None,
            delivered_at=completed.text if completed and outbound and status == "delivered" else None,
            error=Problem(code=code) if code else None,
            segments=number(value.get("parts")) or None,
            provider_data=_rest(value),
        ),
        created=created.instant,
        stamp=max(each.instant for each in (created, sent, completed, updated) if each is not None),
        position=created.instant,
        oddities=("status_unknown",) * (status == "unknown"),
    )


def _rest(value: Json) -> Json | None:
    """What has no field of its own. The price is known only later: it is published with the next event."""
    found = {name: words(value.get(name)) for name in ("profile_id", "profile_name", "carrier")}
    rest: Json = {name: text for name, text in found.items() if text}
    amount, unit = words(value.get("cost")), words(value.get("currency"))
    if amount:
        rest["price"] = {"amount": amount, "currency": unit} if unit else {"amount": amount}
    return rest or None
