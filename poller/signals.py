"""What ends a process cleanly: SIGTERM, SIGINT, and the SIGHUP of a terminal that closes."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

_came = list[signal.Signals]()
"""Those that came before an event loop listened."""


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end this process. Under ``nohup`` SIGHUP is ignored from the start, and stays so."""
    hangup = () if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGTERM, signal.SIGINT, *hangup)


def interrupt_on_signals() -> None:
    """Until an event loop listens itself, a signal raises KeyboardInterrupt wherever the process is, and is remembered.

    Python swallows what is raised while it calls back a weak reference or a ``__del__``, as it does
    in the midst of imports: the loop hears of what it did not live to see.
    """
    _came.clear()
    for number in ending_signals():
        signal.signal(number, _interrupt)


def _interrupt(number: int, _: object) -> None:
    _came.append(signal.Signals(number))
    raise KeyboardInterrupt


@contextmanager
def signals_received() -> Iterator[AsyncIterator[signal.Signals]]:
    """The signals that end this process, one after the other: those that came before, then those that come."""
    with anyio.open_signal_receiver(*ending_signals()) as received:
        yield _all_of(received)


async def _all_of(received: AsyncIterable[signal.Signals]) -> AsyncIterator[signal.Signals]:
    while _came:
        yield _came.pop(0)
    async for number in received:
        yield number


@asynccontextmanager
async def until_signal() -> AsyncIterator[None]:
    """What is in it ends when a signal comes, and what follows it goes on.

    A scope stays cancelled, where one KeyboardInterrupt at a bad moment would be lost.
    """
    with signals_received() as received:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_wait, received, tasks.cancel_scope)
            yield
            tasks.cancel_scope.cancel()


async def _wait(received: AsyncIterable[signal.Signals], scope: anyio.CancelScope) -> None:
    async for _ in received:
        scope.cancel()
