"""The audits of completeness: a hole is told once and soon, and nothing ordinary is called a hole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anyio
import msgspec
import pytest

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors import heymarket
from poller.demo.simulator.vendors.answers import Answer, Call
from poller.demo.simulator.world import World
from poller.model import DAY, HOUR, MINUTE, Stream
from poller.providers.contract import View, recalled
from poller.providers.fonedynamics import reread
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.fonedynamics.slices import Learned
from poller.providers.heymarket import recount
from poller.providers.kit import suspects
from poller.times import parse_rfc3339
from tests.lab import holes
from tests.support.asking import side_query
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

PROPERTY = Stream("fonedynamics", "a", "PR1")


@pytest.mark.parametrize("seed", range(2))
def test_what_is_counted_and_never_listed_is_told_once_within_two_periods(seed: int) -> None:
    """Six hidden rows in five days of late rows, lagging counts, vanishing rows and imports: six alarms, no other, none twice."""
    found = holes.counts(seed, days=5.0)
    assert (found.raised, found.twice, found.false) == (found.holes, 0, 0)
    assert found.holes >= 5
    assert found.hours[-1] <= 2 * holes.EVERY / HOUR


def test_a_hole_is_told_once_by_metric_and_log_whatever_restarts(capfd: pytest.CaptureFixture[str]) -> None:
    """The whole engine, restarted in between: one count of the metric, one line of the log with the range that holds the hidden row."""
    story = Story(4, Switches(late=0.0), crash_s=None, seconds=4 * 3600.0, settle_s=60.0, cluster=FakeCluster(1))
    story.world = World(4, START, story.switches, per_second=0.01, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 4)
    story.defaults, story.level = "interval: 5m, overlap: 10m, reconcile: {every: 90m, back: 12h}", "warning"
    hidden = story.world._message(HEYMARKET, START + HOUR, START + HOUR, backlog=False)
    hidden.hole, hidden.away, hidden.visible = True, (0, 0), START + HOUR
    told: list[float] = []
    still_open: list[dict[str, int]] = []

    async def look(story: Story) -> None:
        await anyio.sleep(story.seconds - 1)
        still_open.extend(account.gaps for account in story.running["worker-0"][0].snapshot().accounts)

    for _ in range(2):
        story.play(look)
        _, telemetry = story.running["worker-0"]
        samples = (sample for family in telemetry._metrics.gaps.collect() for sample in family.samples)
        told += [s.value for s in samples if s.name == "poller_possible_gaps_total" and s.labels["reason"] == "counted_not_listed"]
    assert told == [1.0, 0.0]
    assert still_open[-1] == {"counted_not_listed": 1}, "the state keeps it"
    lines = [line for line in capfd.readouterr().err.splitlines() if "counted_not_listed" in line]
    assert len(lines) == 1
    since, until = (parse_rfc3339(json.loads(lines[0])[bound]) for bound in ("since", "until"))
    assert since is not None
    assert until is not None
    assert since.instant <= hidden.created < until.instant


@pytest.mark.parametrize(("limit", "rate"), [(30, 0.02), (200, 0.004)], ids=["longer than a page", "shorter"])
def test_groups_with_one_timestamp_hide_no_hole(limit: int, rate: float) -> None:
    """What their conversations list from other days, or a page lists far below the audit's bounds, is not counted as listed between them."""
    found = holes.counts(1, days=3.0, holes=12, rate=rate, switches=replace(holes.CROWDS, limit_max=limit))
    assert (found.raised, found.twice) == (found.holes, 0)
    assert found.hours[-1] <= 2 * holes.EVERY / HOUR


def test_old_dated_rows_between_the_bounds_are_not_taken_for_a_group_below() -> None:
    """Lists may go by another stamp than the date they print: only a group that the lower walk shows excuses what it does not list."""
    bound, group = 100, {f"g{n}": 50 for n in range(10)}
    inside = {"a": 120, "b": 130}
    assert recount._between({**inside, "import": 70}, {"c": 70, "d": 60}, bound) == 3
    assert recount._between({**inside, "of the group": 50}, group, bound) == 2


def test_ordinary_misbehaviour_raises_nothing() -> None:
    """Without a hidden row there is no alarm."""
    found = holes.counts(7, days=3.0, holes=0)
    assert (found.raised, found.false) == (0, 0)


@pytest.mark.parametrize("rate", [0.02, 0.003])
def test_tilings_that_disagree_are_told(rate: float) -> None:
    """A filter that loses rows at the edges of windows is noticed, one that does not is not, also where a range is one slice."""
    assert holes.tilings(1, days=4.0, torn=True, rate=rate)
    assert not holes.tilings(1, days=4.0, rate=rate)


