"""Values of an account's configuration as the polling rooms need them."""

from __future__ import annotations

from collections.abc import Callable

from ..config.forms import StartFrom
from ..model import Instant


def floor_of(start: StartFrom) -> Callable[[Instant], Instant]:
    """Where a stream without state begins, given the earlier of both clocks: never ahead of it."""
    if start.kind == "earliest":
        return lambda now: 0
    if start.kind == "at":
        return lambda now: min(start.value, now)
    return lambda now: now - start.value
