"""Heymarket: ``POST /v1/messages/all``, walked from newest to oldest by a timestamp cursor.

Sources: developers.heymarket.com, "Messages", "Authentication", "Rate limits". The cursor is
exclusive by the docs; equal timestamps, cut-off precision, silent caps, old-dated imports and
the other readings of the cursor are what :mod:`.heymarket_walk` is about. This file holds the
requests and the shape of a message.
"""

from __future__ import annotations

from typing import Any

import jwt
import msgspec
from msgspec import Struct

from ..model import DAY, MINUTE, SECOND, BadRow, Instant, Message, Observation, Problem, Row, Stream
from . import Authorization, Chore, Json, Page, Request, Response, Skipped, View, Window, heymarket_audit, heymarket_walk
from .common import (
    accept,
    clean,
    count_of,
    decoded,
    distinct,
    flag,
    http_date,
    identity,
    optional_id,
    phone,
    read_once,
    rfc3339,
    text_of,
    tidy,
    words,
)

STATUSES = {
    "pending": "queued", "queued": "queued", "accepted": "queued", "sending": "queued", "receiving": "queued",
    "scheduled": "scheduled", "draft": "draft", "sent": "sent", "delivered": "delivered", "seen": "read", "read": "read",
    "failed": "failed", "undelivered": "undelivered", "received": "received",
}  # fmt: skip
FINAL = frozenset({"delivered", "read", "failed", "undelivered", "received"})
COMMENTS = frozenset({"comment", "private", "private_comment", "internal", "note"})
CHANNELS = frozenset({"sms", "mms", "email"})
REFUSED = frozenset({400, 403, 404, 405, 410, 422, 501})
"""Said of one conversation, or of counts, it says nothing of the team."""

CHANGES_MIN = 25
"""The shortest page of newest changes; it grows with what happens."""

JWT_LIVES: Instant = 4 * 60 * SECOND
"""Made anew before the documented five minutes are over."""


