"""Possible gaps: open until a later look proves them, however often they are reported, through any restart."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from poller.coverage import gaps
from poller.coverage.cursor import Cursor
from poller.model import Gap

spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda t: (t[0], t[0] + t[1]))
found = st.lists(st.tuples(st.sampled_from(["tie_group", "full_second"]), spans), max_size=12)


def reported(*given: tuple[str, tuple[int, int]], now: int = 100, lasting: bool = False) -> gaps.Gaps:
    """The open gaps after some reports."""
    held: gaps.Gaps = ()
    for reason, (since, until) in given:
        held = gaps.reported(held, (Gap(reason, since, until),), now=now, lasting=lasting)
    return held


def covered(held: gaps.Gaps) -> set[tuple[str, int]]:
    """Every instant of every open gap."""
    return {(gap.reason, at) for gap in held for at in range(gap.since, gap.until)}


def test_a_later_sweep_of_the_whole_range_proves_it() -> None:
    """Only one that began after the last report, and that covers all of it."""
    held = reported(("tie_group", (10, 20)), now=100)
    assert gaps.swept(held, since=0, until=None, started=101) == ()
    assert gaps.swept(held, since=0, until=20, started=101) == ()
    for since, until, started in ((11, None, 101), (0, 19, 101), (0, None, 100)):
        assert gaps.swept(held, since=since, until=until, started=started) == held
    again = gaps.reported(held, (Gap("tie_group", 10, 20),), now=150, lasting=False)
    assert gaps.swept(again, since=0, until=None, started=140) == again, "the sweep that reports it does not prove it"
    assert gaps.changes(held, again) == ((), ()), "it is the same gap"


def test_what_a_side_query_found_is_proved_only_by_a_side_query() -> None:
    """A hole that is counted and never listed is not disproved by lists."""
    held = reported(("counted_not_listed", (10, 20)), lasting=True)
    assert gaps.swept(held, since=0, until=None, started=999) == held
    assert gaps.proved(held, ((0, 15),)) == held
    assert gaps.proved(held, ((5, 20),)) == ()
    [closed] = gaps.changes(held, ())[1]
    assert (closed.since, closed.until) == (10, 20)


def test_a_gap_below_the_floor_is_out_of_scope() -> None:
    """Like every message there."""
    held = reported(("tie_group", (10, 20)))
    assert gaps.above(held, 19) == held
    assert gaps.above(held, 20) == ()


@given(found)
def test_no_instant_is_forgotten_however_gaps_overlap(given: list[tuple[str, tuple[int, int]]]) -> None:
    """What was reported is covered by what is kept, each reason for itself, without two of one reason that touch."""
    held = reported(*given)
    assert {(reason, at) for reason, (since, until) in given for at in range(since, until)} <= covered(held)
    assert gaps.changes((), held)[0] == held
    for one in held:
        assert not [
            two for two in held if two is not one and two.reason == one.reason and one.since <= two.until and two.since <= one.until
        ]


def test_many_gaps_are_bounded_and_still_cover_every_range() -> None:
    """Ten thousand over-full seconds do not make a cursor of megabytes."""
    given = [("tie_group", (10 * number, 10 * number + 1)) for number in range(500)]
    held = reported(*given)
    assert len(held) == gaps.GAPS_MAX
    assert {(reason, at) for reason, (since, until) in given for at in range(since, until)} <= covered(held)


def test_a_cursor_of_an_earlier_release_has_no_gaps() -> None:
    """Its bytes are read as they are; those of this release keep their gaps."""
    old = {"floor": 1, "start": 1, "marks": [], "watermark": 2, "changed": 3}
    cursor = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Cursor)
    assert cursor.gaps == ()
    kept = msgspec.structs.replace(cursor, gaps=reported(("tie_group", (10, 20))))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Cursor) == kept
