"""A provider's code that falls over: its own jobs wait and say so, and no shard ends, whoever wrote that code."""

from __future__ import annotations

from typing import Any

import pytest

from poller.demo.simulator.profiles import FONE, HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import DAY, Stream
from poller.providers.contract import Request, Window
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.heymarket.provider import Heymarket
from poller.providers.heymarket.walk import Learned
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story


def falls_over(*_: Any, **__: Any) -> Request:
    """As code does."""
    raise ValueError("math domain error")


@pytest.mark.parametrize("name", ["first_page", "_changes", "_recount", "_reread"])
@pytest.mark.parametrize("provider", [FoneDynamics, Heymarket])
def test_code_that_falls_over_ends_no_shard_and_delays_no_other_account(provider: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shard's producer is opened once, and the other provider's messages are all published."""
    if not hasattr(provider, name):
        name = "first_page"
    monkeypatch.setattr(provider, name, falls_over)
    story = Story(5, Switches(late=0.0), crash_s=None, seconds=120.0, settle_s=30.0, settle_times=1, cluster=FakeCluster(1))
    story.world = World(5, START, story.switches, per_second=0.5, backlog=20, providers=(FONE, HEYMARKET))
    story.providers = type(story.providers)(story.world, 5)
    verdict = story.play()
    assert story.cluster.epochs == {0: 1}
    well = FONE if provider is Heymarket else HEYMARKET
    assert not [key for key in verdict.missing if key.startswith(f"{well}/") or name != "first_page"]


def test_a_window_that_begins_ahead_of_now_is_asked_for() -> None:
    """Rows of a list that goes by another stamp may lie in the future, and where they end is where the newest messages are looked for."""
    now = START
    for until in (None, now):
        request = Heymarket().first_page(Stream("heymarket", "a", "team"), Window(now + DAY, until, now), Learned(rate=0.1))
        assert request.path.endswith("/all")
