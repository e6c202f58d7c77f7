"""How fast an account may be asked: a rate limiter that answers Go or Wait, and never sleeps. Pure."""

from __future__ import annotations

from msgspec import Struct

MARGIN = 1.005
"""Requests are spaced this much wider than the limit says, against jitter on the way."""


class Go(Struct, frozen=True):
    """The request may be sent now."""


class Wait(Struct, frozen=True):
    """No request may be sent now."""

    seconds: float | None
    """Seconds until one may; None = until something changes."""


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
