"""What is left of a long sweep, in parts: they hold all of it, and little of it twice."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.coverage import parts
from poller.coverage.cursor import Sweep
from poller.coverage.ladder import SLACK
from poller.model import DAY, HOUR, MINUTE, SECOND, Instant
from poller.providers.contract import Request

NOW: Instant = 1_790_000_000 * SECOND
LONG = Sweep(NOW - 8 * DAY, NOW - HOUR, HOUR, 8 * DAY, NOW, Request("GET", "/"), started=NOW, pages=40)


@given(since=st.integers(1, 8 * DAY), read=st.floats(0.01, 1.0), pages=st.integers(0, 1000))
def test_parts_hold_all_that_is_left_and_lie_over_each_other(since: int, read: float, pages: int) -> None:
    """From where the sweep begins to where it has read, the newest first, as neighbouring rungs do; or it is not cut."""
    assert LONG.until is not None
    sweep = replace(LONG, since=LONG.until - since, pages=pages)
    reached = LONG.until - int(read * since)
    found = parts.cut(sweep, reached)
    if found:
        assert (found[-1][1], found[0][0], len(found)) == (reached, sweep.since, parts.PARTS)
        assert all(below[1] == above[0] + SLACK for below, above in pairwise(found))
        assert sum(high - low for low, high in found) <= 1.1 * (reached - sweep.since)


def test_only_a_long_sweep_is_cut() -> None:
    """One that has read many pages and is expected to have many left; and no part is so short that it is mostly read twice."""
    assert parts.cut(LONG, NOW - 2 * DAY)
    assert not parts.cut(replace(LONG, pages=parts.LONG_PAGES - 1), NOW - 2 * DAY)
    assert not parts.cut(LONG, NOW - 7 * DAY)
    assert not parts.cut(replace(LONG, since=NOW - 2 * DAY - 20 * MINUTE), NOW - 2 * DAY)
    assert not parts.cut(replace(LONG, until=None), NOW - 2 * DAY)


def test_a_sweep_has_the_parts_that_did_not_end() -> None:
    """One after another they end, in whatever order."""
    cut = replace(LONG, parts=dict.fromkeys(range(3), LONG))
    left = parts.having(parts.having(cut, 1, None), 0, replace(LONG, pages=1))
    assert left.parts == {0: replace(LONG, pages=1), 2: LONG}
    assert not parts.having(parts.having(left, 2, None), 0, None).parts
