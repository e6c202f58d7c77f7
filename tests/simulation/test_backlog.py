"""A long backlog is read in parts: as fast as the limit allows, whatever dies meanwhile, and its mark waits for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from poller.coverage import parts
from poller.coverage.cursor import Cursor
from poller.demo.simulator.profiles import FONE, HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.publishing.commit import Committer
from tests.lab import freshness
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story


def test_a_backlog_is_read_at_the_limit_where_answers_are_slow() -> None:
    """With answers of 400 ms at least four fifths of 400 requests a minute, none of which is refused, and no new message waits longer than the law says."""
    found = freshness.reading(10_000, seconds=40.0)
    assert (found.read, found.refused, found.late) == (10_000, 0, 0), found
    assert found.share >= 0.8, found


class Pressed(Story):
    """A Fone Dynamics whose crowds make every live sweep longer than its interval, at a limit that live polling alone would use up."""

    def configured(self) -> str:
        """With that limit."""
        return super().configured().replace("50/s", "120/min")


def test_long_live_sweeps_leave_a_backlog_its_turn() -> None:
    """What is read again for rows that are listed late comes after what nobody has read yet."""
    switches = freshness.CASES["crowds of 160, shuffled, faults"]
    story = Pressed(11, switches, crash_s=None, seconds=90.0, settle_s=20.0, settle_times=15, cluster=FakeCluster(1))
    story.world = World(11, START, switches, per_second=1.0, backlog=300, backlog_s=3000.0, providers=(FONE,))
    story.providers, story.defaults = type(story.providers)(story.world, 11), "interval: 1s, overlap: 10m"
    verdict = story.play()
    assert verdict.good, verdict._replace(missing=verdict.missing[:3])


@pytest.fixture
def cut_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps of two pages are long."""
    monkeypatch.setattr(parts, "LONG_PAGES", 2)


def story_of(provider: str, seed: int, *, crash_s: float | None, backlog: int = 900) -> Story:
    """A day's backlog at a provider of short pages that is often in trouble."""
    story = Story(seed, crash_s=crash_s, seconds=60.0, settle_s=30.0, cluster=FakeCluster(1))
    switches = Switches(limit_max=30, errors=0.05, limited=0.02, late=0.1, late_s=60.0, status_s=60.0, latency_s=0.4)
    story.world = World(seed, START, switches, per_second=0.5, backlog=backlog, backlog_s=80_000.0, providers=(provider,))
    story.providers = type(story.providers)(story.world, seed)
    story.rate, story.defaults = "10/s", "interval: 5s, overlap: 10m, reconcile: {every: 6h, back: 24h}, timeout: 5s"
    return story


@pytest.mark.parametrize("provider", [HEYMARKET, FONE])
def test_no_kill_loses_or_doubles_a_message_of_a_part(provider: str, cut_early: None) -> None:
    """Each part goes on where it was, in whatever life."""
    story = story_of(provider, 3, crash_s=8.0)
    verdict = story.play()
    assert story.crashes > 3
    assert verdict.good, verdict


def test_a_mark_waits_for_all_parts(cut_early: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves with the last of them, to when their sweep began; a debt stays until then."""
    queue, kept = Committer.queue, list[Cursor]()

    def queued(self: Committer, changes: Any, cursor: Cursor, *, always: bool = False) -> Any:
        kept.append(cursor)
        return queue(self, changes, cursor, always=always)

    monkeypatch.setattr(Committer, "queue", queued)
    assert story_of(HEYMARKET, 5, crash_s=None).play().good
    beside, ended = 0, 0
    for before, after in pairwise(kept):
        for rung, held in before.sweeps.items():
            beside += len(held.parts) > 1
            if held.parts and rung not in after.sweeps:
                assert (len(held.parts), after.marks[rung].complete) == (1, held.started)
                ended += 1
            elif held.parts:
                assert after.marks[rung] == before.marks[rung]
                assert rung in after.debts
    assert beside > 20
    assert ended >= 1