def test_counts_that_mean_something_else_turn_the_audit_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where counts never agree with lists, the audit says so once, and raises no gap."""
    counted = heymarket.count

    def doubled(call: Call, asked: dict[str, Any]) -> Answer:
        answer = counted(call, asked)
        return answer._replace(body=str(2 * int(answer.body.strip(b'"'))).encode())

    monkeypatch.setattr(heymarket, "count", doubled)
    said: list[str] = []
    found = holes.counts(3, days=2.0, holes=0, said=said)
    assert found.false == 0
    assert said.count("counts_not_comparable") == 1


def test_a_hole_that_is_met_before_any_count_agreed_waits_for_one() -> None:
    """However often its block is looked at, the audit stays on; once another block agrees, it is looked at again."""
    memory = recount.Counted()

    def look(span: suspects.Span, counted: int) -> None:
        nonlocal memory
        counts = counted, 0
        at = recount.Compared(memory, 10 * DAY, span, counts, before=counts, upper={"a": span[0]}, lower={})
        memory = recount._verdict(at).learned

    hole, other = (0, HOUR), (HOUR, 2 * HOUR)
    for _ in range(10):
        look(hole, 2)
    assert not memory.off
    assert memory.todo == ()
    look(other, 1)
    assert memory.todo == (hole,)
    look(hole, 2)
    assert memory.todo[:2] == ((0, HOUR // 2), (HOUR // 2, HOUR))


def test_a_range_that_disagrees_for_ever_is_told_once_and_keeps_no_other_from_being_told() -> None:
    """Round after round; and nothing stays suspect of what is told."""
    memory, told = suspects.Memory(), list[suspects.Span]()
    for begin, span in ((1, (0, 4)), (10, (4, 8)), (20, (0, 4)), (30, (4, 6)), (40, (6, 8))):
        since, until = (bound * suspects.CELL for bound in span)
        for minutes in (0, 30, 60):
            memory, gaps, _ = suspects.after_look(
                memory, (since, until), begin * DAY + minutes * MINUTE, wrong=True, reason="x", halve=False
            )
            told += [span] * len(gaps)
        assert not memory.suspects
    assert told == [(0, 4), (4, 8), (6, 8)]


@pytest.mark.parametrize("rate", [0.0, 1e-305, 0.003, 0.01, 0.2, 5.0])
def test_a_round_of_ranges_leaves_nothing_out_and_the_next_one_cuts_alike(rate: float) -> None:
    """From the first second to the newest closed cell, within two periods; whatever a round began with, all its bounds but the first are the same."""

    def round_of(now: int) -> list[suspects.Span]:
        spans, memory = list[suspects.Span](), None
        while request := side_query(FoneDynamics(), "tilings").begin(
            PROPERTY, View(now, now - 7 * DAY, 7 * DAY, 6 * HOUR, memory, Learned(most=100, rate=rate))
        ):
            spans.append(request.continuation.span)
            memory = request.continuation.memory
        return spans

    now = 1_790_000_000_000_000
    one, two = round_of(now), round_of(now + 5 * HOUR + 7 * MINUTE)
    assert one[0][0] == suspects.above(now - 7 * DAY)
    assert all(sooner[1] == later[0] for sooner, later in zip(one, one[1:], strict=False))
    assert one[-1][1] > now - suspects.CLOSED - 3 * HOUR - suspects.CELL
    period = side_query(FoneDynamics(), "tilings").period
    assert len(one) * period <= 12 * HOUR or rate > 1
    both = [span for span in two if span[1] <= one[-1][1]]
    assert len(both) > 5
    assert all(span in one for span in both[1:])


def test_a_disagreement_is_a_hole_at_the_third_look_over_an_hour() -> None:
    """One look, or three in a hurry, are none; a wide range is halved; a look that agrees clears the cell; a hole is told once."""
    memory, now, cell = suspects.Memory(), 10 * DAY, (0, suspects.CELL)

    def look(memory: suspects.Memory, at: int, *, wrong: bool = True) -> tuple[suspects.Memory, int]:
        after, gaps, _ = suspects.after_look(memory, cell, at, wrong=wrong, reason="x")
        return after, len(gaps)

    for minutes, gaps in ((0, 0), (1, 0), (2, 0), (30, 0), (31, 0), (60, 1), (90, 0), (300, 0)):
        memory, found = look(memory, now + minutes * MINUTE)
        assert found == gaps, minutes
    memory = suspects.Memory()
    for minutes, wrong in ((0, True), (30, True), (60, False), (90, True), (120, True)):
        memory, found = look(memory, now + minutes * MINUTE, wrong=wrong)
        assert not found
    halves, gaps, _ = suspects.after_look(suspects.Memory(), (0, 6 * suspects.CELL), now, wrong=True, reason="x")
    assert halves.todo == ((0, 3 * suspects.CELL), (3 * suspects.CELL, 6 * suspects.CELL))
    assert not gaps


def test_what_the_first_release_kept_of_looks_is_read() -> None:
    """By the names and the arrays of its state; what is of another shape begins anew."""
    look = {"suspects": {"600": [1, 2, 3, 4]}, "raised": [5], "withdrawn": [], "todo": [[6, 7]]}
    counted = recalled(recount.Counted, {**look, "blocks": [[0, 1, 2]], "agreed": 1, "tries": 0, "waiting": [[8, 9]]})
    assert counted == recount.Counted(
        {"600": suspects.Suspect(1, 2, 3, 4)}, (5,), (), ((6, 7),), (recount.Block(0, 1, 2),), 1, 0, ((8, 9),)
    )
    assert recalled(reread.Round, {**look, "next": 10, "round": 11}).next == 10
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(counted))["suspects"] == look["suspects"]
    assert recalled(recount.Counted, {"blocks": "none"}) is None
