"""Telnyx: detail records of messages by page numbers, with totals.

Shapes and words as in the vendor's OpenAPI file and its Python client, generated from it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from ....model import SECOND, Instant
from ....times import parse_rfc3339
from ..profiles import PROFILES, TELNYX
from ..shelf import Sms
from ..world import NEVER
from .answers import SECRETS, Answer, Call, json_answer, time_text

SIZE, SIZE_MAX = 20, 50
"""Rows of a page by default, and at most, as documented."""

MILLISECOND = SECOND // 1000
"""A millisecond in microseconds: the resolution of printed times."""

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}


def authorized(given: str, now: Instant) -> bool:
    """A bearer key."""
    return given == f"Bearer {SECRETS['telnyx-key']}"


def answer(call: Call) -> Answer:
    """``GET /v2/detail_records``."""
    if (call.method, *call.path) != ("GET", "v2", "detail_records"):
        return _refused(404, "Resource not found")
    if call.query.get("filter[record_type]") != "messaging":
        return _refused(400, "filter[record_type] must be specified")
    try:
        tests = [_test(name, value) for name, value in call.query.items() if name.startswith("filter[created_at]")]
    except (KeyError, AttributeError):
        return _refused(400, "Invalid filter")
    rows = [sms for sms in call.world.shelves[TELNYX, "messaging"].between(0, NEVER, call.now) if _shown(call, sms)]
    return _page(call, _sorted(call, [sms for sms in rows if all(test(sms.created) for test in tests)]))


def _refused(status: int, detail: str) -> Answer:
    return json_answer({"errors": [{"code": "10005", "title": detail, "detail": detail}]}, status)


def _test(name: str, value: str) -> Callable[[Instant], bool]:
    """``filter[created_at][gte]`` and its like, as a test of a creation."""
    compare, bound = _OPERATORS[name.removeprefix("filter[created_at][").removesuffix("]")], parse_rfc3339(value)
    assert bound is not None
    return lambda created: compare(created, bound.instant)


def _shown(call: Call, sms: Sms) -> bool:
    return call.switches.unfinished == "null" or bool(sms.status(call.at))


def _sorted(call: Call, rows: list[Sms]) -> list[Sms]:
    """By ``sort``, where it is given."""
    match call.query.get("sort"):
        case "-created_at":
            return rows[::-1]
        case "created_at":
            return rows
        case _:
            return call.in_order(rows)


def _page(call: Call, rows: list[Sms]) -> Answer:
    number, size = int(call.query.get("page[number]", 1)), min(int(call.query.get("page[size]", SIZE)), SIZE_MAX, call.switches.limit_max)
    listed = [call.drawn(sms, _row, call.zone, call.switches.shouted) for sms in rows[(number - 1) * size : number * size]]
    meta = {"page_number": number, "page_size": size, "total_pages": -(-len(rows) // size), "total_results": len(rows)}
    return call.listing(listed, "data", meta=meta)


def _row(sms: Sms, now: Instant, zone: str, shouted: bool) -> dict[str, Any]:
    ours, time, status = PROFILES[TELNYX].ours, partial(time_text, unit=MILLISECOND, zone=zone), sms.status(now)
    done = bool(status) and not sms.inbound
    return {
        "record_type": "message_detail_record", "uuid": sms.id, "user_id": "user-demo", "profile_name": "Demo", "message_type": "SMS",
        "direction": "inbound" if sms.inbound else "outbound", "status": (status.upper() if shouted else status) or None,
        "cli": sms.other if sms.inbound else ours, "cld": ours if sms.inbound else sms.other, "parts": 1, "on_net": False,
        "created_at": time(sms.created), "updated_at": time(sms.changed(now)), "sent_at": None if sms.inbound else time(sms.created),
        "completed_at": time(sms.when(status, now)) if done else None, "errors": ["40002"] if status == "gw_reject" else [],
        "cost": "0.0030", "rate": "0.0030", "currency": "USD",
    }  # fmt: skip
