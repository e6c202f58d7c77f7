"""A Heymarket row as a message, in any of its three documented shapes."""

from __future__ import annotations

from typing import Any

from ...model import Message, Problem
from ..kit.rows import row_reader
from ..kit.times import rfc3339
from ..kit.values import distinct, flag, optional_id, phone, tidy, words

STATUSES = {
    "pending": "queued", "queued": "queued", "accepted": "queued", "sending": "queued", "receiving": "queued",
    "scheduled": "scheduled", "draft": "draft", "sent": "sent", "delivered": "delivered", "seen": "read", "read": "read",
    "failed": "failed", "undelivered": "undelivered", "received": "received",
}  # fmt: skip
"""The vendor's words (field ``status``) as ours."""


FINAL = frozenset({"delivered", "read", "failed", "undelivered", "received"})
"""Our words after which nothing follows."""


COMMENTS = frozenset({"comment", "private", "private_comment", "internal", "note"})
"""Types and channels, in lower case, of what colleagues write to each other: no message, never published."""


CHANNELS = frozenset({"sms", "mms", "email"})
"""Channels that keep their name; any other word is none."""


def _message(id_: str, value: dict[str, Any], created: str, updated: str | None) -> tuple[Message, tuple[str, ...]]:
    talk = value.get("conversation")
    talk = talk if isinstance(talk, dict) else {}
    raw_status, direction = words(value.get("status")), _direction(value)
    status = STATUSES.get(raw_status or "", "unknown")
    if direction == "inbound" and status not in ("unknown", "failed", "undelivered"):
        status = "received"
    media, other = _media(value.get("media")), _counterparties(value, talk)
    text = value.get("text")
    message = Message(
        message_id=id_,
        conversation_id=_conversation(value, talk),
        channel=_channel(value, talk, has_media=media is not None),
        direction=direction,
        from_=other[0] if other and direction == "inbound" else None,
        to=other if direction != "inbound" else None,
        text=text if isinstance(text, str) else None,
        media=media,
        status=status,
        provider_status=raw_status,
        final=status in FINAL,
        created_at=created,
        updated_at=updated,
        error=_error(value),
        provider_data=_rest(value, talk),
    )
    return message, ("status_unknown",) * (status == "unknown") + ("direction_unknown",) * (direction == "unknown")


def _conversation(value: dict[str, Any], talk: dict[str, Any]) -> str | None:
    """The conversation's id: of the object, as a bare value, or in a member of its own."""
    said = value.get("conversation")
    return optional_id(talk.get("id")) or optional_id(None if isinstance(said, dict) else said) or optional_id(value.get("conversation_id"))


def _user(value: dict[str, Any]) -> str | None:
    """The user who sent it: an id, or an object that has one."""
    said = value.get("user")
    return optional_id(said.get("id")) if isinstance(said, dict) else optional_id(said)


def _direction(value: dict[str, Any]) -> str:
    """In the order of trust: the field, the type, a received status, a sending user; else unknown."""
    for name in ("direction", "type"):
        said = words(value.get(name)) or ""
        for direction in ("inbound", "outbound"):
            if said == direction or said.startswith(direction + "-"):
                return direction
    if value.get("status") == "received":
        return "inbound"
    return "outbound" if _user(value) else "unknown"


def _channel(value: dict[str, Any], talk: dict[str, Any], *, has_media: bool) -> str:
    for said in (words(value.get("channel")), words(talk.get("channel"))):
        if said is not None:
            return said.lower() if said.lower() in CHANNELS else "unknown"
    if (words(value.get("type")) or "").startswith("email"):
        return "email"
    return "mms" if has_media else "sms"


def _counterparties(value: dict[str, Any], talk: dict[str, Any]) -> list[str] | None:
    """``phone``, ``target``, ``targets``, the conversation's target; several targets are a group."""
    targets = value.get("targets")
    group: list[Any] = list(targets) if isinstance(targets, list | dict) else []
    if isinstance(value.get("target"), list):
        group = value["target"]
    numbers = distinct([phone(each, bare_is_international=True) for each in group if isinstance(each, str | int)])
    if numbers is not None and len(numbers) > 1:
        return numbers
    for said in (value.get("phone"), value.get("target"), *(numbers or ()), talk.get("target")):
        single = phone(said, bare_is_international=True)
        if single is not None:
            return [single]
    return None


def _media(value: Any) -> list[dict[str, Any]] | None:
    each = value if isinstance(value, list) else [value]
    found: list[dict[str, Any]] = []
    for one in each:
        url = words(one.get("url")) if isinstance(one, dict) else words(one)
        if url:
            found.append({"url": url})
    return found or None


def _error(value: dict[str, Any]) -> Problem | None:
    """``raw_error`` is a code; ``target_errors`` maps numbers to words: only the words are kept."""
    code, targets = words(value.get("raw_error")), value.get("target_errors")
    said = [text for each in targets.values() if (text := words(each))] if isinstance(targets, dict) else []
    message = "; ".join(dict.fromkeys(said)) or None
    return Problem(code=code, message=message) if code or message else None


def _rest(value: dict[str, Any], talk: dict[str, Any]) -> dict[str, Any] | None:
    """What is documented and has no field of its own; zero values are absent."""
    rest: dict[str, Any] = {
        "user": _user(value),
        "author": words(value.get("author")),
        "broadcast_id": optional_id(value.get("broadcast_id")),
        "flagged": flag(value.get("flagged")) or None,
        "hidden": flag(value.get("hidden")) or None,
        "local_id": words(value.get("local_id")),
        "label": tidy(value.get("label")) or None,
        "link_url": words(value.get("link_url")),
        "custom": tidy(value.get("custom")) or None,
        "type": words(value.get("type")),
        "inbox": optional_id(talk.get("inbox")),
    }
    return {name: each for name, each in rest.items() if each is not None} or None


read_rows = row_reader("id", ("date", "created_at"), rfc3339, no_id=(None, "", 0, "0"))
"""The cheap facts of rows: each needs an id and a date."""
