"""Who goes first: what nobody has read yet before what is read again, and side queries last."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from poller.coverage import cursor as coverage
from poller.coverage import ladder
from poller.model import DAY, HOUR, MINUTE, SECOND
from poller.polling import jobs
from poller.polling.jobs import Backfill, Edge, Job, Part, Rank, Rest, SideQuery, Sweep
from tests.support.rows import NOW

LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY)
NEW = coverage.begin(LADDER, floor=NOW - DAY, now=NOW)
SWEPT = replace(NEW, marks=tuple(replace(mark, swept=True) for mark in NEW.marks), debts={})
OWING = replace(SWEPT, debts={2: (NOW - DAY, NOW)})


@pytest.mark.parametrize(
    ("job", "cursor", "long", "expected"),
    [
        (Edge(), SWEPT, True, Rank.EDGE),
        (Sweep(0), NEW, False, Rank.EDGE),
        (Sweep(0), SWEPT, True, Rank.OVERLAP),
        (Sweep(0), NEW, True, Rank.COVERAGE),
        (Sweep(0), replace(SWEPT, debts={0: (NOW - DAY, NOW)}), True, Rank.COVERAGE),
        (Sweep(2), NEW, False, Rank.COVERAGE),
        (Sweep(2), OWING, False, Rank.COVERAGE),
        (Sweep(2), None, False, Rank.COVERAGE),
        (Sweep(3), OWING, False, Rank.REFRESH),
        (Part(2, 0), OWING, False, Rank.COVERAGE),
        (Rest(0), SWEPT, True, Rank.COVERAGE),
        (Backfill(), SWEPT, False, Rank.COVERAGE),
        (SideQuery("lookup"), NEW, False, Rank.SIDE),
    ],
)
def test_a_jobs_rank_follows_from_what_was_read(job: Job, cursor: coverage.Cursor | None, long: bool, expected: Rank) -> None:
    """First coverage and debts go before refreshes; a live sweep that lasts an interval leaves the edge to a look of its own."""
    assert jobs.rank(job, LADDER, cursor, long=long) is expected


def test_jobs_of_different_kinds_are_never_the_same() -> None:
    """They are keys: those without a field of their own must not meet."""
    kinds: list[Job] = [Edge(), Backfill(), Rest(0), Sweep(0), SideQuery("edge")]
    assert len(dict.fromkeys(kinds)) == len(kinds)
