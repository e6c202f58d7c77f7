"""Requests of a Heymarket walk: a page before a cursor."""

from __future__ import annotations

import math

import msgspec

from ...model import DAY, SECOND, Instant
from ...times import format_rfc3339
from ..contract import Json, Request
from . import page_order as heymarket_page

PATH = "/v1/messages/all"
LIMIT, LIMIT_FALLBACK, LIMIT_MAX = 100, 30, 1000

DATED = "dated"
"""In the memo: the provider answers only where a cursor is given."""


def ask(step: Json, expected: float | None = None) -> Request:
    """The page before the step's cursor, only as long as so many ``expected`` rows are likely to need."""
    length: int = step["limit"]
    if expected is not None:
        length = min(length, max(LIMIT_FALLBACK, heymarket_page.OLDER_ROWS + math.ceil(expected + 2 * math.sqrt(expected))))
    body: Json = {"limit": length}
    if step["cursor"] is not None:
        body["created_at"] = format_rfc3339(max(SECOND, step["cursor"] - step.get("less", 0)))
    return Request("POST", PATH, body=msgspec.json.encode(body), continuation={**step, "length": length})


def tomorrow(step: Json) -> Instant:
    """A cursor that every row is before."""
    return int(step["now"]) + DAY


def bound(step: Json) -> Instant:
    """What the next cursor must be below for the walk to move."""
    return step["cursor"] if step["cursor"] is not None else 1 << 62


def usual(step: Json) -> int:
    """Back to the usual page once a long group is passed."""
    return int(step.get("usual", LIMIT))
