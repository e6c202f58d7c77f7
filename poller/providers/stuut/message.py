"""A Stuut row as a message."""

from __future__ import annotations

from ...model import STATUS_RANK, Message, Observation, Problem
from ...times import Time
from ..contract import Json
from ..kit.rows import row_reader
from ..kit.times import rfc3339
from ..kit.values import distinct, flag, phone, tidy, words

STATUSES = {
    "draft": "draft",
    "pending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "undelivered": "undelivered",
}
"""The vendor's words (field ``status``) as ours."""


ARRIVED = frozenset({"sent", "delivered"})
"""Statuses that mean of an inbound message that it was received: the vendor has no word for that. Others keep their meaning."""

FINAL = frozenset({"delivered", "failed", "undelivered", "received"})
"""Our words after which nothing follows."""


def observation_of(id_: str, value: Json, created: Time) -> Observation:
    """One message; null and absent are the same."""
    raw_direction, raw_status = words(value.get("direction")), words(value.get("status"))
    direction = raw_direction if raw_direction in ("inbound", "outbound") else "unknown"
    status = STATUSES.get(raw_status or "", "unknown")
    if direction == "inbound" and status in ARRIVED:
        status = "received"
    modified = rfc3339(value.get("modified_at"))
    sent, delivered = rfc3339(value.get("sent_at")), rfc3339(value.get("delivered_at"))
    failure = words(value.get("error_message"))
    classifications = tidy(value.get("classifications"))
    body = value.get("body")
    assert status in STATUS_RANK
    oddities = ["time_without_zone"] * (not created.zoned) + ["status_unknown"] * (status == "unknown")
    return Observation(
        message=Message(
            message_id=id_,
            conversation_id=words(value.get("sms_thread_id")),
            channel="sms",
            direction=direction,
            from_=phone(value.get("from_number")),
            to=distinct([phone(value.get("to_number"))]),
            text=body if isinstance(body, str) else None,
            status=status,
            provider_status=raw_status,
            final=status in FINAL,
            created_at=created.text,
            updated_at=modified and modified.text,
            sent_at=sent and sent.text,
            delivered_at=delivered and delivered.text,
            error=(failure and Problem(message=failure)) or None,
            automated=flag(value.get("is_automated")),
            provider_data={"classifications": classifications} if isinstance(classifications, list) and classifications else None,
        ),
        created=created.instant,
        stamp=modified.instant if modified else 0,
        position=created.instant,
        oddities=tuple(oddities),
    )


read_rows = row_reader("id", ("created_at",), rfc3339)
"""The cheap facts of a row: it needs an id and a creation time."""
