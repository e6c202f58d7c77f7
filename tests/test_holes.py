"""The audits of completeness: a hole is told once and soon, and nothing ordinary is called a hole."""

from __future__ import annotations

from typing import Any

import pytest

from poller.demo.providers import Answer, Providers
from poller.model import DAY, HOUR, MINUTE
from poller.providers import looks

from . import holes


@pytest.mark.parametrize("seed", range(2))
def test_what_is_counted_and_never_listed_is_told_once_within_two_periods(seed: int) -> None:
    """Six hidden rows in five days of late rows, lagging counts, vanishing rows and imports: six alarms, no other, none twice."""
    found = holes.counts(seed, days=5.0)
    assert (found.raised, found.twice, found.false) == (found.holes, 0, 0)
    assert found.holes >= 5
    assert found.hours[-1] <= 2 * holes.EVERY / HOUR


def test_conversations_read_for_a_long_group_hide_no_hole() -> None:
    """What a conversation lists from other days is not counted as listed between the audit's bounds."""
    found = holes.counts(0, days=3.0, holes=12, switches=holes.CROWDS)
    assert (found.raised, found.twice) == (found.holes, 0)
    assert found.hours[-1] <= 2 * holes.EVERY / HOUR


def test_ordinary_misbehaviour_raises_nothing() -> None:
    """Without a hidden row there is no alarm."""
    found = holes.counts(7, days=3.0, holes=0)
    assert (found.raised, found.false) == (0, 0)


def test_tilings_that_disagree_are_told() -> None:
    """A filter that loses rows at the edges of windows is noticed, one that does not is not."""
    assert holes.tilings(1, days=3.0, torn=True)
    assert not holes.tilings(1, days=3.0)


def test_counts_that_mean_something_else_turn_the_audit_off() -> None:
    """Where counts never agree with lists, the audit says so once, and raises no gap."""
    counted = Providers._count

    def doubled(self: Providers, asked: dict[str, Any], now: int) -> Answer:
        answer = counted(self, asked, now)
        return answer._replace(body=str(2 * int(answer.body.strip(b'"'))).encode())

    Providers._count = doubled  # type: ignore[method-assign]
    said: list[str] = []
    try:
        found = holes.counts(3, days=2.0, holes=0, said=said)
    finally:
        Providers._count = counted  # type: ignore[method-assign]
    assert found.false == 0
    assert said.count("counts_not_comparable") == 1


def test_a_disagreement_is_a_hole_at_the_third_look_over_an_hour() -> None:
    """One look, or three in a hurry, are none; a wide range is halved; a look that agrees clears the cell; a hole is told once."""
    memo, now, cell = looks.kept({}, 0), 10 * DAY, [0, looks.CELL]

    def look(memo: looks.Json, at: int, *, wrong: bool = True) -> tuple[looks.Json, int]:
        after, gaps, _ = looks.looked(memo, cell, at, wrong=wrong, reason="x")
        return after, len(gaps)

    for minutes, gaps in ((0, 0), (1, 0), (2, 0), (30, 0), (31, 0), (60, 1), (90, 0), (300, 0)):
        memo, found = look(memo, now + minutes * MINUTE)
        assert found == gaps, minutes
    memo = looks.kept({}, 0)
    for minutes, wrong in ((0, True), (30, True), (60, False), (90, True), (120, True)):
        memo, found = look(memo, now + minutes * MINUTE, wrong=wrong)
        assert not found
    halves, gaps, _ = looks.looked(looks.kept({}, 0), [0, 6 * looks.CELL], now, wrong=True, reason="x")
    assert halves["todo"] == [[0, 3 * looks.CELL], [3 * looks.CELL, 6 * looks.CELL]]
    assert not gaps
