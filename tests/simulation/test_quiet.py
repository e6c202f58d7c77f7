"""A stream on which nothing happens costs little, and is hurried again as soon as something does."""

from __future__ import annotations

from typing import Any

import anyio

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import World
from poller.model import HOUR, MINUTE, SECOND
from tests.support.story import START, Story

INTERVAL_S = 15


def test_a_quiet_stream_costs_one_and_a_half_requests_an_interval() -> None:
    """Sweeps, hints and counts together; after the next message the newest changes are asked for at every interval again."""
    story, asked = Story(3, crash_s=None, seconds=2.15 * 3600, settle_s=10.0), list[tuple[int, bool]]()
    story.world = World(
        3, START, Switches(late=0.0, status_s=1.0), per_second=1e-9, backlog=100, backlog_s=22 * 3600.0, providers=(HEYMARKET,)
    )
    story.providers = type(story.providers)(story.world, 3)
    story.defaults = "interval: 15s, overlap: 10m, reconcile: {every: 6h, back: 7d}, timeout: 5s"
    answer = story.providers.answer

    def counted(*given: Any) -> Answer:
        asked.append((given[-1], b"updated_at" in (given[3] or b"")))
        return answer(*given)

    async def later(_: Story) -> None:
        await anyio.sleep(2.1 * 3600)
        story.world._message(HEYMARKET, story.clock.now(), story.clock.now(), backlog=False)

    story.providers.answer = counted  # type: ignore[method-assign]
    assert story.play(later).good  # type: ignore[arg-type]
    woken = START + 2 * HOUR + 6 * MINUTE
    an_interval = sum(woken - HOUR // 2 < at < woken for at, _ in asked) / (HOUR // 2 / (INTERVAL_S * SECOND))
    assert an_interval < 1.5, an_interval
    woken += INTERVAL_S * SECOND
    hints = [at for at, hint in asked if hint and woken < at < woken + 2 * MINUTE]
    assert len(hints) >= 6, len(hints)
