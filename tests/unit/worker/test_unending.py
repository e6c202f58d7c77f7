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


@pytest.mark.parametrize("ending", [returns, cancels_itself])
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
