"""A sweep that comes back to a request of its own would never end: the engine notices, whatever the vendor."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from poller.polling.streams import Progress
from poller.providers.contract import Request


def noticed(numbers: list[int]) -> int | None:
    """After how many pages a sweep is noticed that asks for pages of these numbers."""
    progress = Progress()
    requests = (Request("GET", "/x", (("page", str(number)),)) for number in numbers)
    return next((pages for pages, request in enumerate(requests, 1) if progress.comes_back(pages, request)), None)


@given(st.integers(0, 20), st.integers(1, 20))
def test_every_cycle_is_noticed_soon(before: int, length: int) -> None:
    """Whatever leads into it and however long it is: within three times as many pages."""
    cycle = itertools.cycle(range(before, before + length))
    found = noticed([*range(before), *itertools.islice(cycle, 200)])
    assert found is not None
    assert found <= 3 * (before + length) + 2


@given(st.lists(st.integers(), unique=True, max_size=300))
def test_a_sweep_that_goes_on_is_never_stopped(numbers: list[int]) -> None:
    """Requests that differ are no cycle, in any order."""
    assert noticed(numbers) is None


def test_the_next_sweep_may_ask_the_same_again() -> None:
    """What is remembered is of one sweep: each begins with its first page."""
    progress, request = Progress(), Request("GET", "/x")
    assert not any(progress.comes_back(1, request) for _ in range(5))
