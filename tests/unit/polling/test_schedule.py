"""The schedule: shallowest first, nothing starves, and the cost does not grow with the number of streams."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.coverage.ladder import Rung
from poller.model import SECOND
from poller.polling.client.rate_limit import Wait
from poller.polling.jobs import Backfill, Edge, Part, Rank, SideQuery, Sweep
from poller.polling.schedule import IN_FLIGHT_MAX, Due, Plan, Schedule, quiet_period

RUNGS = (
    Rung(0, 600 * SECOND, SECOND, open=True),
    Rung(600 * SECOND, 2400 * SECOND, 86 * SECOND),
    Rung(2400 * SECOND, 9600 * SECOND, 300 * SECOND),
)


def ranked(rung: int, live: int = 0) -> Rank:
    """The live rung is the edge, the others are read again."""
    return Rank.EDGE if rung == live else Rank.REFRESH


def schedule(*streams: str, due: float = 0.0, in_flight: int = 1) -> Schedule:
    """Streams with every rung due."""
    plan = Schedule(in_flight_max=in_flight)
    for stream in streams:
        plan.add(stream, {Sweep(rung): Plan(due, ranked(rung)) for rung in range(len(RUNGS))})
    return plan


def go(plan: Schedule, now: float) -> Due:
    """The next thing to do, which must be something, started."""
    choice = plan.next(now)
    assert isinstance(choice, Due)
    plan.start(choice)
    return choice


def rung_of(choice: Due) -> int:
    """Its rung."""
    assert isinstance(choice.job, Sweep)
    return choice.job.rung


def swept(plan: Schedule, stream: str, rung: int, **how: float) -> None:
    """The rung's sweep ended."""
    plan.swept(stream, Sweep(rung), ranked(rung), **how)  # type: ignore[arg-type]


def test_the_shallowest_due_rung_goes_first_between_any_two_pages() -> None:
    """While a deep sweep is in hand, a live rung that becomes due is served before its next page."""
    plan = schedule("a")
    assert rung_of(go(plan, 0.0)) == 0
    swept(plan, "a", 0, began=0.0, took_s=0.0, period_s=1.0)
    plan.done("a", Sweep(0))
    assert rung_of(go(plan, 0.1)) == 1
    plan.done("a", Sweep(1))
    assert rung_of(go(plan, 2.0)) == 0


def test_new_messages_go_before_what_is_scheduled_ahead() -> None:
    """However long the sweep of the rung ahead of now is, the live rung is served before its next page, of every stream."""
    plan = Schedule(in_flight_max=1)
    for stream in ("a", "b"):
        plan.add(stream, {Sweep(rung): Plan(0.0, ranked(rung, live=1)) for rung in range(4)})
    assert {go(plan, 0.0), go(plan, 0.0)} == {Due("a", Sweep(1)), Due("b", Sweep(1))}
    for stream in ("a", "b"):
        plan.swept(stream, Sweep(1), Rank.EDGE, began=0.0, took_s=0.0, period_s=10.0)
        plan.done(stream, Sweep(1))
    assert rung_of(go(plan, 0.1)) == 0
    assert rung_of(go(plan, 0.1)) == 0
    plan.hurry("a", Sweep(1), 0.2, Rank.EDGE)
    plan.done("a", Sweep(0))
    plan.done("b", Sweep(0))
    assert go(plan, 0.2) == Due("a", Sweep(1))


def test_what_nobody_has_read_goes_before_what_is_read_again_and_side_queries_last() -> None:
    """Edge, first coverage, a long live sweep, refreshes, side queries: in that order, whenever they fell due."""
    plan = Schedule(in_flight_max=5)
    ranks = {Edge(): Rank.EDGE, Backfill(): Rank.COVERAGE, Sweep(0): Rank.OVERLAP, Sweep(1): Rank.REFRESH, SideQuery("lookup"): Rank.SIDE}
    plan.add("a", {job: Plan(-float(rank), rank) for job, rank in ranks.items()})
    assert [go(plan, 0.0).job for _ in ranks] == list(ranks)


