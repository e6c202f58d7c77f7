"""What lateness teaches, and what it must not."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.coverage import cursor as window
from poller.coverage import ladder, lateness
from poller.coverage.lateness import Lateness
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling.ladder_tuning import LadderTuner
from poller.polling.streams import StreamPoll
from poller.providers.heymarket.provider import Heymarket
from tests.support.account import SETTINGS
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

NOW = 1_790_000_000 * SECOND
INTERVAL = 15 * SECOND


def taught(days: int, *, on_time: int, late: dict[int, int]) -> Lateness:
    """So many days of so many rows a day; ``late`` maps a lateness in seconds to rows a day."""
    known = Lateness(NOW - days * DAY, NOW - days * DAY)
    buckets = Counter({lateness.bucket(seconds * SECOND): rows for seconds, rows in late.items()})
    for day in range(days):
        known = lateness.observe(known, now=NOW - (days - day - 1) * DAY, on_time=on_time, late=buckets)
    return known


def chosen(known: Lateness, share: float = 0.01) -> int:
    """The overlap that follows, in seconds."""
    return lateness.choose(known, now=NOW, interval=INTERVAL, live_share=share).overlap // SECOND


def test_until_200_rows_and_a_day_are_seen_the_overlap_stays() -> None:
    """Ten minutes, whatever the first rows say."""
    assert chosen(taught(5, on_time=10, late={3000: 5})) == 600
    assert chosen(lateness.observe(Lateness(NOW - HOUR, NOW), now=NOW, on_time=5000, late=Counter())) == 600


def test_the_overlap_covers_the_99th_percentile_of_lateness_with_a_margin() -> None:
    """Rows two minutes late in every fiftieth case: the middle of their bucket and half as much again, which covers them."""
    known = taught(20, on_time=980, late={110: 20})
    assert lateness.quantile(known) // SECOND == 102
    assert chosen(known) == 153


@given(st.integers(1, 3600), st.integers(12, 1000))
def test_whatever_one_row_in_a_hundred_is_late_by_the_overlap_covers_it(late: int, rows: int) -> None:
    """Wherever in its bucket the rows lie, as far as the longest overlap."""
    assert chosen(taught(20, on_time=1000, late={late: rows})) >= late


def test_rows_that_are_never_late_give_the_least_overlap() -> None:
    """Four intervals or two slacks, whichever is longer."""
    assert chosen(taught(10, on_time=1000, late={})) == 120


def test_an_overlap_is_never_longer_than_an_hour_or_than_a_quarter_of_the_quota_pays_for() -> None:
    """Lateness of hours is the deeper rungs' work."""
    known = taught(10, on_time=500, late={7200: 500})
    assert chosen(known) == 3600
    assert chosen(known, share=0.125) == 1200
    assert chosen(known, share=0.5) == 300


def test_a_small_change_is_no_change_and_shorter_only_once_a_day() -> None:
    """Within a quarter it stays; up at once; down once a day."""
    known = taught(10, on_time=1000, late={})
    assert (
        lateness.choose(
            Lateness(known.since, known.touched, 140 * SECOND, 0, known.on_time), now=NOW, interval=INTERVAL, live_share=0
        ).overlap
        == 140 * SECOND
    )
    shorter = lateness.choose(known, now=NOW, interval=INTERVAL, live_share=0.0)
    assert (shorter.overlap, shorter.lowered) == (120 * SECOND, NOW)
    again = Lateness(shorter.since, shorter.touched, 10 * MINUTE, shorter.lowered, shorter.on_time, shorter.late)
    assert lateness.choose(again, now=NOW + HOUR, interval=INTERVAL, live_share=0.0).overlap == 10 * MINUTE


def test_an_import_of_old_rows_that_is_bounded_per_sweep_does_not_move_it() -> None:
    """Rows that are hours to days late, found by six sweeps, each counting ten of them: nothing changes, though one row in a hundred is late anyhow."""
    assert lateness.bucket(2 * HOUR) == lateness.bucket(300 * DAY)
    for late in range(60, 600, 20):
        before = taught(10, on_time=17_280, late={late: 200, 30: 300})
        before = lateness.choose(before, now=NOW, interval=INTERVAL, live_share=0.01)
        after = lateness.observe(before, now=NOW, on_time=0, late=Counter({lateness.bucket(3 * HOUR): lateness.PER_SWEEP_MAX * 6}))
        assert chosen(after) == chosen(before)


def test_what_hints_list_of_an_import_counts_with_the_sweep_of_its_age() -> None:
    """Twenty pages of fifty old rows each: ten rows count until the rung that owns them was swept, then ten more."""
    rungs = ladder.build(interval=INTERVAL, overlap=10 * MINUTE, status_horizon=0, every=6 * HOUR, back=7 * DAY)
    poll = StreamPoll(Stream(HEYMARKET, "a", "team"), rungs)
    cursor = replace(window.begin(rungs, floor=NOW, now=NOW), debts={})
    shard_state: Any = SimpleNamespace(lateness=lambda _: Lateness(NOW, NOW))
    tuner = LadderTuner(SETTINGS, Heymarket().listing, shard_state, SimpleNamespace(), now=NOW)  # type: ignore[arg-type]
    counted = []
    for marks in (cursor.marks, tuple(replace(mark, complete=NOW + SECOND) for mark in cursor.marks)):
        for page in range(20):
            created = [NOW - 3 * HOUR - page * MINUTE - n * SECOND for n in range(50)]
            assert len(tuner.observe(poll, replace(cursor, marks=marks), created, now=NOW)) == 50
        counted.append(sum(tuner.lateness.late))
    assert counted == [10.0, 20.0]


@given(st.integers(0, 400 * DAY))
def test_a_bucket_holds_its_lateness(late: int) -> None:
    """Its upper end is not below, and no more than a factor of 1.5 above what is beyond the first bucket."""
    number = lateness.bucket(late)
    assert late <= lateness.reach(number) or number == lateness.BUCKETS - 1
    if 0 < number < lateness.BUCKETS - 1:
        assert lateness.reach(number) <= late * 1.5


def test_a_learned_overlap_is_shown_with_its_reason_and_survives_a_restart() -> None:
    """After a day it follows the lateness that it saw; another worker, without a cache, begins with it."""
    story = Story(1, Switches(late=0.05, late_s=60.0, ties=0.0, status_s=60.0), crash_s=None, settle_s=60.0, cluster=FakeCluster(1))
    story.world = World(1, START, story.switches, per_second=0.01, backlog=200, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 1)
    story.defaults = "interval: 5m, overlap: auto, reconcile: {every: 6h, back: 7d}"
    shown: list[tuple[float, str]] = []

    async def looked(_: Story) -> None:
        await anyio.sleep(story.seconds - 1)
        worker = story.running["worker-0"][0]
        shown.extend((account.overlap_s, account.overlap_reason) for shard in worker.snapshot().shards for account in shard.accounts)

    for seconds in (600.0, 26 * 3600.0, 600.0):
        story.seconds, story.world._frozen = seconds, False
        story.play(looked)
    (before, unknown), (learned, why), (kept, still) = shown
    assert before == lateness.START / SECOND
    assert learned != before
    assert kept == learned
    assert unknown != why
    assert why.split()[0] == still.split()[0]
