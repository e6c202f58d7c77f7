"""demand."""

from __future__ import annotations

DEEP_SHARE = 0.3
"""What deep rungs get at least while both kinds are due; shares of time as well as of requests."""


QUOTA_SHARE = 0.8
"""What regular polling plans to use of an account's rate limit."""


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
        """The rung's last sweep, spread over its planned period."""
        rungs = self._asked.setdefault(stream, {})
        self._add(rungs.get(rung, (0.0, deep)), -1)
        rungs[rung] = per_second, deep
        self._add(rungs[rung], 1)

    def expect(self, stream: str, rungs: range, per_second: float) -> None:
        """What deeper rungs are taken to ask for until their first sweeps end: each as much as the one above it, as a ladder does."""
        for rung in rungs:
            if rung not in self._asked.get(stream, {}):
                self.swept(stream, rung, per_second, deep=True)

    def forget(self, stream: str) -> None:
        """The stream is no longer polled here, or its rungs are others now."""
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
