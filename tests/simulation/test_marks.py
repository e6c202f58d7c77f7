"""What the state topic says of every rung: a mark moves only when a sweep came to its end, and to that sweep's own start."""

from __future__ import annotations

from itertools import pairwise

import pytest

from poller.coverage.cursor import Cursor
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.publishing.commit import Committer
from poller.publishing.state_records import cursor_key, decode_state
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

STREAM = "heymarket/main/team"


@pytest.fixture
def cursors(monkeypatch: pytest.MonkeyPatch) -> list[Cursor]:
    """The cursor after every page of a stream whose sweeps take many pages, at a provider that is often in trouble."""
    queue = Committer.queue
    monkeypatch.setattr(Committer, "queue", lambda self, *given, always=False: queue(self, *given, always=True))
    story = Story(5, crash_s=None, seconds=600.0, cluster=FakeCluster(1))
    switches = Switches(limit_max=30, errors=0.05, limited=0.05, late=0.3, late_s=120.0, status_s=60.0)
    story.world = World(5, START, switches, per_second=1.0, backlog=1500, backlog_s=7200.0, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 5)
    story.rate, story.defaults = "2/s", "interval: 10s, overlap: 1m, status_horizon: 2h, reconcile: {every: 10m, back: 4h}, timeout: 5s"
    assert not story.play().duplicates
    key = cursor_key(STREAM)
    return [
        decode_state(key, record.value) for record, committed in story.cluster.state[0] if committed and record.key == key and record.value
    ]


def test_a_mark_moves_only_when_its_sweep_ended_and_to_its_own_start(cursors: list[Cursor]) -> None:
    """While a sweep is in hand its rung's mark stands still; the mark that follows is when its first request was asked."""
    stood, moved = 0, 0
    for before, after in pairwise(cursors):
        for rung, held in before.sweeps.items():
            old, new, on = before.marks[rung].complete, after.marks[rung].complete, after.sweeps.get(rung)
            if on is not None and on.started == held.started:
                assert new == old
                stood += 1
            elif new != old:
                assert new == held.started
                moved += held.pages > 1
    assert stood > 100
    assert moved > 20
