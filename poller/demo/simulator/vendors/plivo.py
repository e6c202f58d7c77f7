"""Plivo: an account's messages in pages of twenty, by offsets or by cursors, and one message by its id.

Shapes and words as in the vendor's Python client and the example answers of its tests; the client says
that a next link carries an offset or an opaque cursor.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode, urlsplit

from ....model import DAY, SECOND, Instant
from ..profiles import PLIVO, PROFILES
from ..shelf import Sms
from ..world import NEVER
from .answers import SECRETS, Answer, Call, basic, json_answer

LIMIT = 20
"""Rows of a page, by default and at most, as documented."""

RETENTION: Instant = 90 * DAY
"""How long messages are listed, as documented."""

ZONE = timezone(timedelta(hours=5, minutes=30))
"""In which times are printed; filters are UTC."""
ERROR = ("110", "Message unroutable")
"""Code and words of what failed."""

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}


def authorized(given: str, now: Instant) -> bool:
    """HTTP Basic with the account's id and token."""
    return given == basic("plivo-id", "plivo-token")


def answer(call: Call) -> Answer:
    """``/v1/Account/{id}/Message/`` and ``.../Message/{uuid}/``."""
    match call.method, *call.path:
        case "GET", "v1", "Account", account, "Message", "" if account == SECRETS["plivo-id"]:
            return _messages(call)
        case "GET", "v1", "Account", account, "Message", uuid, "" if account == SECRETS["plivo-id"]:
            return _one(call, uuid)
        case _:
            return json_answer({"api_id": "demo", "error": "not found"}, 404)


def _messages(call: Call) -> Answer:
    limit = min(int(call.query.get("limit", LIMIT)), LIMIT, call.switches.limit_max)
    tests = [_test(name, value) for name, value in call.query.items() if name.startswith("message_time")]
    if not tests:
        tests = [lambda created: created >= call.at - DAY]
    rows = call.world.shelves[PLIVO, "messages"].between(call.at - RETENTION, NEVER, call.now)
    rows = [sms for sms in rows if all(test(sms.created) for test in tests)][::-1]
    cursor, offset = call.query.get("cursor"), int(call.query.get("offset", 0))
    if cursor is not None:
        if call.random.random() < call.switches.forgotten:
            return json_answer({"api_id": "demo", "error": "invalid cursor"}, 400)
        offset = next((place for place, sms in enumerate(rows) if _cursor(sms) > cursor), len(rows))
    return _page(call, rows, offset, limit)


def _page(call: Call, rows: list[Sms], offset: int, limit: int) -> Answer:
    listed, path = rows[offset : offset + limit], urlsplit(call.target).path
    if call.random.random() < call.switches.foreign_links:
        path = call.random.choice((f"https://elsewhere.example{path}", f"/elsewhere{path}"))
    asked = {name: value for name, value in call.query.items() if name not in ("cursor", "offset")} | {"limit": str(limit)}
    place = {"cursor": _cursor(listed[-1])} if call.switches.links == "cursor" and listed else {"offset": str(offset + limit)}
    more = f"{path}?{urlencode(asked | place)}" if len(rows) > offset + limit else None
    meta = {"limit": limit, "next": more, "offset": offset, "previous": None, "total_count": len(rows)}
    return call.listing([call.drawn(sms, _row) for sms in listed], "objects", api_id="demo", meta=meta)


def _one(call: Call, uuid: str) -> Answer:
    found = call.world.shelves[PLIVO, "messages"].get(uuid, call.now)
    if found is None:
        return json_answer({"api_id": "demo", "error": "not found"}, 404)
    return Answer(200, call.drawn(found, _row))


def _cursor(sms: Sms) -> str:
    """The order of the list, as text: newest first, then by id downward, as the shelf read backward."""
    number = int(sms.id.replace("-", ""), 16)
    return f"{NEVER - sms.created:020d}{(1 << 128) - number:040d}"


def _test(name: str, value: str) -> Callable[[Instant], bool]:
    """``message_time__gte`` and its like, as a test of a creation."""
    bound = (datetime.fromisoformat(value).replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    compare = _OPERATORS.get(name.removeprefix("message_time__"), operator.eq)
    return lambda created: compare(created, bound)


def _time(instant: Instant | None) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant / SECOND, ZONE).isoformat(" ")


def _row(sms: Sms, now: Instant) -> dict[str, Any]:
    ours, other, status = (PROFILES[PLIVO].ours or "").lstrip("+"), sms.other.lstrip("+"), sms.status(now)
    code, words = ERROR if status in ("rejected", "undelivered") else (None, "")
    return {
        "api_id": "demo", "message_uuid": sms.id, "resource_uri": f"/v1/Account/{SECRETS['plivo-id']}/Message/{sms.id}/",
        "from_number": other if sms.inbound else ours, "to_number": ours if sms.inbound else other, "message_type": "sms", "units": 1,
        "message_direction": "inbound" if sms.inbound else "outbound", "message_state": status, "message_time": _time(sms.created),
        "message_sent_time": _time(sms.when("sent", now)), "message_updated_time": _time(sms.changed(now)),
        "error_code": "000" if status == "delivered" else code, "error_message": words, "total_amount": "0.00250", "total_rate": "0.00250",
    }  # fmt: skip
