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

LATE_S = 22.0
"""Two intervals, and what the pages of each take; a link that is asked for three times costs five intervals and more."""

REQUESTS_MAX = 1500
"""In ten minutes; 1,234 as it is, 2,116 where a page that is asked again is taken for the next one, 3,271 where a new sweep counts on from the old."""


def told(provider: str, *, foreign: float, per_second: float, seconds: float) -> Story:
    """A history of a vendor some of whose links are not its own."""
    switches = Switches(foreign_links=foreign, links="cursor", limit_max=20)
    story = Story(3, switches, crash_s=None, seconds=seconds, settle_s=60.0, cluster=FakeCluster(1))
    story.defaults = "interval: 10s, overlap: 1m, reconcile: {every: 30m, back: 2h}, timeout: 5s"
    story.world = World(3, START, switches, per_second=per_second, backlog=50, providers=(provider,))
    story.providers = type(story.providers)(story.world, 3)
    return story


def late(story: Story) -> list[float]:
    """Seconds that each new message was published after it was listed, but for those of the first and the last twenty seconds."""
    seen = observed(story.published())
    return [
        (seen[sms.id] - sms.visible) / SECOND for sms in new(story.world, START + 20 * SECOND, START + round(story.seconds - 20) * SECOND)
    ]


@pytest.mark.parametrize("provider", [PLIVO, TWILIO])
def test_a_link_that_leads_elsewhere_delays_no_new_message(provider: str) -> None:
    """However many of them do: three pages an interval, and every fifth link of a page is not the vendor's."""
    story = told(provider, foreign=0.2, per_second=5.0, seconds=300.0)
    verdict = story.play()
    assert verdict.good, verdict
    waited = late(story)
    assert len(waited) > 500
    assert max(waited) <= LATE_S, sorted(waited)[-20:]


def test_a_vendor_without_one_good_link_is_read_as_far_as_its_first_pages_go_and_not_asked_without_end() -> None:
    """What is new is on the first page; the pages after it are tried now and then."""
    story = told(TWILIO, foreign=1.0, per_second=0.3, seconds=600.0)
    story.play()
    waited = late(story)
    assert len(waited) > 150
    assert max(waited) <= LATE_S, sorted(waited)[-20:]
    assert sum(story.providers.requests.values()) <= REQUESTS_MAX
