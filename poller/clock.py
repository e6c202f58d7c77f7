"""The only time: a monotonic reading to wait by, and the wall clock."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel

from .model import Instant


class SystemClock:
    """Both of the machine. The monotonic one is that of every event loop: it is read some times for each request."""

    def __init__(self) -> None:
        self._turns = anyio.Lock()

    def monotonic(self) -> float:
        """Seconds; only differences mean anything."""
        return time.monotonic()

    def now(self) -> Instant:
        """Wall time in microseconds since the epoch; may jump."""
        return time.time_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        """Wait at least ``seconds``."""
        await anyio.sleep(seconds)

    async def turn(self) -> None:
        """Let the loop turn: what works long asks for a turn after each portion.

        Those who ask go on one by one, each in a turn of its own, so that many hold the loop no longer than one.
        """
        async with self._turns:
            await anyio.lowlevel.checkpoint()
