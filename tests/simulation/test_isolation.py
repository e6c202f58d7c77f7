"""One account in trouble never delays another, nor one stream of an account the others: by counts on virtual time."""

from __future__ import annotations

from functools import cache

import anyio
import pytest

from poller.demo.simulator.profiles import THREADS
from poller.demo.simulator.vendors.answers import Answer
from tests.support.fake_kafka import FakeCluster
from tests.support.story import Story
from tests.support.straight import Sent, said

SECONDS = 40.0
LATER_S = 1.0
"""What a sick neighbour may cost."""


class Sick(Story):
    """All accounts on one shard; requests whose path holds ``sick`` get no answer, or a bad one, for ever."""

    sick, how = "", "hang"

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        path = asked.path
        self.asked.setdefault(path, []).append(anyio.current_time())
        if self.sick and self.sick in path and not self.quiet:
            if self.how == "hang":
                await anyio.sleep_forever()
            if self.how == "reset":
                raise ConnectionResetError("reset")
            return said(int(self.how))
        return await super()._answer(asked, name)

    def played(self, sick: str = "", how: str = "hang") -> dict[str, list[float]]:
        """When each path was asked."""
        self.sick, self.how, self.asked = sick, how, {}
        verdict = self.play()
        assert verdict.good, verdict
        return self.asked


def longest(times: list[float], end: float) -> float:
    """The longest time without a request."""
    inside = [0.0, *(time for time in times if time < end), end]
    return max(later - sooner for sooner, later in zip(inside, inside[1:]))


def counted(times: list[float]) -> int:
    """In how many of the seconds it was asked: how many requests a sweep takes is another matter."""
    return len({int(time) for time in times if time < SECONDS})


def story() -> Sick:
    """Always the same one."""
    return Sick(11, crash_s=None, seconds=SECONDS, cluster=FakeCluster(1))


@cache
def healthy_run() -> dict[str, list[float]]:
    """When each path was asked where nothing is sick."""
    return story().played()


@pytest.mark.parametrize("how", ["hang", "reset", "500", "429", "401", "403"])
@pytest.mark.parametrize("sick", ["/heymarket/", "/fonedynamics/", f"/{THREADS[0]}/"])
def test_what_is_sick_delays_nothing_else(sick: str, how: str) -> None:
    """However one account or stream fails, every other is asked as often as in a healthy run, and never waits a second longer."""
    healthy, ill = healthy_run(), story().played(sick, how)
    account_wide = how in ("429", "401") and sick.startswith("/thr")
    others = [
        path for path in healthy if sick not in path and "/v2/Messages/" not in path and not (account_wide and path.startswith("/stuut/"))
    ]
    assert len(others) >= 3
    for path in others:
        assert longest(ill[path], SECONDS) <= longest(healthy[path], SECONDS) + LATER_S, path
        assert counted(ill[path]) >= 0.95 * counted(healthy[path]), path


def test_what_is_asked_again_with_fresh_credentials_keeps_the_rate_limit() -> None:
    """However often a token is refused, no two requests of the account are nearer than its limit spaces them."""

    class Refusing(Sick):
        async def _answer(self, asked: Sent, name: str = "") -> Answer:
            if "/heymarket/" in asked.path:
                self.asked.setdefault("heymarket", []).append(anyio.current_time())
                if anyio.current_time() > 10 and not self.quiet and self.random.random() < 0.5:
                    return said(401)
            return await super()._answer(asked, name)

    one = Refusing(11, crash_s=None, seconds=SECONDS * 2, cluster=FakeCluster(1))
    one.rate = "60/min"
    times = one.played()["heymarket"]
    spaces = [later - sooner for sooner, later in zip(times, times[1:])]
    assert len(times) > 20
    assert min(spaces) > 0.99, min(spaces)


def test_the_trial_can_fail() -> None:
    """Negative control: what is sick is itself asked far less often."""
    healthy, ill = healthy_run(), story().played("/heymarket/", "500")
    counts = [counted([time for path, times in asked.items() if "/heymarket/" in path for time in times]) for asked in (healthy, ill)]
    assert counts[1] < counts[0] / 2


@pytest.mark.parametrize("how", ["hang", "500", ""])
def test_a_stream_that_is_taken_off_the_list_in_flight_harms_nothing(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams come and go while their requests are under way; the others go on, and nothing falls over."""
    from poller.polling.account import Poller

    follow, turns = Poller._follow, [0]

    def flickering(self: Poller) -> None:
        names = self._streams
        turns[0] += 1
        self._streams = lambda: [name for name in names() if turns[0] % 3 or name != THREADS[1]]
        try:
            follow(self)
        finally:
            self._streams = names

    monkeypatch.setattr(Poller, "_follow", flickering)
    one = story()
    asked = one.played(f"/{THREADS[1]}/" if how else "", how)
    assert counted(asked[f"/stuut/v2/sms-threads/{THREADS[0]}/messages"]) > 0.75 * SECONDS