@pytest.mark.parametrize(("edge", "overlap", "coverage"), [(True, 0.09, 0.1), (False, 0.3, 0.55)])
def test_no_rank_starves(edge: bool, overlap: float, coverage: float) -> None:
    """While more is asked for than may be asked, the edge takes seven in ten; of what it leaves refreshes and side queries get one in twenty of all,

    and long live sweeps three in ten; what nobody has read yet gets the rest.
    """
    plan = Schedule(in_flight_max=5)
    ranks = {Edge(): Rank.EDGE, Sweep(0): Rank.OVERLAP, Sweep(1): Rank.COVERAGE, Sweep(2): Rank.REFRESH, SideQuery("lookup"): Rank.SIDE}
    plan.add("a", {job: Plan(0.0, rank) for job, rank in ranks.items() if edge or rank is not Rank.EDGE})
    served: Counter[Rank] = Counter()
    for turn in range(4000):
        choice = go(plan, float(turn))
        served[ranks[choice.job]] += 1
        plan.done("a", choice.job)
    part = {rank: served[rank] / 4000 for rank in Rank}
    assert 0.68 <= part[Rank.EDGE] <= 0.72 or not edge
    assert part[Rank.REFRESH] >= 0.045
    assert part[Rank.SIDE] >= 0.045
    assert part[Rank.OVERLAP] >= overlap, part
    assert part[Rank.COVERAGE] >= coverage, part


def test_several_jobs_of_a_stream_are_in_flight_and_never_the_same_twice() -> None:
    """A job waits for its own page; others of its stream do not, up to a limit."""
    plan = Schedule()
    plan.add("a", {Sweep(rung): Plan(0.0, ranked(rung)) for rung in range(IN_FLIGHT_MAX + 1)})
    jobs = [go(plan, 0.0).job for _ in range(IN_FLIGHT_MAX)]
    assert jobs == [Sweep(rung) for rung in range(IN_FLIGHT_MAX)]
    assert plan.next(1.0) == Wait(None)
    plan.done("a", jobs[0])
    assert go(plan, 1.0).job == Sweep(0)


def test_a_stream_that_reads_in_parts_takes_only_what_others_leave() -> None:
    """While other streams have something to read that nobody has read yet, each takes its turn; the parts get what is left, and the edge goes first."""
    plan, others = Schedule(), [f"other {number}" for number in range(3)]
    plan.add("long", {Part(3, number): Plan(0.0, Rank.COVERAGE) for number in range(3)})
    for stream in others:
        plan.add(stream, {Sweep(3): Plan(1.0, Rank.COVERAGE)})
    plan.add("live", {Sweep(0): Plan(2.0, Rank.EDGE)})
    assert go(plan, 5.0).stream == "live"
    assert {go(plan, 5.0).stream for _ in others} == set(others)
    assert [go(plan, 5.0).job for _ in range(3)] == [Part(3, number) for number in range(3)]
    plan.done(others[0], Sweep(3))
    plan.done("long", Part(3, 0))
    assert [go(plan, 5.0).stream for _ in range(2)] == [others[0], "long"]


def test_one_request_a_stream_in_flight_where_no_more_may_be() -> None:
    """A busy stream is not offered again before its page is done."""
    plan = schedule("a")
    go(plan, 0.0)
    assert plan.next(100.0) == Wait(None)
    plan.done("a", Sweep(0))
    assert isinstance(plan.next(100.0), Due)


def test_an_answer_stands_until_it_is_started() -> None:
    """Asking twice gives the same answer: nothing is lost while the allowance is awaited."""
    plan = schedule("a", "b")
    assert plan.next(0.0) == plan.next(0.0)


def test_a_stream_in_trouble_waits_and_delays_no_other() -> None:
    """Until its next try the stream is not offered; the others are."""
    plan = schedule("a", "b")
    first = go(plan, 0.0).stream
    plan.done(first, Sweep(0), not_before=50.0)
    other = go(plan, 1.0).stream
    assert other != first
    plan.done(other, Sweep(0), not_before=1e9)
    assert plan.next(2.0) == Wait(48.0)
    assert go(plan, 50.0).stream == first


def test_a_removed_stream_is_never_offered_again() -> None:
    """Also when it was queued."""
    plan = schedule("a")
    plan.next(0.0)
    plan.remove("a")
    assert plan.next(0.0) == Wait(None)


