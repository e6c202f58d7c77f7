"""What the operator wants of one account, as polling needs it."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.forms import StartFrom
from ..model import SECOND, Instant


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """One account's settings. Durations in microseconds."""

    key: str
    """``provider/account``."""
    interval: Instant
    overlap: Instant | None
    """None: learned from what arrives late."""
    start_from: StartFrom
    status_horizon: Instant
    every: Instant
    back: Instant
    channels: frozenset[str]
    publish_drafts: bool
    rate: float
    """Requests a second that the rate limit allows."""

    @property
    def account(self) -> str:
        """The account's name."""
        return self.key.partition("/")[2]

    @property
    def interval_s(self) -> float:
        """The interval in seconds."""
        return self.interval / SECOND

    @property
    def quietness(self) -> float:
        """Depth / longest period of the ladder: what an age is divided by to give a period."""
        return self.back / self.every

    def floor(self, now: Instant) -> Instant:
        """Where a stream without state begins, at a whole second: no provider filters more finely. ``now`` is the provider's time."""
        start = self.start_from
        since = 0 if start.kind == "earliest" else min(start.value, now) if start.kind == "at" else now - start.value
        return since // SECOND * SECOND
