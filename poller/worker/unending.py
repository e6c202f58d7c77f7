"""Tasks that end only when they are told to.

A task group takes a task that returns, or one whose CancelledError nobody asked for (clients
raise it), for done: what it did would silently no longer be done.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio

from ..errors import Broken


async def unending(what: str, run: Callable[[], Awaitable[object]]) -> None:
    """Run it until its scope is cancelled. Raises Broken when it ends by itself, and what it raises."""
    try:
        await run()
    except anyio.get_cancelled_exc_class():
        if _told():
            raise
    if not _told():
        raise Broken(f"{what} ended without being asked to")


def _told() -> bool:
    """Whether a scope around the caller is cancelled."""
    return anyio.current_effective_deadline() == -math.inf
