"""answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ....model import Instant
from ....times import format_rfc3339

HANG, RESET = 0, 1
"""In place of a status: no answer at all, and a connection that breaks."""


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: dict[str, str] = {}


_FAULTS = {
    "limited": Answer(429, b'{"detail":"slow down"}'),
    "limited_told": Answer(429, b'{"detail":"slow down"}', headers={"retry-after": "1"}),
    "errors": Answer(500, b"oops", "text/plain"),
    "hangs": Answer(HANG, b""),
    "resets": Answer(RESET, b""),
    "cut": Answer(200, b'[{"id":"cut'),
    "web_pages": Answer(200, b"<html>maintenance</html>", "text/html"),
}
"""One for each of the switches ``FAULTS``."""


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode())


def _time(instant: Instant | None, unit: Instant = 1, zone: str = "Z") -> str | None:
    return None if instant is None else format_rfc3339(instant // unit * unit).removesuffix("Z") + zone


def _restyled(row: dict[str, Any]) -> dict[str, Any]:
    """The same in another way: without what is null, zero or empty, the id as text if it was a number, and with a field that nobody knows."""
    kept = {name: value for name, value in row.items() if value is False or value not in (None, "", 0, [], {})}
    return {**kept, "beta": {"of": "tomorrow"}, **({"id": str(row["id"])} if "id" in row else {})}
