"""A Fone Dynamics row as a message."""

from __future__ import annotations

from ...model import BadRow, Instant, Message, Observation, Problem, Row
from ..contract import Json
from ..kit.rows import RowsReadOnce, decoded, row_from
from ..kit.times import epoch
from ..kit.values import distinct, number, phone, words

STATUSES = {"processing": "queued", "submitted": "sent", "delivered": "delivered", "failed": "failed", "received": "received"}
"""The vendor's words (find SMS, field ``Status``), in any case, as ours."""


DIRECTIONS = {"transmit": "outbound", "receive": "inbound"}
"""The vendor's words (field ``Direction``), in any case, as ours."""

STAMPS = ("created", "scheduled", "submitted", "delivered", "received")
"""Fields that hold a time of the message, in lower case."""


def is_final(status: str, wants_receipt: object) -> bool:
    """Nothing follows what was sent where no receipt was asked for."""
    return status in ("delivered", "failed", "received") or (status == "sent" and wants_receipt is False)


def _observation(id_: str, value: Json, created: Instant, created_text: str) -> Observation:
    stamps = {name: epoch(value.get(name)) for name in STAMPS}
    scheduled, received = stamps["scheduled"], stamps["received"]
    raw_status = words(value.get("status"))
    status = STATUSES.get((raw_status or "").lower(), "unknown")
    said = (words(value.get("direction")) or "").lower()
    direction = DIRECTIONS.get(said, "inbound" if status == "received" else "unknown")
    code, text = words(value.get("errorcode")), value.get("text")
    wants_receipt = value.get("deliveryreceipt")
    changes = [stamp.instant for name, stamp in stamps.items() if stamp is not None and name != "scheduled"]
    positions = [stamp.instant for stamp in (stamps["created"], scheduled, received) if stamp is not None]
    return Observation(
        message=Message(
            message_id=id_,
            channel="sms",
            direction=direction,
            from_=phone(value.get("from")),
            to=distinct([phone(value.get("to"))]),
            text=text if isinstance(text, str) else None,
            status=status,
            provider_status=raw_status,
            final=is_final(status, wants_receipt),
            created_at=created_text,
            sent_at=stamps["submitted"] and stamps["submitted"].text,
            delivered_at=stamps["delivered"] and stamps["delivered"].text,
            received_at=received and received.text,
            scheduled_at=scheduled and scheduled.text,
            error=Problem(code=code) if code else None,
            segments=number(value.get("numsegments")) or None,
            provider_data={"delivery_receipt": wants_receipt} if isinstance(wants_receipt, bool) else None,
        ),
        created=created,
        stamp=max(changes),
        position=max(positions),
        oddities=("status_unknown",) * (status == "unknown"),
    )


def row_of(raw: bytes) -> Row | BadRow:
    """The cheap facts of a row: it needs a MessageSid and a Created time; names are taken in any case."""
    value = decoded(raw)
    if isinstance(value, BadRow):
        return value
    facts = {name.lower(): each for name, each in value.items() if name.lower() in ("messagesid", "created")}
    return row_from(raw, facts.get("messagesid"), [facts.get("created")], ("MessageSid", "Created"), epoch)


read_rows = RowsReadOnce(row_of)
"""The cheap facts of rows, see :func:`row_of`."""
