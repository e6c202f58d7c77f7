"""What must not end does not end silently: not by returning, not by a CancelledError that nobody asked for."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from poller.errors import Broken
from poller.worker.unending import unending

pytestmark = pytest.mark.anyio


async def returns() -> None:
    """Ends by itself."""
    await anyio.sleep(0)


async def cancels_itself() -> None:
    """As aiokafka's consumer does when it is stopped right after its start."""
    await anyio.sleep(0)
    raise asyncio.CancelledError


async def returns_at_once() -> int:
    """Not even once through the loop."""
    return 5


async def asks_for_its_own_end() -> None:
    """The cancellation comes at the next step."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(60)


async def waits_for_what_was_cancelled() -> None:
    """What it waits for ended, and takes it along."""
    other = asyncio.create_task(asyncio.sleep(60))
    other.cancel()
    await other


async def waits_for_an_answer_that_was_given_up() -> None:
    """As a client's future when the client is closed."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer.cancel()
    await answer


async def is_cancelled_while_it_tidies_up() -> None:
    """Its own error is gone by then."""
    try:
        raise OSError
    finally:
        await waits_for_what_was_cancelled()


async def gathers_what_was_cancelled() -> None:
    """One of several."""
    await asyncio.gather(asyncio.sleep(0), waits_for_what_was_cancelled())


async def a_child_cancels_itself() -> None:
    """A task group takes a child that is cancelled for one that is done."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancels_itself)


ENDINGS = [returns, returns_at_once, cancels_itself, asks_for_its_own_end, waits_for_what_was_cancelled,
           waits_for_an_answer_that_was_given_up, is_cancelled_while_it_tidies_up, gathers_what_was_cancelled, a_child_cancels_itself]  # fmt: skip
"""Ways of ending that nobody asked for."""


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_end_that_nobody_asked_for_is_raised(ending: object) -> None:
    """Also inside a task group, which takes such a task for done."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unending, "the worker", ending)
            await anyio.sleep_forever()
    assert [str(error) for error in caught.value.exceptions] == ["the worker ended without being asked to"]
    assert isinstance(caught.value.exceptions[0], Broken)


async def test_an_end_that_was_asked_for_is_none() -> None:
    """A cancelled scope ends it quietly, however it takes the cancellation."""

    async def stubborn() -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            return

    with anyio.move_on_after(0.01):
        await unending("the worker", stubborn)
    with anyio.move_on_after(0.01):
        await unending("the worker", anyio.sleep_forever)


async def test_what_it_raises_goes_on() -> None:
    """An error is its own."""

    async def fails() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await unending("the worker", fails)