def test_deep_rungs_keep_their_share_under_a_live_load_without_end() -> None:
    """Thirty percent of the pages are deep ones although live ones are always due."""
    plan = schedule(*(f"s{n}" for n in range(20)))
    served: Counter[int] = Counter()
    for turn in range(2000):
        now = float(turn)
        choice = go(plan, now)
        served[min(rung_of(choice), 1)] += 1
        if rung_of(choice) == 0:
            swept(plan, choice.stream, 0, began=now, took_s=0.0, period_s=1.0)
        plan.done(choice.stream, choice.job)
    assert 0.28 <= served[1] / 2000 <= 0.32


def test_live_rungs_are_not_held_up_where_there_is_room() -> None:
    """Without contention every due live rung is next, however many deep pages were served."""
    plan = schedule("a", "b")
    for turn in range(50):
        now = float(turn)
        live = [choice for _ in range(2) for choice in [go(plan, now)]]
        for choice in live:
            swept(plan, choice.stream, rung_of(choice), began=now, took_s=0.0, period_s=1.0 if rung_of(choice) == 0 else 1e6)
            plan.done(choice.stream, choice.job)
    entry = plan.entry("a")
    assert entry is not None
    assert entry.due[Sweep(0)] >= 49.0


@given(st.integers(0, 10**6))
def test_the_second_sweep_falls_at_the_streams_own_phase(seed: int) -> None:
    """A rung's second sweep comes within one period of the first, at a fraction that belongs to the stream."""
    plan = schedule(f"s{seed}")
    go(plan, 0.0)
    swept(plan, f"s{seed}", 0, began=0.0, took_s=0.0, period_s=100.0)
    entry = plan.entry(f"s{seed}")
    assert entry is not None
    assert 0 < entry.due[Sweep(0)] <= 100.0
    again = schedule(f"s{seed}")
    swept(again, f"s{seed}", 0, began=0.0, took_s=0.0, period_s=100.0)
    assert again.entry(f"s{seed}").due[Sweep(0)] == entry.due[Sweep(0)]  # pyright: ignore[reportOptionalMemberAccess]


def test_a_sweep_longer_than_its_interval_leaves_time_to_the_deep_rungs() -> None:
    """The next live sweep is due no earlier than its start plus what its pages took over 0.7."""
    plan = schedule("a")
    swept(plan, "a", 0, began=0.0, took_s=70.0, period_s=1.0)
    entry = plan.entry("a")
    assert entry is not None
    assert abs(entry.due[Sweep(0)] - 100.0) < 1e-9


def test_hurrying_never_postpones() -> None:
    """A hint may only bring a rung forward."""
    plan = schedule("a", due=10.0)
    plan.hurry("a", Sweep(1), 20.0, Rank.REFRESH)
    assert plan.entry("a").due[Sweep(1)] == 10.0  # pyright: ignore[reportOptionalMemberAccess]
    plan.hurry("a", Sweep(1), 5.0, Rank.REFRESH)
    assert plan.next(5.0) == Due("a", Sweep(1))


def test_ten_thousand_streams_are_served_in_turn() -> None:
    """With one second a request every stream of ten thousand is asked once before any is asked twice."""
    plan = schedule(*(f"s{n}" for n in range(10_000)))
    seen = set()
    for turn in range(10_000):
        choice = go(plan, float(turn) / 1000)
        seen.add(choice.stream)
        swept(plan, choice.stream, rung_of(choice), began=turn / 1000, took_s=0.0, period_s=1e6)
        plan.done(choice.stream, choice.job, not_before=1e6)
    assert len(seen) == 10_000


def test_quiet_streams_are_asked_less_often_but_within_one_round() -> None:
    """The period grows with the age of the last change, between the interval and one round of all streams."""
    assert quiet_period(interval_s=15, quiet_s=0, per_reach=28, streams=2, rate=1) == 15
    assert quiet_period(interval_s=15, quiet_s=2800, per_reach=28, streams=10_000, rate=1) == 100
    assert quiet_period(interval_s=15, quiet_s=10**9, per_reach=28, streams=10_000, rate=1) == 12_500
    assert quiet_period(interval_s=15, quiet_s=10**9, per_reach=28, streams=2, rate=1) == 15
