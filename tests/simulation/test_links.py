"""Links that lead elsewhere: what a page lists counts, and its sweep begins anew, for that link would be refused however often it is tried."""

from __future__ import annotations

import pytest

from poller.demo.simulator.profiles import PLIVO, TWILIO
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import SECOND
from tests.support.fake_kafka import FakeCluster
from tests.support.first_seen import new, observed
from tests.support.story import START, Story

LATE_S = 20.0
"""Two intervals; a link that is asked for three times costs five and more."""


@pytest.mark.parametrize("provider", [PLIVO, TWILIO])
def test_a_link_that_leads_elsewhere_delays_no_new_message(provider: str) -> None:
    """However many of them do: three pages an interval, and every fifth link of a page is not the vendor's."""
    story = Story(
        3, Switches(foreign_links=0.2, links="cursor", limit_max=20), crash_s=None, seconds=300.0, settle_s=60.0, cluster=FakeCluster(1)
    )
    story.defaults = "interval: 10s, overlap: 1m, reconcile: {every: 30m, back: 2h}, timeout: 5s"
    story.world = World(3, START, story.switches, per_second=5.0, backlog=50, providers=(provider,))
    story.providers = type(story.providers)(story.world, 3)
    verdict = story.play()
    assert verdict.good, verdict
    seen = observed(story.published())
    late = [(seen[sms.id] - sms.visible) / SECOND for sms in new(story.world, START + 20 * SECOND, START + 280 * SECOND)]
    assert len(late) > 500
    assert max(late) <= LATE_S, sorted(late)[-20:]
