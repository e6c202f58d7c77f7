"""A Pigeonpost row as a message."""

from poller.model import BadRow, Message, Observation, Row
from poller.providers.contract import Skipped
from poller.providers.kit.rows import decoded, row_reader
from poller.providers.kit.times import rfc3339
from poller.providers.kit.values import distinct, phone, words

STATUSES = {"waiting": "queued", "flown": "sent", "landed": "delivered", "lost": "failed", "arrived": "received"}
FINAL = frozenset({"delivered", "failed", "received"})

read_rows = row_reader("id", ("created",), rfc3339)


def read_row(row: Row) -> Observation | BadRow | Skipped:
    """One message; one that was deleted is told of no more: what was published stays as it was."""
    value = decoded(row.raw)
    if isinstance(value, BadRow):
        return value
    if value.get("deleted") is not None:
        return Skipped("deleted")
    created, changed = rfc3339(value.get("created")), rfc3339(value.get("changed"))
    if created is None:
        return BadRow("bad_time", "created", row.raw, row.id)
    raw_status, text = words(value.get("state")), value.get("text")
    status = STATUSES.get(raw_status or "", "unknown")
    message = Message(
        message_id=row.id,
        channel="sms",
        direction="inbound" if status == "received" else "outbound",
        from_=phone(value.get("from")),
        to=distinct([phone(value.get("to"))]),
        text=text if isinstance(text, str) else None,
        status=status,
        provider_status=raw_status,
        final=status in FINAL,
        created_at=created.text,
        updated_at=changed and changed.text,
    )
    stamp = changed.instant if changed else 0
    return Observation(message=message, created=created.instant, stamp=stamp, position=created.instant)
