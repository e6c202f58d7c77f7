"""Wall time for histories that are played on virtual time."""

from __future__ import annotations

import anyio

from poller.clock import SystemClock
from poller.model import SECOND, Instant


class VirtualClock(SystemClock):
    """Wall time that follows the event loop's clock, for histories on virtual time."""

    def __init__(self, start: Instant) -> None:
        super().__init__()
        self.start = start

    def monotonic(self) -> float:
        """The loop's time."""
        return anyio.current_time()

    def now(self) -> Instant:
        """``start`` plus the loop's time."""
        return self.start + round(anyio.current_time() * SECOND)
