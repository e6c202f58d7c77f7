"""Heymarket: a team's messages before a cursor, one conversation's, and a count."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Any

import jwt

from ....model import SECOND, Instant
from ....times import parse_rfc3339
from ..profiles import HEYMARKET
from ..shelf import UNREADABLE, Shelf, Sms
from ..world import NEVER
from .answers import NOT_FOUND, SECRETS, Answer, Call, json_answer, time_text

JWT_LIVES_S = 300
"""Seconds that a signed token is valid, as documented."""

INBOXES = (101, 102)
"""The ids of the team's inboxes."""

CONVERSATION_ROWS = 50
"""Rows of a page of one conversation at most."""


def authorized(given: str, now: Instant) -> bool:
    """A JWT that was signed within its life."""
    issuer = SECRETS["heymarket-id"]
    key = f"{issuer}||{SECRETS['heymarket-key']}"
    try:
        claims = jwt.decode(given.removeprefix("Bearer "), key, ["HS256"], options={"verify_iat": False})
    except jwt.PyJWTError:
        return False
    return claims.get("iss") == issuer and abs(now / SECOND - claims.get("iat", 0)) < JWT_LIVES_S


def answer(call: Call) -> Answer:
    """Inboxes, one conversation, all messages, and their count."""
    match call.method, *call.path:
        case "GET", "v1", "inboxes":
            return json_answer([{"id": inbox, "name": f"Demo {inbox}", "phones": [f"14155550{inbox}"]} for inbox in INBOXES])
        case "GET", "v1", "messages":
            return _conversation(call)
        case "POST", "v1", "messages", "all":
            return _messages(call, json.loads(call.body or b"{}"))
        case "POST", "v1", "messages", "all", "count":
            return count(call, json.loads(call.body or b"{}"))
        case _:
            return NOT_FOUND


def _team(call: Call) -> Shelf:
    return call.world.shelves[HEYMARKET, "team"]


def _messages(call: Call, asked: dict[str, Any]) -> Answer:
    switches = call.switches
    if switches.cursor_required and "created_at" not in asked:
        return Answer(400, b'{"message":"bad_data"}')
    limit, (since, until) = min(int(asked.get("limit", 30)), switches.limit_max), _range(call, asked)
    if asked.get("order") == "updated_at":
        rows = _team(call).changed(since, until, call.now, limit, call.at)
    else:
        rows = _team(call).newest(since, until, call.now, limit, call.random)
    return call.listing(_rows(call, rows), "messages" if switches.envelope else None)


def _rows(call: Call, found: list[Sms]) -> list[bytes]:
    return [call.drawn(sms, _row, call.switches.unit, call.zone, call.switches.sparse) for sms in found]


def _range(call: Call, asked: dict[str, Any]) -> tuple[Instant, Instant]:
    """By the switch's reading of the cursor."""
    cursor, reading = parse_rfc3339(asked.get("created_at")), call.switches.cursor
    if cursor is None or reading == "ignored":
        return 0, NEVER
    return (cursor.instant, NEVER) if reading == "after" else (0, cursor.instant + (reading == "inclusive"))


def count(call: Call, asked: dict[str, Any]) -> Answer:
    """How many there are, as of some time ago: another part of the most every ten minutes."""
    most, team = round(call.switches.count_lag_s * SECOND), _team(call)
    team.settle(call.now - most)
    lag = random.Random(call.now // (600 * SECOND)).random()
    found = team.count(*_range(call, asked), call.now - round(lag * most))
    return json_answer(str(found) if call.switches.count_as_string else found)


def inbox_of(sms: Sms) -> int:
    """The inbox of a message's conversation."""
    return INBOXES[sms.conversation % len(INBOXES)]


def _conversation(call: Call) -> Answer:
    """The newest messages of one conversation, or the newest before a timestamp, in whatever unit it is read."""
    asked, switches = call.query, call.switches
    if not {"phoneNumber", "inboxID"} <= asked.keys():
        return Answer(400, b'{"message":"bad_data"}')
    unit = SECOND if switches.timestamp == "seconds" else SECOND // 1000
    until = int(asked["timestamp"]) * unit + (switches.cursor == "inclusive") if "timestamp" in asked else NEVER
    rows = _team(call).between(0, NEVER if switches.cursor == "ignored" else until, call.now)
    talk = [sms for sms in rows if sms.other == "+" + asked["phoneNumber"] and str(inbox_of(sms)) == asked["inboxID"]]
    newest = talk[-min(CONVERSATION_ROWS, switches.limit_max) :]
    return call.listing(_rows(call, call.in_order(newest)), "messages" if switches.envelope else None)


def _row(sms: Sms, now: Instant, unit: Instant, zone: str, sparse: bool) -> dict[str, Any]:
    number, time = sms.other.lstrip("+"), partial(time_text, unit=unit, zone=zone)
    row = {
        "id": int(sms.id), "text": sms.text_at(now), "status": sms.status(now), "date": time(sms.printed), "updated": time(sms.changed(now)),
        "media": "", "flagged": False, "user": 0 if sms.inbound else 55,
    }  # fmt: skip
    if sparse:
        row |= {"target": number, "conversation": {}}
    else:
        row |= {"phone": number, "type": "inbound" if sms.inbound else "outbound"}
        row["conversation"] = {"id": sms.conversation, "inbox": inbox_of(sms), "target": number}
    return row | _NO_MESSAGE.get(sms.kind, {})


_NO_MESSAGE: dict[str, dict[str, Any]] = {"comment": {"private": True}, "email": {"channel": "email"}, UNREADABLE: {"date": "yesterday"}}
"""What makes of a Heymarket row something else."""
