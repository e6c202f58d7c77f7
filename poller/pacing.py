"""How fast and how soon again: values that answer, and never sleep."""

from __future__ import annotations

from msgspec import Struct

from .errors import BadPage, ProviderError, RateLimited, StreamGone, Unauthorized

MARGIN = 1.005
"""Requests are spaced this much wider than the limit says, against jitter on the way."""

FIRST_WAIT_S = 0.5
RETRY_MAX_S = 300.0
REFUSED_FIRST_S = 15.0
REFUSED_MAX_S = 3600.0
"""After 401, 403, 404 or a page of wrong shape: tried again at most so late."""

RETRY_AFTER_MAX_S = 3600.0


DEEP_SHARE = 0.3
"""What deep rungs get at least while both kinds are due; shares of time as well as of requests."""

QUOTA_SHARE = 0.8
"""What regular polling plans to use of an account's rate limit."""


class Go(Struct, frozen=True):
    """Now."""


class Wait(Struct, frozen=True):
    """Not before so many seconds; None = until something changes."""

    seconds: float | None


class RateLimiter:
    """GCRA: ``count`` requests in ``seconds``, evenly spaced.

    In no window of that length are more than ``count + burst`` requests started. It begins with
    an empty allowance, because nobody knows what the last owner of the account used up.
    """

    def __init__(self, count: int, seconds: float, *, burst: int = 1, now: float) -> None:
        self.spacing = seconds / count * MARGIN
        self._tolerance = (burst - 1) * self.spacing
        self._next = now + burst * self.spacing

    def take(self, now: float) -> Go | Wait:
        """Use up one request of the allowance, or say how long until there is one."""
        wait = self._next - self._tolerance - now
        if wait > 0:
            return Wait(wait)
        self._next = max(self._next, now) + self.spacing
        return Go()


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


def wait_after(error: ProviderError, failures: int, *, interval_s: float, fraction: float) -> float:
    """Seconds until a stream (or account) in trouble is tried again.

    Exponential with full jitter (``fraction`` in [0, 1)); what cannot get better soon starts
    slower and goes up to an hour. A provider that says when is believed, within an hour.
    """
    if isinstance(error, RateLimited) and error.wait_s is not None:
        return min(max(error.wait_s, 0.0), RETRY_AFTER_MAX_S)
    refused = isinstance(error, Unauthorized | StreamGone | BadPage)
    first = REFUSED_FIRST_S if refused else FIRST_WAIT_S
    cap = REFUSED_MAX_S if refused else min(RETRY_MAX_S, max(10.0, 10 * interval_s))
    ceiling = min(cap, first * 2.0 ** min(failures, 30))
    return ceiling * (0.5 + fraction / 2) if refused else max(0.1, ceiling * fraction)
