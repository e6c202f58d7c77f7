"""message."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...model import STATUS_RANK, BadRow, Instant, Message, Observation, Problem, Row
from ...times import parse_rfc3339
from ..kit.values import distinct, flag, identity, phone, tidy, words

STATUSES = {
    "draft": "draft",
    "pending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "undelivered": "undelivered",
}


FINAL = frozenset({"delivered", "failed", "undelivered", "received"})


def _observation(id_: str, value: dict[str, Any], created: Instant, created_text: str, *, zoned: bool) -> Observation:
    raw_direction, raw_status = words(value.get("direction")), words(value.get("status"))
    direction = raw_direction if raw_direction in ("inbound", "outbound") else "unknown"
    status = "received" if direction == "inbound" else STATUSES.get(raw_status or "", "unknown")
    modified = parse_rfc3339(value.get("modified_at"))
    sent, delivered = parse_rfc3339(value.get("sent_at")), parse_rfc3339(value.get("delivered_at"))
    failure = words(value.get("error_message"))
    classifications = tidy(value.get("classifications"))
    body = value.get("body")
    assert status in STATUS_RANK
    oddities = ["time_without_zone"] * (not zoned) + ["status_unknown"] * (status == "unknown")
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
            created_at=created_text,
            updated_at=modified and modified.text,
            sent_at=sent and sent.text,
            delivered_at=delivered and delivered.text,
            error=(failure and Problem(message=failure)) or None,
            automated=flag(value.get("is_automated")),
            provider_data={"classifications": classifications} if isinstance(classifications, list) and classifications else None,
        ),
        created=created,
        stamp=modified.instant if modified else 0,
        position=created,
        oddities=tuple(oddities),
    )


class _Brief(Struct):
    id: Any = None
    created_at: Any = None


_brief = msgspec.json.Decoder(_Brief)


def row_of(raw: bytes) -> Row | BadRow:
    """The cheap facts of a row: it needs an id and a creation time."""
    try:
        brief = _brief.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return BadRow("not_an_object", "", raw)
    id_ = identity(brief.id)
    if id_ is None:
        return BadRow("missing" if brief.id in (None, "") else "wrong_type", "id", raw)
    created = parse_rfc3339(brief.created_at)
    if created is None:
        return BadRow("missing" if brief.created_at is None else "bad_time", "created_at", raw, id_)
    return Row(id_, created.instant, raw)
