"""A Twilio row as a message: RFC 2822 dates, numbers as texts, addresses of several channels."""

from __future__ import annotations

from typing import Any

import msgspec

from ...model import DAY, BadRow, Instant, Message, Observation, Problem, Row
from ...times import Time
from ..contract import Json
from ..kit.rows import NOT_JSON, RowsReadOnce, row_from
from ..kit.times import rfc2822, rfc3339
from ..kit.values import distinct, phone, words

STATUSES = {
    "accepted": "queued", "scheduled": "scheduled", "queued": "queued", "sending": "queued", "sent": "sent",
    "delivered": "delivered", "partially_delivered": "delivered", "read": "read", "undelivered": "undelivered",
    "failed": "failed", "canceled": "canceled", "receiving": "queued", "received": "received",
}  # fmt: skip
"""The vendor's words (``message_enum_status``) as ours. Part of a message that was delivered is not lost."""

FINAL = frozenset({"delivered", "read", "undelivered", "failed", "canceled", "received"})
"""The vendor's words after which nothing follows, as far as is known."""

SCHEDULED_AHEAD: Instant = 35 * DAY
"""The vendor sends at most this long after a message was created; a row does not say when."""

CHANNELS = {"whatsapp": "whatsapp", "rcs": "rcs"}
"""Channel addresses are ``whatsapp:+1...`` and ``rcs:agent``; a bare number is SMS, or MMS where it carries files."""


class Brief(msgspec.Struct):
    """The cheap facts of a row, whatever they hold."""

    sid: Any = None
    date_created: Any = None
    date_sent: Any = None


_brief = msgspec.json.Decoder(Brief)


def time(value: object) -> Time | None:
    """RFC 2822, whose zone ``-0000`` means UTC; RFC 3339 is read too."""
    return rfc2822(value) or rfc3339(value)


def row_of(raw: bytes) -> tuple[Row | BadRow, Instant | None]:
    """A row, and when it was sent: None where it says nothing of it."""
    try:
        found = _brief.decode(raw)
    except NOT_JSON:
        return BadRow("not_an_object", "", raw), None
    sent = time(found.date_sent)
    return row_from(raw, found.sid, [found.date_created], ("sid", "date_created"), time), sent and sent.instant


read_rows = RowsReadOnce(row_of)


def observation_of(id_: str, value: Json, created: Time) -> Observation:
    """One message of the documented shape; null and absent are the same."""
    sent, updated = time(value.get("date_sent")), time(value.get("date_updated"))
    word = words(value.get("status"))
    status = STATUSES.get((word or "").lower(), "unknown")
    said = (words(value.get("direction")) or "").lower()
    inbound = said == "inbound" or (not said and status == "received")
    files = count(value.get("num_media"))
    (channel, sender), (other, receiver) = _address(value.get("from")), _address(value.get("to"))
    position = max(created.instant, sent.instant if sent else 0, created.instant + (SCHEDULED_AHEAD if status == "scheduled" else 0))
    return Observation(
        message=Message(
            message_id=id_,
            channel=channel or other or ("mms" if files and id_.startswith("MM") else "sms"),
            direction="inbound" if inbound else "outbound" if said.startswith("outbound") else "unknown",
            from_=sender,
            to=distinct([receiver]),
            text=words(value.get("body")),
            media=[{"url": _media(value), "count": files}] if files and _media(value) else None,
            status=status,
            provider_status=word,
            final=(word or "").lower() in FINAL,
            created_at=created.text,
            updated_at=updated and updated.text,
            sent_at=None if inbound or sent is None else sent.text,
            received_at=sent.text if inbound and sent is not None else None,
            error=_problem(value),
            segments=count(value.get("num_segments")) or None,
            provider_data=_rest(value),
        ),
        created=created.instant,
        stamp=updated.instant if updated else 0,
        position=position,
        oddities=("status_unknown",) * (status == "unknown"),
    )


def _address(value: object) -> tuple[str | None, str | None]:
    """The channel that an address names, if it names one, and the number or name in it."""
    given = words(value)
    scheme, colon, rest = (given or "").partition(":")
    if not colon or scheme == "tel" or not scheme.isalpha():
        return None, phone(given)
    return CHANNELS.get(scheme.lower(), "unknown"), phone(rest)


def count(value: object) -> int:
    """A number, printed as a text."""
    text = words(value) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _media(value: Json) -> str | None:
    """Where the list of its files is; the vendor keeps no address of a file in the row."""
    found = value.get("subresource_uris")
    return words(found.get("media")) if isinstance(found, dict) else None


def _problem(value: Json) -> Problem | None:
    code, text = words(value.get("error_code")), words(value.get("error_message"))
    return Problem(code=code if code != "0" else None, message=text) if text or code not in (None, "0") else None


def _rest(value: Json) -> Json | None:
    """What has no field of its own. The price is known only later: it is published with the next event."""
    amount, unit, service = words(value.get("price")), words(value.get("price_unit")), words(value.get("messaging_service_sid"))
    found: Json = {"messaging_service_sid": service} if service else {}
    if amount:
        found["price"] = {"amount": amount, "currency": unit} if unit else {"amount": amount}
    return found or None
