"""The vendors' APIs over the simulated world, as their documents describe them: request in, answer out, no I/O."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from types import ModuleType
from urllib.parse import parse_qsl, urlsplit

from ....model import SECOND, Instant
from ..profiles import FONE, HEYMARKET, PLIVO, STUUT, TELNYX, TWILIO
from ..world import World
from . import fonedynamics, heymarket, plivo, stuut, telnyx, twilio
from .answers import FAULTS, NOT_FOUND, Answer, Call

VENDORS: dict[str, ModuleType] = {
    STUUT: stuut,
    HEYMARKET: heymarket,
    FONE: fonedynamics,
    TWILIO: twilio,
    TELNYX: telnyx,
    PLIVO: plivo,
}
"""By the path prefix of their base URL; each has ``authorized`` and ``answer``."""


class Providers:
    """Routes ``/stuut/...`` and so on: the path prefixes of the base URLs."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world = world
        self._random = random.Random(seed)
        self.requests: dict[str, int] = {}
        """By provider."""
        self.refused: dict[str, int] = {}
        """How many were over the allowance, by provider."""
        self._times: dict[str, deque[Instant]] = {}
        self.rows: dict[str, int] = {}
        """How many were listed, by provider."""

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: Instant) -> Answer:
        """One request at our time ``now``."""
        world = self.world
        world.advance(now)
        at = world.clock(now)
        if self._random.random() < world.switches.regress:
            at -= round(world.switches.regress_s * SECOND)
        restyled = self._random.random() < world.switches.restyled
        parts = urlsplit(target)
        _, provider, *path = parts.path.split("/")
        query = dict(parse_qsl(parts.query))
        call = Call(world, self._random, now, at, restyled, method, target, tuple(path), query, headers, body)
        self.requests[provider] = self.requests.get(provider, 0) + 1
        found = self._too_many(provider, now) or self._fault() or self._routed(provider, call)
        self.rows[provider] = self.rows.get(provider, 0) + found.rows
        date = datetime.fromtimestamp(world.clock(now) / SECOND, UTC)
        return found._replace(headers={**found.headers, "date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    def _too_many(self, provider: str, now: Instant) -> Answer | None:
        """429 where more is asked within a minute than the switch allows; what is refused does not count."""
        allowed, times = self.world.switches.allowed_per_min, self._times.setdefault(provider, deque())
        while times and times[0] <= now - 60 * SECOND:
            times.popleft()
        if allowed and len(times) >= allowed:
            self.refused[provider] = self.refused.get(provider, 0) + 1
            return FAULTS["limited"]
        times.append(now)
        return None

    def _fault(self) -> Answer | None:
        drawn = self._random.random()
        for name, answer in FAULTS.items():
            drawn -= getattr(self.world.switches, name)
            if drawn < 0:
                return answer
        return None

    @staticmethod
    def _routed(provider: str, call: Call) -> Answer:
        vendor = VENDORS.get(provider)
        if vendor is None:
            return NOT_FOUND
        if not authorized(provider, call.headers.get("authorization", ""), call.world.clock(call.now)):
            return Answer(401, b'{"detail":"Not authenticated"}')
        return vendor.answer(call)


def authorized(provider: str, given: str, now: Instant) -> bool:
    """Whether the vendor accepts the header at its time ``now``."""
    return VENDORS[provider].authorized(given, now)
