"""The three vendors' APIs over the simulated world, as their documents describe them: request in, answer out, no I/O."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt

from ..model import SECOND, Instant
from ..providers.common import rfc3339, text_of
from .world import FONE, HEYMARKET, NEVER, PROPERTIES, STUUT, THREADS, Sms, World

TOKEN, SECRET_ID, SECRET_KEY, ACCOUNT_SID, FONE_TOKEN = (
    "demo-stuut-token",
    "demo-id",
    "demo-key-that-is-long-enough-for-hs256",
    "AC-demo",
    "demo-fone-token",
)  # invented
JWT_LIVES_S = 300
HANG, RESET = 0, 1
"""In place of a status: no answer at all, and a connection that breaks."""

_UNITS = {"seconds": SECOND, "milliseconds": SECOND // 1000, "microseconds": 1}


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: dict[str, str] = {}


class Providers:
    """Routes ``/stuut/...``, ``/heymarket/...`` and ``/fonedynamics/...`` (path prefixes of the three base URLs)."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world = world
        self._random = random.Random(seed)
        self.requests: dict[str, int] = {}
        """By provider."""
        self.rows: dict[str, int] = {}
        """How many were listed, by provider."""

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: Instant) -> Answer:
        """One request at our time ``now``."""
        world = self.world
        world.advance(now)
        self._at = world.clock(now)
        if self._random.random() < world.switches.regress:
            self._at -= round(world.switches.regress_s * SECOND)
        parts = urlsplit(target)
        _, provider, *path = parts.path.split("/")
        self.requests[provider] = self.requests.get(provider, 0) + 1
        query = dict(parse_qsl(parts.query))
        date = datetime.fromtimestamp(world.clock(now) / SECOND, UTC)
        found = self._fault() or self._route(provider, method, path, query, headers, body, now)
        return found._replace(headers={**found.headers, "date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    def _fault(self) -> Answer | None:
        if self._random.random() >= self.world.switches.faults:
            return None
        return self._random.choice(
            (
                Answer(429, b'{"detail":"slow down"}', headers={"retry-after": "1"}),
                Answer(429, b'{"detail":"slow down"}'),
                Answer(HANG, b""),
                Answer(RESET, b""),
                Answer(500, b"oops", "text/plain"),
                Answer(200, b'[{"id":"cut'),
                Answer(200, b"<html>maintenance</html>", "text/html"),
            )
        )

    def _route(
        self, provider: str, method: str, path: list[str], query: dict[str, str], headers: Mapping[str, str], body: bytes, now: Instant
    ) -> Answer:
        if not _authorized(provider, headers.get("authorization", ""), self.world.clock(now)):
            return Answer(401, b'{"detail":"Not authenticated"}')
        match provider, method, *path:
            case "stuut", "GET", "v2", "sms-threads", thread, "messages":
                return self._stuut(unquote(thread), now)
            case "heymarket", "GET", "v1", "inboxes":
                return _json([{"id": 101, "name": "Demo", "phones": ["14155550100"]}])
            case "heymarket", "GET", "v1", "messages":
                return self._conversation(query, now)
            case "heymarket", "POST", "v1", "messages", "all":
                return self._heymarket(json.loads(body or b"{}"), now)
            case "heymarket", "POST", "v1", "messages", "all", "count":
                return self._count(json.loads(body or b"{}"), now)
            case "fonedynamics", "GET", "v2", "Properties", sid, "Messages":
                return self._fone(sid, {**query, **(json.loads(body) if body else {})}, now)
            case "fonedynamics", "GET", "v2", "Messages", sid:
                return self._fone_one(sid, now)
            case _:
                return Answer(404, b'{"detail":"Not found"}')

    def _stuut(self, thread: str, now: Instant) -> Answer:
        if (STUUT, thread) not in self.world.messages and thread not in THREADS:
            return Answer(404, b'{"detail":"Not found"}')
        listed = self.world.shown(STUUT, thread, now)
        rows = [_stuut_row(sms, self._at) for sms in (listed[-self.world.switches.cap :] if self.world.switches.cap else listed)]
        self._in_order(rows)
        self._count_rows(STUUT, rows)
        return _json({"data": rows} if self.world.switches.envelope else rows)

    def _in_order(self, rows: list[Any]) -> None:
        """By the switch's reading of what no page documents; given oldest first."""
        if self.world.switches.order == "random":
            self._random.shuffle(rows)
        elif self.world.switches.order == "descending":
            rows.reverse()

    def _count_rows(self, provider: str, rows: list[Any]) -> None:
        self.rows[provider] = self.rows.get(provider, 0) + len(rows)

    def _before(self, asked: dict[str, Any], now: Instant, *, counted: bool = False) -> list[Sms]:
        """By the switch's reading of the cursor, oldest first; equal timestamps in no stable order."""
        cursor, reading = rfc3339(asked.get("created_at")), self.world.switches.cursor
        since, until = 0, NEVER
        if cursor is not None and reading == "after":
            since = cursor.instant
        elif cursor is not None and reading != "ignored":
            until = cursor.instant + (reading == "inclusive")
        rows = self.world.between(HEYMARKET, "team", since, until, now, counted=counted)
        return rows if counted else sorted(rows, key=lambda sms: (sms.created, self._random.random()))

    def _heymarket(self, asked: dict[str, Any], now: Instant) -> Answer:
        limit = min(int(asked.get("limit", 30)), self.world.switches.limit_max)
        rows = self._before(asked, now)
        if asked.get("order") == "updated_at":
            rows = sorted(rows, key=lambda sms: sms.changed(self._at))
        unit = _UNITS[self.world.switches.printed]
        found = [_heymarket_row(sms, self._at, unit) for sms in reversed(rows[-limit:])]
        self._count_rows(HEYMARKET, found)
        return _json(found)

    def _count(self, asked: dict[str, Any], now: Instant) -> Answer:
        lag = round(self._lag(now) * self.world.switches.count_lag_s * SECOND)
        count = len(self._before(asked, now - lag, counted=True))
        return _json(str(count) if self.world.switches.count_as_string else count)

    @staticmethod
    def _lag(now: Instant) -> float:
        """How far behind counts are now, another part of the most every ten minutes."""
        return random.Random(now // (600 * SECOND)).random()

    def _conversation(self, query: dict[str, str], now: Instant) -> Answer:
        until = int(query["timestamp"]) * SECOND if "timestamp" in query else NEVER
        rows = [s for s in self.world.between(HEYMARKET, "team", 0, until, now) if s.other == "+" + query.get("phoneNumber", "")]
        return _json([_heymarket_row(sms, self._at, _UNITS[self.world.switches.printed]) for sms in reversed(rows[-50:])])

    def _fone(self, sid: str, asked: dict[str, Any], now: Instant) -> Answer:
        if (FONE, sid) not in self.world.messages and sid not in PROPERTIES:
            return Answer(400, b'{"ResponseStatus":{"ErrorCode":"InvalidProperty","Message":"unknown property"}}')
        since, until, by = int(asked["Date_From"]) * SECOND, int(asked["Date_To"]) * SECOND, self.world.switches.filter
        if by == "scheduled":
            rows = [sms for sms in self.world.shown(FONE, sid, now) if since <= sms.stamp(by) < until]
        else:
            rows = self.world.between(FONE, sid, since, until, now)
        if "Direction" in asked:
            rows = [sms for sms in rows if sms.inbound == (asked["Direction"] == "Receive")]
        self._in_order(rows)
        skip, count = int(asked.get("Results_Skip", 0)), min(int(asked.get("Results_Count", 200)), 2 * self.world.switches.limit_max)
        found = [_fone_row(sms, self._at, received=by == "received") for sms in rows[skip : skip + count]]
        self._count_rows(FONE, found)
        return _json({"Messages": found})

    def _fone_one(self, sid: str, now: Instant) -> Answer:
        for provider, stream in self.world.messages:
            if provider == FONE:
                found = next((sms for sms in self.world.messages[provider, stream] if sms.id == sid and sms.shown(now)), None)
                if found is not None:
                    return _json({"Message": _fone_row(found, self._at)})
        return Answer(404, b'{"ResponseStatus":{"ErrorCode":"NotFound"}}')


def _authorized(provider: str, given: str, now: Instant) -> bool:
    if provider == STUUT:
        return given == f"Bearer {TOKEN}"
    if provider == FONE:
        return given == "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{FONE_TOKEN}".encode()).decode()
    try:
        claims = jwt.decode(given.removeprefix("Bearer "), f"{SECRET_ID}||{SECRET_KEY}", ["HS256"], options={"verify_iat": False})
    except jwt.PyJWTError:
        return False
    return claims.get("iss") == SECRET_ID and abs(now / SECOND - claims.get("iat", 0)) < JWT_LIVES_S


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode())


def _time(instant: Instant | None, unit: Instant = 1) -> str | None:
    return None if instant is None else text_of(instant // unit * unit)


def _stuut_row(sms: Sms, now: Instant) -> dict[str, Any]:
    ours, classified = "+14155550100", sms.classified is not None and sms.classified <= now
    return {
        "created_at": _time(sms.created), "modified_at": _time(sms.changed(now)) if sms.changed(now) != sms.created else None,
        "id": sms.id, "body": sms.text, "direction": "inbound" if sms.inbound else "outbound", "status": sms.status(now),
        "from_number": "tel:" + sms.other if sms.inbound else ours, "to_number": ours if sms.inbound else sms.other,
        "is_automated": False, "sent_at": _time(sms.when("sent", now)), "delivered_at": _time(sms.when("delivered", now)), "object": "sms_message",
        "classifications": [{"id": f"cls_{sms.id}", "classification": "payment_inquiry", "language": "en", "object": "classification"}] if classified else [],
    }  # fmt: skip


def _heymarket_row(sms: Sms, now: Instant, unit: Instant) -> dict[str, Any]:
    return {
        "id": int(sms.id), "text": sms.text, "type": "inbound" if sms.inbound else "outbound", "status": sms.status(now),
        "phone": sms.other.lstrip("+"), "date": _time(sms.created, unit), "updated": _time(sms.changed(now), unit), "media": "",
        "flagged": False, "user": 0 if sms.inbound else 55, "conversation": {"id": sms.conversation, "inbox": 101, "target": sms.other.lstrip("+")},
    }  # fmt: skip


def _fone_row(sms: Sms, now: Instant, *, received: bool = False) -> dict[str, Any]:
    row: dict[str, Any] = {
        "MessageSid": sms.id, "From": sms.other if sms.inbound else "+61400000001", "To": "+61400000001" if sms.inbound else sms.other,
        "Text": sms.text, "DeliveryReceipt": sms.receipt, "NumSegments": 0 if sms.inbound else 1, "Status": sms.status(now),
        "Direction": "Receive" if sms.inbound else "Transmit", "Scheduled": sms.scheduled // SECOND, "Created": sms.created // SECOND,
    }  # fmt: skip
    if received and sms.inbound:
        row["Received"] = sms.created // SECOND
    for name in ("Submitted", "Delivered"):
        at = sms.when(name, now)
        if at is not None:
            row[name] = at // SECOND
    return row
