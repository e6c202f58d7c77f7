"""A Telnyx message detail record as a message. Records have no text, and a status only once they have ended."""

from __future__ import annotations

import msgspec

from ...model import BadRow, Message, Observation, Problem, Row
from ...times import Time, parse_rfc3339
from ..contract import Json
from ..kit.rows import RowsReadOnce, decoded
from ..kit.values import distinct, identity, number, phone, words

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


class Brief(msgspec.Struct):
    """The cheap facts of a record."""

    uuid: str
    created_at: str


_brief = msgspec.json.Decoder(Brief)


def row_of(raw: bytes) -> Row | BadRow:
    """A record needs a uuid (older ones: an id) and a time of creation."""
    try:
        found = _brief.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _slowly(raw)
    created = parse_rfc3339(found.created_at)
    return Row(found.uuid, created.instant, raw) if created is not None and identity(found.uuid) else _slowly(raw)


read_rows = RowsReadOnce(row_of)


def _slowly(raw: bytes) -> Row | BadRow:
    value = decoded(raw)
    if isinstance(value, BadRow):
        return value
    id_ = identity(value.get("uuid")) or identity(value.get("id"))
    if id_ is None:
        return BadRow("missing" if value.get("uuid") in (None, "") else "wrong_type", "uuid", raw)
    created = parse_rfc3339(value.get("created_at"))
    if created is None:
        return BadRow("missing" if value.get("created_at") is None else "bad_time", "created_at", raw, id_)
    return Row(id_, created.instant, raw)


def observation_of(id_: str, value: Json, created: Time) -> Observation:
    """One record; null and absent are the same."""
    times = {name: parse_rfc3339(value.get(name)) for name in ("sent_at", "completed_at", "updated_at")}
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
