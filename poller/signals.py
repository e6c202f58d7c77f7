"""What ends a process cleanly: SIGTERM, SIGINT, and the SIGHUP of a terminal that closes."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import anyio


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end this process. Under ``nohup`` SIGHUP is ignored from the start, and stays so."""
    hangup = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


def interrupt_on_signals() -> None:
    """Until an event loop listens itself, a signal raises KeyboardInterrupt wherever the process is."""
    for number in ending_signals():
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@asynccontextmanager
async def until_signal() -> AsyncIterator[None]:
    """What is in it ends when a signal comes, and what follows it goes on.

    A scope stays cancelled, where one KeyboardInterrupt at a bad moment would be lost.
    """
    with anyio.open_signal_receiver(*ending_signals()) as received:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_wait, received, tasks.cancel_scope)
            yield
            tasks.cancel_scope.cancel()


async def _wait(received: AsyncIterable[signal.Signals], scope: anyio.CancelScope) -> None:
    async for _ in received:
        scope.cancel()
