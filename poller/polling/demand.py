"""What an account's sweeps cost, against its rate limit: how far the periods must stretch to fit. Pure.

The live rung is served first, so that new messages come in time; where the rest does not suffice for the deep rungs, all
their periods become longer by one factor, the stretch.
"""

from __future__ import annotations

DEEP_SHARE = 0.3
"""The part that deep rungs get at least while the live rung is due as well, 0 to 1: of requests, and of time."""

QUOTA_SHARE = 0.8
"""The part of an account's rate limit that sweeps plan to use, 0 to 1. The rest is for retries and side queries."""


def round_s(streams: int, rate: float) -> float:
    """Seconds that one request for each stream takes within the planned share of the rate limit (requests a second)."""
    return streams / (QUOTA_SHARE * rate)


class Demand:
    """What an account's sweeps ask for, in requests per second, against what may be asked.

    The live rung comes first; deeper ones may use what it leaves of the planned share, and at
    least their own part of it. Where that is too little all deep periods stretch alike.
    """

    def __init__(self, rate: float) -> None:
        self._plan = rate * QUOTA_SHARE
        self.rate = rate
        self._asked: dict[str, dict[int, tuple[float, bool]]] = {}
        self.live = self._deep = 0.0

    def swept(self, stream: str, rung: int, per_second: float, *, deep: bool) -> None:
        """Note what a rung asks for: the requests of its last sweep, spread over its planned period."""
        rungs = self._asked.setdefault(stream, {})
        self._add(rungs.get(rung, (0.0, deep)), -1)
        rungs[rung] = per_second, deep
        self._add(rungs[rung], 1)

    def expect(self, stream: str, rungs: range, per_second: float) -> None:
        """Assume what deeper rungs ask for until their first sweeps end: each as much as the rung above it."""
        for rung in rungs:
            if rung not in self._asked.get(stream, {}):
                self.swept(stream, rung, per_second, deep=True)

    def forget(self, stream: str) -> None:
        """Forget what a stream asks for: it is no longer polled here, or its rungs have changed."""
        for asked in self._asked.pop(stream, {}).values():
            self._add(asked, -1)

    def _add(self, asked: tuple[float, bool], sign: int) -> None:
        per_second, deep = asked
        if deep:
            self._deep += sign * per_second
        else:
            self.live += sign * per_second

    @property
    def stretch(self) -> float:
        """How much longer than planned the deep periods are; 1 = on plan."""
        room = max(self._plan - self.live, DEEP_SHARE * self._plan)
        return max(1.0, self._deep / room)

    @property
    def live_stretch(self) -> float:
        """How much longer than configured the interval is in truth."""
        room = self._plan * (1 - DEEP_SHARE) if self._deep > 0 else self._plan
        return max(1.0, self.live / room)
