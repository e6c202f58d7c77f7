"""How much happened in the last minute: counts by second, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

SPAN_S = 60
"""The minute that is looked at."""


class Recent:
    """A count over the last minute. ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seconds: deque[tuple[int, int]] = deque()

    def add(self, count: int = 1) -> None:
        """Count what has just happened."""
        second = int(self._monotonic())
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))
        self._drop(second)

    def total(self) -> int:
        """How many happened in the last minute."""
        self._drop(int(self._monotonic()))
        return sum(count for _, count in self._seconds)

    def _drop(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] <= now - SPAN_S:
            self._seconds.popleft()
