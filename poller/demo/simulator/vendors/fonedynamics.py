"""Fone Dynamics: a property's messages by slices of time, and one message by its id."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ....model import SECOND, Instant
from ..profiles import FONE, PROFILES, PROPERTIES
from ..shelf import RECEIVED_MAX, Sms
from .answers import NOT_FOUND, Answer, Call, basic


def authorized(given: str, now: Instant) -> bool:
    """HTTP Basic."""
    return given == basic("fone-sid", "fone-token")


def answer(call: Call) -> Answer:
    """A list, with its parameters in the query or in the body; one message."""
    match call.method, *call.path:
        case "GET", "v2", "Properties", sid, "Messages":
            return _messages(call, sid, {**call.query, **(json.loads(call.body) if call.body else {})})
        case "GET", "v2", "Messages", sid:
            return _one(call, sid)
        case _:
            return NOT_FOUND


def _messages(call: Call, sid: str, asked: dict[str, Any]) -> Answer:
    shelf, by, now = call.shelf(FONE, sid), call.switches.filter, call.now
    if shelf is None:
        return Answer(400, b'{"ResponseStatus":{"ErrorCode":"InvalidProperty","Message":"unknown property"}}')
    since, until = int(asked["Date_From"]) * SECOND, int(asked["Date_To"]) * SECOND
    if by == "received":
        rows = [sms for sms in shelf.between(since - RECEIVED_MAX, until + RECEIVED_MAX, now) if since <= sms.received < until]
    else:
        rows = (shelf.scheduled if by == "scheduled" else shelf.between)(since, until, now)
    if "Direction" in asked:
        rows = [sms for sms in rows if sms.inbound == (asked["Direction"] == "Receive")]
    rows = call.in_order(rows)
    skip, count = int(asked.get("Results_Skip", 0)), min(int(asked.get("Results_Count", 200)), call.switches.limit_max)
    listed = [call.drawn(sms, _row, by == "received", call.switches.texts) for sms in rows[skip : skip + count]]
    return call.listing(listed, None if call.switches.envelope else "Messages")


def _one(call: Call, sid: str) -> Answer:
    for name in PROPERTIES:
        found = call.world.shelves[FONE, name].get(sid, call.now)
        if found is not None:
            row = call.drawn(found, _row, call.switches.filter == "received", call.switches.texts)
            return Answer(200, row if call.switches.envelope else b'{"Message":%s}' % row)
    return Answer(404, b'{"ResponseStatus":{"ErrorCode":"NotFound"}}')


def _row(sms: Sms, now: Instant, received: bool, texts: bool) -> dict[str, Any]:
    stamp: Callable[[int], Any] = str if texts else int
    ours = PROFILES[FONE].ours
    row: dict[str, Any] = {
        "MessageSid": sms.id, "From": sms.other if sms.inbound else ours, "To": ours if sms.inbound else sms.other,
        "Text": sms.text_at(now), "DeliveryReceipt": sms.receipt, "NumSegments": 0 if sms.inbound else 1, "Status": sms.status(now),
        "Direction": "Receive" if sms.inbound else "Transmit", "Scheduled": stamp(sms.scheduled // SECOND), "Created": stamp(sms.created // SECOND),
    }  # fmt: skip
    if received and sms.inbound:
        row["Received"] = stamp(sms.received // SECOND)
    for name in ("Submitted", "Delivered"):
        at = sms.when(name, now)
        if at is not None:
            row[name] = stamp(at // SECOND)
    return row