class Heymarket(Struct, frozen=True):
    """The adapter; see :class:`poller.providers.Adapter`."""

    name: str = "heymarket"
    base_url: str | None = "https://api.heymarket.com"
    rate_limit: tuple[int, float] = (400, 60.0)
    credential_sets: tuple[tuple[str, ...], ...] = (("secret_id", "secret_key"), ("api_key",))
    filtered: bool = True
    ahead: Instant = 0

    def authorize(self, secrets: dict[str, str], now: Instant) -> Authorization:
        """A JWT (HS256, issuer = secret id, key = ``id||key``), or the team's API key. ``iat`` is never ahead of ``now``."""
        if "api_key" in secrets:
            return Authorization({"authorization": f"Bearer {secrets['api_key']}"})
        token = sign(secrets["secret_id"], secrets["secret_key"], now // SECOND)
        return Authorization({"authorization": f"Bearer {token}"}, expires=now + JWT_LIVES)

    def probe(self, stream: Stream, now: Instant) -> Request:
        """The inboxes of the team."""
        return Request("GET", "/v1/inboxes")

    def first_page(self, stream: Stream, window: Window, memo: Json) -> Request:
        """The newest messages, or the newest before the window's end."""
        return heymarket_walk.begin(window, memo)

    def read_page(self, request: Request, response: Response) -> Page:
        """One answer of a walk, a look at the newest changes, or the audit."""
        kind = request.step.get("kind")
        if kind == "audit":
            return heymarket_audit.read(self, request, response)
        if kind == "walk":
            again = heymarket_walk.refused(request, response)
            if again is not None:
                return Page([], again)
        if response.status in REFUSED and kind in ("talk", "count"):
            return heymarket_walk.read(request, []) if kind == "talk" else heymarket_walk.uncounted(request)
        body = accept(response)
        if kind == "count":
            return heymarket_walk.counted(request, count_of(body))
        rows = list(_rows(body))
        if kind == "changes":
            memo = None if request.step["same"] else request.step["memo"]
            return Page(rows, memo=memo, oddities=("changes_not_in_order",) * (not _by_update(body)))
        return heymarket_walk.read(request, rows, http_date(response.headers.get("date")))

    @property
    def chores(self) -> tuple[Chore, ...]:
        """The newest changes at every interval; and the audit, which also notices what turns up late."""
        return (Chore("changes", share=0.1), Chore("audit", share=0.05, period=MINUTE))

    def begin(self, chore: str, stream: Stream, view: View) -> Request | None:
        """``changes``: one page by ``updated_at``, before no date, or tomorrow's, so that it is the same in both readings of the cursor."""
        if chore == "audit":
            return heymarket_audit.begin(view)
        limit = before = int(view.memo.get("limit", CHANGES_MIN))
        if view.events * 2 > limit:
            limit = min(limit * 2, int(view.learned.get("limit", heymarket_walk.LIMIT)))
        elif view.events * 8 < limit:
            limit = max(limit // 2, CHANGES_MIN)
        body: Json = {"order": "updated_at", "limit": limit}
        if heymarket_walk.DATED in view.learned:
            body["created_at"] = text_of(view.now + DAY)
        step = {"kind": "changes", "memo": {"limit": limit}, "same": limit == before}
        return Request("POST", heymarket_walk.PATH, body=msgspec.json.encode(body), step=step)

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """One message in any of its three documented shapes."""
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            return value
        created = rfc3339(value.get("date")) or rfc3339(value.get("created_at"))
        if created is None:
            return BadRow("bad_time", "date", row.raw, row.id)
        if value.get("private") is True or any((words(value.get(name)) or "").lower() in COMMENTS for name in ("type", "channel")):
            return Skipped("internal_comment")
        updated = rfc3339(value.get("updated"))
        message, oddities = _message(row.id, value, created.text, updated and updated.text)
        return Observation(
            message=message,
            created=created.instant,
            stamp=updated.instant if updated else 0,
            position=created.instant,
            oddities=oddities + ("time_without_zone",) * (not created.zoned),
        )


@read_once
def _rows(body: bytes) -> tuple[Row | BadRow, ...]:
    """The rows of a page of any kind."""
    return tuple(row_of(raw) for raw in heymarket_walk.rows_of(body))


@read_once
def _by_update(body: bytes) -> bool:
    """Whether a page is sorted by update, newest first; where it is not, it is no hint of what changed."""
    briefs = [_brief.decode(row.raw) for row in _rows(body) if isinstance(row, Row)]
    stamps = [stamp.instant for brief in briefs if (stamp := rfc3339(brief.updated)) is not None]
    return all(later <= sooner for sooner, later in zip(stamps, stamps[1:], strict=False))


def sign(secret_id: str, secret_key: str, issued: int) -> str:
    """The JWT of developers.heymarket.com, "Authentication": ``{"iss", "iat"}`` under ``<id>||<key>``."""
    return jwt.encode(
        {"iss": secret_id, "iat": issued}, f"{secret_id}||{secret_key}".encode(), algorithm="HS256", headers={"alg": "HS256", "typ": "JWT"}
    )


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
        conversation_id=optional_id(talk.get("id")),
        channel=_channel(value, talk, has_media=media is not None),
        direction=direction,
        from_=other[0] if other and direction == "inbound" else None,
        to=other if direction != "inbound" else None,
        text=clean(text) if isinstance(text, str) else None,
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


def _direction(value: dict[str, Any]) -> str:
    """In the order of trust: the field, the type, a received status, a sending user; else unknown."""
    for name in ("direction", "type"):
        said = words(value.get(name)) or ""
        for direction in ("inbound", "outbound"):
            if said == direction or said.startswith(direction + "-"):
                return direction
    if value.get("status") == "received":
        return "inbound"
    return "outbound" if optional_id(value.get("user")) else "unknown"


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
        "user": optional_id(value.get("user")),
        "author": words(value.get("author")),
        "broadcast_id": optional_id(value.get("broadcast_id")),
        "flagged": flag(value.get("flagged")) or None,
        "hidden": flag(value.get("hidden")) or None,
        "local_id": words(value.get("local_id")),
        "link_url": words(value.get("link_url")),
        "custom": tidy(value.get("custom")) or None,
        "type": words(value.get("type")),
        "inbox": optional_id(talk.get("inbox")),
    }
    return {name: each for name, each in rest.items() if each is not None} or None


class _Brief(Struct):
    id: Any = None
    date: Any = None
    created_at: Any = None
    updated: Any = None


_brief = msgspec.json.Decoder(_Brief)


def row_of(raw: bytes) -> Row | BadRow:
    """The cheap facts of a row: it needs an id and a date."""
    try:
        brief = _brief.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return BadRow("not_an_object", "", raw)
    id_ = identity(brief.id)
    if id_ is None or id_ == "0":
        return BadRow("missing" if brief.id in (None, "", 0, "0") else "wrong_type", "id", raw)
    date = rfc3339(brief.date) or rfc3339(brief.created_at)
    if date is None:
        return BadRow("missing" if brief.date is None else "bad_time", "date", raw, id_)
    return Row(id_, date.instant, raw)
