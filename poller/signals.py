"""What ends a command cleanly: SIGTERM and SIGINT."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def until_signal() -> AsyncIterator[None]:
    """What is in it ends when a signal comes, and what follows it goes on.

    A scope stays cancelled, where one KeyboardInterrupt at a bad moment would be lost.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_wait, tasks.cancel_scope)
        yield
        tasks.cancel_scope.cancel()


async def _wait(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as received:
        async for _ in received:
            scope.cancel()
