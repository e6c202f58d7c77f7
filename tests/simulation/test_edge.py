"""New messages first: the edge is read while a live sweep is long, and no watermark rests on it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from poller.coverage.cursor import Cursor
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.publishing.state_records import cursor_key, decode_state
from tests.lab import freshness
from tests.lab.freshness import Run, fresh
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story


@pytest.mark.parametrize(("case", "provider"), [("latency 400 ms", "heymarket"), ("crowds of 160", "fonedynamics")])
def test_a_new_message_is_read_within_an_interval_and_two_pages(case: str, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever crowds there are and however slowly the provider answers, where the limit permits."""
    monkeypatch.setattr(freshness, "SECONDS", 200.0)
    found = fresh(Run(case, provider, 1, "300/min"))
    assert found.messages > 30
    assert (found.unseen, found.over) == (0, 0), found


def test_new_messages_are_read_while_the_cursor_is_not_honoured() -> None:
    """A walk that does not get on waits by itself: the first page lists the newest messages, and is asked every interval."""
    story = Story(5, crash_s=None, seconds=120.0, settle_s=0.1, cluster=FakeCluster(1))
    story.world = World(5, START, Switches(cursor="ignored", late=0.0, ties=0.0), per_second=0.5, backlog=300, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 5)
    story.play()
    published = {event.key.rpartition("/")[2] for event in story.published()}
    new = [sms.id for sms in story.world.all() if sms.created > START]
    assert len(new) > 30
    assert sum(id_ in published for id_ in new) >= 0.98 * len(new)


def test_the_watermark_waits_for_the_long_sweep_not_for_the_edge() -> None:
    """However often the edge is read meanwhile, the live rung's mark moves only to the start of a sweep of its own that ended."""
    story = Story(5, crash_s=None, seconds=120.0, settle_s=0.1, cluster=FakeCluster(1))
    switches = replace(Switches(late=0.0, ties=0.0, status_s=20.0), limit_max=30)
    story.world = World(5, START, switches, per_second=2.0, backlog=1500, backlog_s=600.0, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 5)
    story.rate, story.defaults = "3/s", "interval: 2s, overlap: 10m, reconcile: {every: 6h, back: 24h}, timeout: 5s"
    told = []
    telemetry = story.telemetry

    def heard():  # type: ignore[no-untyped-def]
        found = telemetry()
        account = found.account

        def listening(provider: str, name: str):  # type: ignore[no-untyped-def]
            facts = account(provider, name)
            sweep = facts.sweep
            facts.sweep = lambda one: (told.append(one.rung), sweep(one))[1]  # type: ignore[method-assign]
            return facts

        found.account = listening  # type: ignore[method-assign]
        return found

    story.telemetry = heard  # type: ignore[method-assign]
    story.play()
    key = cursor_key("heymarket/main/team")
    kept: list[Cursor] = [
        decode_state(key, record.value) for record, done in story.cluster.state[0] if done and record.key == key and record.value
    ]
    assert told.count("edge") > 5
    for before, after in pairwise(kept):
        if before.marks[0].complete != after.marks[0].complete:
            assert 0 in before.sweeps
            assert after.marks[0].complete == before.sweeps[0].started
