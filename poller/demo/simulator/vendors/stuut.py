"""Stuut: a whole thread at once."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import unquote

from ....model import Instant
from ..profiles import PROFILES, STUUT
from ..shelf import Sms
from ..world import NEVER
from .answers import NOT_FOUND, SECRETS, Answer, Call, time_text


def authorized(given: str, now: Instant) -> bool:
    """A bearer token."""
    return given == f"Bearer {SECRETS['stuut-token']}"


def answer(call: Call) -> Answer:
    """``GET /v2/sms-threads/{id}/messages``."""
    match call.method, *call.path:
        case "GET", "v2", "sms-threads", thread, "messages":
            return _thread(call, unquote(thread))
        case _:
            return NOT_FOUND


def _thread(call: Call, thread: str) -> Answer:
    shelf, cap = call.shelf(STUUT, thread), call.switches.cap
    if shelf is None:
        return NOT_FOUND
    listed = shelf.between(0, NEVER, call.now)
    listed = call.in_order(listed[-cap:] if cap else listed)
    return call.listing([call.drawn(sms, _row, call.zone) for sms in listed], "data" if call.switches.envelope else None)


def _row(sms: Sms, now: Instant, zone: str) -> dict[str, Any]:
    ours, classified = PROFILES[STUUT].ours, sms.classified is not None and sms.classified <= now
    time = partial(time_text, zone=zone)
    return {
        "created_at": time(sms.created), "modified_at": time(sms.changed(now)) if sms.changed(now) != sms.created else None,
        "id": sms.id, "body": sms.text_at(now), "direction": "inbound" if sms.inbound else "outbound", "status": sms.status(now),
        "from_number": "tel:" + sms.other if sms.inbound else ours, "to_number": ours if sms.inbound else sms.other,
        "is_automated": False, "sent_at": time(sms.when("sent", now)), "delivered_at": time(sms.when("delivered", now)), "object": "sms_message",
        "classifications": [{"id": f"cls_{sms.id}", "classification": "payment_inquiry", "language": "en", "object": "classification"}] if classified else [],
    }  # fmt: skip
