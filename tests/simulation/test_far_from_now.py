"""What lies far from now: a provider's clock that is ahead for an hour, a stream that was away for longer than its look-back, a past range at its border."""

from __future__ import annotations

from collections import Counter
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import pytest

from poller.coverage.backfill import BackfillRequest
from poller.demo.simulator.profiles import FONE, PLIVO, PROPERTIES, SUBACCOUNTS, TWILIO
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.kafka.port import Stored
from poller.model import DAY, HOUR, SECOND, Instant
from poller.publishing.state_records import encode_state, request_key
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story
from tests.support.straight import Sent

DEFAULTS = "interval: {interval}, overlap: 10m, reconcile: {{every: {every}, back: 2h}}, status_horizon: 2h, timeout: 5s"


class Far(Story):
    """A history of one provider over hours, with a look-back of two."""

    wrong: tuple[Instant, Instant] = (0, 0)
    """While the provider's clock is a day ahead."""
    away: str = ""
    """What is not configured, if anything."""
    sick: str = ""
    """A property whose older messages cannot be asked for, if any."""

    def __init__(self, provider: str, *, hours: float, interval: str = "60s", every: str = "30m", switches: Switches, **world: Any) -> None:
        super().__init__(5, switches, crash_s=None, seconds=hours * 3600, settle_s=60.0, settle_times=3, cluster=FakeCluster(1))
        self.defaults, self.look_s = DEFAULTS.format(interval=interval, every=every), 30.0
        self.world = World(5, START, switches, providers=(provider,), **world)
        self.providers = Providers(self.world, 5)

    def configured(self) -> str:
        """Without the stream that is away."""
        return super().configured().replace(f", {self.away}]", "]") if self.away else super().configured()

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        since = int(dict(parse_qsl(urlsplit(asked.target).query)).get("Date_From", START // SECOND))
        if self.sick and self.sick in asked.target and since < START // SECOND - 800:
            return Answer(500, b"", "text/plain")
        found, now = await super()._answer(asked, name), self.clock.now()
        if self.wrong[0] <= now < self.wrong[1]:
            found = found._replace(headers={**found.headers, "date": formatdate((now + DAY) / SECOND, usegmt=True)})
        return found

    def played_on(self, hours: float, *, without: str = "") -> None:
        """Some hours after which messages go on, as they do in a stream that is not configured meanwhile."""
        self.away, self.seconds, freeze = without, hours * 3600, self.world.freeze
        self.world.freeze = lambda now: None  # type: ignore[method-assign]
        self.play()
        self.away, self.world.freeze = "", freeze  # type: ignore[method-assign]

    def twice(self) -> list[str]:
        """Keys of messages that were created more than once."""
        created = Counter(event.key for event in self.published() if event.type.startswith("sms.message.created"))
        return [key for key, count in created.items() if count > 1]


def test_a_provider_whose_clock_is_a_day_ahead_for_an_hour_loses_nothing() -> None:
    """Its watermarks are ahead meanwhile; were messages forgotten by them, and the floor raised, the day could never be published."""
    switches = Switches(late=0.0, ties=0.0)
    story = Far(PLIVO, hours=2.5, every="20m", switches=switches, per_second=0.02, backlog=20, backlog_s=7000.0)
    story.wrong = (START + 600 * SECOND, START + 4800 * SECOND)
    verdict = story.play()
    assert verdict.good, verdict


def test_a_stream_that_owed_its_past_when_it_was_taken_away_gets_it_when_it_comes_back() -> None:
    """Away for longer than the look-back is deep: what was published is forgotten, and what was owed is not."""
    switches = Switches(late=0.0, ties=0.0, status_s=5.0)
    story = Far(FONE, hours=0.3, switches=switches, per_second=0.03, backlog=60, backlog_s=7000.0)
    story.start_from, story.sick = "2h", PROPERTIES[1]
    story.played_on(0.3)
    story.sick = ""
    story.played_on(4.3, without=PROPERTIES[1])
    story.seconds = 6 * 3600.0
    verdict = story.play()
    owed = [sms.id for sms in story.world.all() if sms.stream == PROPERTIES[1] and sms.created < START - 600 * SECOND]
    assert len(owed) > 20
    assert not [key for key in verdict.missing if key.rpartition("/")[2] in owed]
    assert not story.twice()


@pytest.mark.parametrize(("provider", "stream"), [(TWILIO, SUBACCOUNTS[1]), (FONE, PROPERTIES[1])])
def test_what_was_on_its_way_when_a_stream_was_taken_away_is_published_once_and_to_its_end(provider: str, stream: str) -> None:
    """Its position may move meanwhile (Twilio), or its last status lie below the floor."""
    switches = Switches(late=0.0, ties=0.0, status_s=120.0)
    story = Far(provider, hours=1.0, switches=switches, per_second=0.03, backlog=10, backlog_s=3000.0)
    story.start_from = "1h"
    story.played_on(1.0)
    left = story.start
    story.played_on(4.3, without=stream)
    story.seconds = 3600.0
    verdict = story.play()
    before = {sms.id for sms in story.world.all() if sms.created < left}
    assert not story.twice()
    assert not [key for key in (*verdict.missing, *verdict.stale) if key.rpartition("/")[2] in before]


async def _asked(number: int, story: Story) -> None:
    await anyio.sleep(4.2 * 3600)
    for stream in SUBACCOUNTS:
        request = BackfillRequest(f"r{number}", START - 2 * HOUR, START)
        story.cluster.add_request(Stored(request_key(f"twilio/us/{stream}"), encode_state(request)))


@pytest.mark.parametrize("granularity", ["day", "second"])
def test_a_backfill_publishes_nothing_that_was_sent_after_its_range(granularity: Any) -> None:
    """Filters of whole days list it; live polling published it hours ago, and has forgotten it."""
    switches = Switches(late=0.0, ties=0.0, status_s=400.0, granularity=granularity)
    story = Far(TWILIO, hours=5.0, interval="120s", switches=switches, per_second=0.005, backlog=300, backlog_s=7200.0)
    story.start_from = "1h"
    verdict = story.play(partial(_asked, 1))  # type: ignore[arg-type]
    assert verdict.good, verdict
    assert not story.twice()
    assert len([event for event in story.published() if event.type.startswith("sms.message.created")]) > 250
