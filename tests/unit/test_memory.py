"""What was met lately is remembered, within a bound, and never a value that was replaced."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from poller.memory import ROUNDS, Memory

STEPS = st.lists(st.tuples(st.sampled_from(["keep", "ask", "forget"]), st.integers(0, 9), st.integers(1, 3)), max_size=200)


@given(STEPS, st.integers(1, 6))
def test_what_is_remembered_is_what_was_kept_last(steps: list[tuple[str, int, int]], most: int) -> None:
    """Whatever was pushed out or moved on the way: a key has the value that was kept last, or none; never an earlier one."""
    memory, truth = Memory[int, int](most), dict[int, int]()
    for what, key, value in steps:
        if what == "keep":
            memory.keep(key, value)
            truth[key] = value
        elif what == "forget":
            memory.forget(key)
            truth.pop(key, None)
        else:
            [found] = memory.all_of([key])
            assert found in (None, truth.get(key))
        assert len(memory) <= 2 * most


def test_a_list_that_fits_is_remembered_whole() -> None:
    """However often it is read, nothing of it is forgotten."""
    memory, keys = Memory[int, int](50), list(range(50))
    for key in keys:
        memory.keep(key, key + 1)
    for _ in range(5 * ROUNDS):
        assert memory.all_of(keys) == [key + 1 for key in keys]


def test_of_a_list_that_does_not_fit_a_part_is_remembered() -> None:
    """Read again and again from its beginning, a list of three times as many keys as fit is known by a third in every round."""
    memory, keys = Memory[int, int](50), list(range(150))
    for number in range(5 * ROUNDS):
        found = memory.all_of(keys)
        assert number == 0 or len(keys) - found.count(None) >= 50
        for key, value in zip(keys, found, strict=True):
            if value is None:
                memory.keep(key, key + 1)


def test_what_is_no_longer_met_is_forgotten() -> None:
    """What was met long ago makes room for what is met now."""
    memory = Memory[int, int](10)
    for key in range(10):
        memory.keep(key, 1)
    for _ in range(3 * ROUNDS):
        for key in range(100, 110):
            memory.keep(key, 1)
        memory.all_of(list(range(100, 110)))
    assert memory.all_of(list(range(10))) == [None] * 10
    assert memory.all_of(list(range(100, 110))) == [1] * 10
