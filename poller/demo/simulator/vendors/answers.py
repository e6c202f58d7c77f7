"""What every simulated vendor answers with: one request, its place in the world, and the ways to say the same."""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ....model import Instant
from ....times import format_rfc3339
from ..shelf import Shelf, Sms
from ..switches import Switches
from ..world import World

HANG, RESET = 0, 1
"""In place of a status: no answer at all, and a connection that breaks."""

SECRETS = {
    "stuut-token": "demo-stuut-token",
    "heymarket-id": "demo-id",
    "heymarket-key": "demo-key-that-is-long-enough-for-hs256",
    "fone-sid": "AC-demo",
    "fone-token": "demo-fone-token",
    "twilio-sid": f"AC{1:032x}",
    "twilio-token": "demo-twilio-token",
    "telnyx-key": "KEY-demo-telnyx",
    "plivo-id": "MADEMODEMODEMODEMO12",
    "plivo-token": "demo-plivo-token",
}
"""The credentials that the simulated vendors accept, by the file that a configuration names; invented."""


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: dict[str, str] = {}
    rows: int = 0
    """How many rows it lists."""


FAULTS = {
    "limited": Answer(429, b'{"detail":"slow down"}'),
    "limited_told": Answer(429, b'{"detail":"slow down"}', headers={"retry-after": "1"}),
    "errors": Answer(500, b"oops", "text/plain"),
    "hangs": Answer(HANG, b""),
    "resets": Answer(RESET, b""),
    "cut": Answer(200, b'[{"id":"cut'),
    "web_pages": Answer(200, b"<html>maintenance</html>", "text/html"),
}
"""One for each of the switches ``FAULTS``."""

NOT_FOUND = Answer(404, b'{"detail":"Not found"}')
"""The answer to a path that no simulated vendor has."""


@dataclass(frozen=True)
class Call:
    """One request to a vendor, and the world as it is when the request arrives."""

    world: World
    random: random.Random
    now: Instant
    """Our time."""
    at: Instant
    """The vendor's clock; behind it where a stale replica answers."""
    restyled: bool
    """Whether rows say the same in another way."""
    method: str
    target: str
    """Path and query as they came, with the vendor's prefix."""
    path: tuple[str, ...]
    """The segments after the prefix."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def switches(self) -> Switches:
        """How the vendor misbehaves."""
        return self.world.switches

    @property
    def zone(self) -> str:
        """What ends a time."""
        return "" if self.switches.zoneless else "Z"

    def shelf(self, provider: str, stream: str) -> Shelf | None:
        """A stream's messages; None where there is no such stream."""
        return self.world.shelves.get((provider, stream))

    def drawn(self, sms: Sms, draw: Callable[..., dict[str, Any]], *given: Any) -> bytes:
        """The row as JSON, made anew only where something of it changed."""
        at = self.at
        known = (sms.classified is not None and sms.classified <= at, sms.priced is not None and sms.priced <= at)
        state = sms.step(at), known, sms.text_at(at), self.restyled
        if sms.drawn[0] != state:
            row = draw(sms, at, *given)
            sms.drawn = state, json.dumps(restyled(row) if self.restyled else row).encode()
        return sms.drawn[1]

    def in_order(self, rows: list[Sms]) -> list[Sms]:
        """By the switch's reading of what no page documents; given oldest first."""
        match self.switches.order:
            case "shuffled":
                return self.random.sample(rows, len(rows))
            case "random":
                return sorted(rows, key=lambda sms: zlib.crc32(sms.id.encode()))
            case "descending":
                return rows[::-1]
            case _:
                return rows

    def listing(self, rows: list[bytes], name: str | None = None, /, **around: object) -> Answer:
        """The rows as they are, bare, or wrapped under a name with what is beside them."""
        body = b"[" + b",".join(rows) + b"]" if rows or not self.switches.nulls else b"null"
        if name is not None:
            beside = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in around.items())
            body = b'{"%s": %s%s}' % (name.encode(), body, beside.encode())
        return Answer(200, body, rows=len(rows))


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic for two of :data:`SECRETS`."""
    return "Basic " + base64.b64encode(f"{SECRETS[user]}:{SECRETS[password]}".encode()).decode()


def json_answer(value: object, status: int = 200) -> Answer:
    """A value as JSON."""
    return Answer(status, json.dumps(value).encode())


def time_text(instant: Instant | None, unit: Instant = 1, zone: str = "Z") -> str | None:
    """RFC 3339, cut off to a unit."""
    return None if instant is None else format_rfc3339(instant // unit * unit).removesuffix("Z") + zone


def restyled(row: dict[str, Any]) -> dict[str, Any]:
    """The same in another way: without what is null, zero or empty, the id as text if it was a number, and with a field that nobody knows."""
    kept = {name: value for name, value in row.items() if value is False or value not in (None, "", 0, [], {})}
    return {**kept, "beta": {"of": "tomorrow"}, **({"id": str(row["id"])} if "id" in row else {})}
