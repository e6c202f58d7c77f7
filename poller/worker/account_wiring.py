"""account_wiring."""

from __future__ import annotations

from collections.abc import Callable

from ..config.file import StartFrom
from ..model import Instant


def floor_of(start: StartFrom) -> Callable[[Instant], Instant]:
    """How far back a stream without state begins, given the provider's clock."""
    if start.kind == "earliest":
        return lambda now: 0
    if start.kind == "at":
        return lambda now: min(start.value, now)
    return lambda now: now - start.value
