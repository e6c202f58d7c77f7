"""Broadcasts of a Heymarket team, with whole workers: listed by the moment in which they were queued, printed as they are sent."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

QUIET = Switches(late=0.0, ties=0.0, classify_later=0.0, status_s=60.0)
CASES: dict[str, tuple[Switches, float, int]] = {
    "300 at five a second, pages of 1000": (
        replace(QUIET, broadcasts=0.01, broadcast_rows=300, broadcast_per_s=5.0, limit_max=1000),
        0.5,
        0,
    ),
    "600 at twenty a second, pages of 50": (
        replace(QUIET, broadcasts=0.01, broadcast_rows=600, broadcast_per_s=20.0, limit_max=50),
        0.5,
        0,
    ),
    "each ten seconds after it was queued": (
        replace(QUIET, broadcasts=1.0, broadcast_rows=3, broadcast_per_s=0.1, limit_max=100),
        3.0,
        299,
    ),
    "40 at one a second, pages of 30": (replace(QUIET, broadcasts=0.05, broadcast_rows=40, broadcast_per_s=1.0, limit_max=30), 0.5, 0),
}


@pytest.mark.parametrize("name", list(CASES))
def test_every_row_of_a_broadcast_and_of_the_history_below_is_published(name: str) -> None:
    """Live messages, statuses and history go on, and the cursor is not called ignored."""
    switches, per_second, backlog = CASES[name]
    story = Story(5, switches, crash_s=None, seconds=100.0, cluster=FakeCluster(1))
    story.world = World(5, START, switches, per_second=per_second, backlog=backlog, providers=(HEYMARKET,))
    story.providers, story.rate = type(story.providers)(story.world, 5), "400/min"
    story.defaults = "interval: 15s, overlap: 10m, reconcile: {every: 6h, back: 24h}, timeout: 5s"
    notes: list[str] = []

    async def look(story: Story) -> None:
        await anyio.sleep(story.seconds - 1)
        [(worker, _)] = story.running.values()
        page = worker.streams("heymarket/main", 0, 1)
        assert page is not None
        notes.extend(page.streams[0].notes)

    verdict = story.play(look)
    assert verdict.good, verdict._replace(missing=verdict.missing[:5], stale=verdict.stale[:5])
    assert verdict.messages_expected > 50
    assert "cursor_not_honoured" not in notes
