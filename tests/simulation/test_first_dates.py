"""A clock that lies at first, or only now and then, hides no message: whole workers, and the judge of what was published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from poller.demo.simulator.vendors.answers import Answer
from poller.errors import ClientUnusable
from poller.model import DAY, HOUR, SECOND, Instant
from tests.simulation.test_isolation import SECONDS, Sick, counted, healthy_run, longest
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story
from tests.support.straight import Sent

LIES: dict[str, Instant] = {"a day and two hours ahead": 26 * HOUR, "400 days ahead": 400 * DAY, "1970": -START,
                            "the year 9999": 253_402_300_799 * SECOND - START, "five hours behind": -5 * HOUR}  # fmt: skip


class Lying(Story):
    """The first ``lies`` answers of each account say another time than the later ones."""

    offset: Instant = 0
    lies = 1

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        found = await super()._answer(asked, name)
        account = f"{name} {asked.path.split('/')[1]}"
        self.told = {**getattr(self, "told", {}), account: getattr(self, "told", {}).get(account, 0) + 1}
        if self.told[account] <= self.lies:
            told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.clock.now() + self.offset)
            found = found._replace(headers={**found.headers, "date": format_datetime(told, usegmt=True)})
        return found


@pytest.mark.parametrize("lies", [1, 2])
@pytest.mark.parametrize("name", list(LIES))
def test_the_first_dates_are_wrong_and_everything_is_published(name: str, lies: int) -> None:
    """And nothing of before the beginning of the stream."""
    one = Lying(5, crash_s=None, seconds=15.0, cluster=FakeCluster(1))
    one.offset, one.lies = LIES[name], lies
    verdict = one.play()
    assert verdict.good, verdict


def test_a_client_that_cannot_be_used_delays_no_other_account() -> None:
    """The account says why it waits; every other is asked as in a healthy run."""

    class Unusable(Sick):
        async def _answer(self, asked: Sent, name: str = "") -> Answer:
            if self.sick and self.sick in asked.path and not self.quiet:
                raise ClientUnusable("the file ca.pem cannot be used: it holds no whole certificates")
            return await super()._answer(asked, name)

    healthy, one = healthy_run(), Unusable(11, crash_s=None, seconds=SECONDS, cluster=FakeCluster(1))
    ill = one.played("/heymarket/", "")
    others = [path for path in healthy if "/heymarket/" not in path and "/v2/Messages/" not in path]
    assert len(others) >= 3
    for path in others:
        assert longest(ill[path], SECONDS) <= longest(healthy[path], SECONDS) + 1.0, path
        assert counted(ill[path]) >= 0.95 * counted(healthy[path]), path
