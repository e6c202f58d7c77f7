"""The three vendors' APIs over the simulated world, as their documents describe them: request in, answer out, no I/O."""

from __future__ import annotations

import base64
import json
import random
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt

from ....model import SECOND, Instant
from ....times import parse_rfc3339
from ..shelf import RECEIVED_MAX, Sms
from ..world import FONE, HEYMARKET, NEVER, PROPERTIES, STUUT, World
from .answers import _FAULTS, Answer, _json, _restyled
from .fonedynamics import _fone_row
from .heymarket import _heymarket_row
from .stuut import _stuut_row

TOKEN, SECRET_ID, SECRET_KEY, ACCOUNT_SID, FONE_TOKEN = (
    "demo-stuut-token",
    "demo-id",
    "demo-key-that-is-long-enough-for-hs256",
    "AC-demo",
    "demo-fone-token",
)  # invented
JWT_LIVES_S = 300


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
        self._restyled = self._random.random() < world.switches.restyled
        parts = urlsplit(target)
        _, provider, *path = parts.path.split("/")
        self.requests[provider] = self.requests.get(provider, 0) + 1
        query = dict(parse_qsl(parts.query))
        date = datetime.fromtimestamp(world.clock(now) / SECOND, UTC)
        found = self._fault() or self._route(provider, method, path, query, headers, body, now)
        return found._replace(headers={**found.headers, "date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    def _fault(self) -> Answer | None:
        drawn = self._random.random()
        for name, answer in _FAULTS.items():
            drawn -= getattr(self.world.switches, name)
            if drawn < 0:
                return answer
        return None

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
        shelf = self.world.shelves.get((STUUT, thread))
        if shelf is None:
            return Answer(404, b'{"detail":"Not found"}')
        listed = shelf.between(0, NEVER, now)
        listed = self._in_order(listed[-self.world.switches.cap :] if self.world.switches.cap else listed)
        rows = [self._drawn(sms, _stuut_row, self._zone) for sms in listed]
        return self._list(STUUT, rows, "data" if self.world.switches.envelope else None)

    def _drawn(self, sms: Sms, draw: Callable[..., dict[str, Any]], *given: Any) -> bytes:
        """The row as JSON, made anew only where something of it changed."""
        state = sms.step(self._at), sms.classified is not None and sms.classified <= self._at, sms.text_at(self._at), self._restyled
        if sms.drawn[0] != state:
            row = draw(sms, self._at, *given)
            sms.drawn = state, json.dumps(_restyled(row) if self._restyled else row).encode()
        return sms.drawn[1]

    def _in_order(self, rows: list[Sms]) -> list[Sms]:
        """By the switch's reading of what no page documents; given oldest first."""
        match self.world.switches.order:
            case "shuffled":
                return self._random.sample(rows, len(rows))
            case "random":
                return sorted(rows, key=lambda sms: zlib.crc32(sms.id.encode()))
            case "descending":
                return rows[::-1]
            case _:
                return rows

    @property
    def _zone(self) -> str:
        return "" if self.world.switches.zoneless else "Z"

    def _list(self, provider: str, rows: list[bytes], name: str | None = None) -> Answer:
        """The rows as they are, bare or wrapped, counted."""
        self.rows[provider] = self.rows.get(provider, 0) + len(rows)
        body = b"[" + b",".join(rows) + b"]" if rows or not self.world.switches.nulls else b"null"
        return Answer(200, body if name is None else b'{"%s":%s}' % (name.encode(), body))

    def _range(self, asked: dict[str, Any]) -> tuple[Instant, Instant]:
        """By the switch's reading of the cursor."""
        cursor, reading = parse_rfc3339(asked.get("created_at")), self.world.switches.cursor
        if cursor is None or reading == "ignored":
            return 0, NEVER
        return (cursor.instant, NEVER) if reading == "after" else (0, cursor.instant + (reading == "inclusive"))

    def _heymarket(self, asked: dict[str, Any], now: Instant) -> Answer:
        if self.world.switches.cursor_required and "created_at" not in asked:
            return Answer(400, b'{"message":"bad_data"}')
        limit, team = min(int(asked.get("limit", 30)), self.world.switches.limit_max), self.world.shelves[HEYMARKET, "team"]
        since, until = self._range(asked)
        if asked.get("order") == "updated_at":
            rows = team.changed(since, until, now, limit, self._at)
        else:
            rows = team.newest(since, until, now, limit, self._random)
        return self._list(HEYMARKET, self._heymarket_rows(rows), "messages" if self.world.switches.envelope else None)

    def _heymarket_rows(self, found: list[Sms]) -> list[bytes]:
        unit, sparse = self.world.switches.unit, self.world.switches.sparse
        return [self._drawn(sms, _heymarket_row, unit, self._zone, sparse) for sms in found]

    def _count(self, asked: dict[str, Any], now: Instant) -> Answer:
        most, team = round(self.world.switches.count_lag_s * SECOND), self.world.shelves[HEYMARKET, "team"]
        team.settle(now - most)
        count = team.count(*self._range(asked), now - round(self._lag(now) * most))
        return _json(str(count) if self.world.switches.count_as_string else count)

    @staticmethod
    def _lag(now: Instant) -> float:
        """How far behind counts are now, another part of the most every ten minutes."""
        return random.Random(now // (600 * SECOND)).random()

    def _conversation(self, query: dict[str, str], now: Instant) -> Answer:
        until = int(query["timestamp"]) * SECOND if "timestamp" in query else NEVER
        rows = self.world.shelves[HEYMARKET, "team"].between(0, until, now)
        rows = [sms for sms in rows if sms.other == "+" + query.get("phoneNumber", "")][-50:]
        return self._list(HEYMARKET, self._heymarket_rows(rows[::-1]))

    def _fone(self, sid: str, asked: dict[str, Any], now: Instant) -> Answer:
        shelf, by = self.world.shelves.get((FONE, sid)), self.world.switches.filter
        if shelf is None:
            return Answer(400, b'{"ResponseStatus":{"ErrorCode":"InvalidProperty","Message":"unknown property"}}')
        since, until = int(asked["Date_From"]) * SECOND, int(asked["Date_To"]) * SECOND
        if by == "received":
            rows = [sms for sms in shelf.between(since - RECEIVED_MAX, until + RECEIVED_MAX, now) if since <= sms.received < until]
        else:
            rows = (shelf.scheduled if by == "scheduled" else shelf.between)(since, until, now)
        if "Direction" in asked:
            rows = [sms for sms in rows if sms.inbound == (asked["Direction"] == "Receive")]
        rows = self._in_order(rows)
        skip, count = int(asked.get("Results_Skip", 0)), min(int(asked.get("Results_Count", 200)), self.world.switches.limit_max)
        listed = [self._drawn(sms, _fone_row, by == "received", self.world.switches.texts) for sms in rows[skip : skip + count]]
        return self._list(FONE, listed, None if self.world.switches.envelope else "Messages")

    def _fone_one(self, sid: str, now: Instant) -> Answer:
        for name in PROPERTIES:
            found = self.world.shelves[FONE, name].get(sid, now)
            if found is not None:
                switches = self.world.switches
                row = self._drawn(found, _fone_row, switches.filter == "received", switches.texts)
                return Answer(200, row if switches.envelope else b'{"Message":%s}' % row)
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
