"""Stories: the whole engine on virtual time, driven by seeds; the seed is in the test's name when one fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import pytest

from poller.demo.simulator.switches import HOSTILE, Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.kafka.partitioner import shard_of
from poller.kafka.port import Chunk, Record, Stored
from poller.publishing import diff
from tests.support.fake_kafka import FakeLog, FakeWriter
from tests.support.newest import split, wrong
from tests.support.story import Story
from tests.support.trial import faults


def good(story: Story) -> None:
    """Play, and find nothing missing, stale, doubled, out of order or torn, and latest messages that are what the events say."""
    story.latest = True
    verdict = story.play()
    assert verdict.good, (story.seed, verdict)
    assert verdict.messages_expected > 50
    assert not faults(story.records()), story.seed
    assert not wrong(*split(story.records())), story.seed


@pytest.mark.parametrize("seed", range(4))
def test_crashes_lose_and_double_nothing(seed: int) -> None:
    """A worker that crashes every few seconds, with its cache or without, publishes everything once."""
    story = Story(seed)
    good(story)
    assert story.crashes


def test_a_state_topic_whose_records_were_deleted_may_be_begun_anew() -> None:
    """A worker that began on it crashes and goes on from it: it knows that what is gone was gone before."""
    story = Story(1)
    for shard, log in story.cluster.state.items():
        log += [(Stored(b"an old record", b"of nobody"), True)] * 3
        story.cluster.begins[shard] = 3
    good(story)
    assert story.crashes


@pytest.mark.parametrize("seed", range(4))
def test_lost_replies_and_outages_lose_and_double_nothing(seed: int) -> None:
    """Commits whose reply is lost, commits that fail, Kafka that is away: everything once."""
    good(Story(seed, faults={"reply": 0.2, "commit": 0.1, "send": 0.1, "begin": 0.05, "open": 0.1, "read": 0.1}))


def test_a_story_is_a_function_of_its_seed() -> None:
    """Whatever was played before it in the same process; another seed plays another one (negative control)."""

    def played(seed: int) -> object:
        story = Story(seed, HOSTILE, workers=2, faults={"reply": 0.05, "commit": 0.05}, seconds=12.0)
        story.play()
        return story.records(), story.providers.requests, story.cluster.state

    one, another, again = played(1), played(2), played(1)
    assert one == again
    assert one != another


@pytest.mark.parametrize("seed", range(4))
def test_hostile_providers_lose_and_double_nothing(seed: int) -> None:
    """Cut-off dates, inclusive cursors, short caps, random order, late rows, faults and a skewed clock: everything once."""
    good(Story(seed, switches=HOSTILE, faults={"reply": 0.05}))


@pytest.mark.parametrize("seed", range(3))
def test_three_workers_share_and_take_over(seed: int) -> None:
    """Several workers that come and go own every shard between them and publish everything once."""
    good(Story(seed, workers=3, crash_s=6.0, faults={"reply": 0.05}))


@pytest.mark.parametrize("skew_s", [-300.0, 300.0])
def test_a_wrong_clock_costs_no_requests(skew_s: float) -> None:
    """A provider whose clock is five minutes off is asked about as often as one whose clock is right, from the first minute on."""
    asked: list[int] = []
    for skew in (0.0, skew_s):
        story = Story(2, switches=Switches(skew_s=skew), crash_s=None, seconds=120.0, settle_s=5.0)
        story.defaults = "interval: 10s, overlap: 1m, reconcile: {every: 1h, back: 24h}, timeout: 5s"
        story.play()
        asked.append(sum(story.providers.requests.values()))
    assert asked[1] < 2 * asked[0], asked


def test_an_upgrade_publishes_nothing_that_the_provider_did_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """State written under other fingerprint rules is restored, the same rows are listed again: no event."""
    story = Story(4, crash_s=None, seconds=20.0, settle_s=20.0)
    assert story.play().good
    before = len(story.published())
    monkeypatch.setattr(diff, "RULES", diff.RULES + 1)
    assert story.play().good
    assert len(story.published()) == before


def test_a_zombie_never_publishes() -> None:
    """A worker that lost its shards without noticing is fenced; what it had in hand is published by the owner, once."""

    async def take_over(story: Story) -> None:
        for _ in range(10):
            await anyio.sleep(5)
            for number in range(story.cluster.shards):
                story.cluster.epochs[number] = story.cluster.epochs.get(number, 0) + 1

    verdict = Story(1, crash_s=None).play(take_over)
    assert verdict.good, verdict


class LateFence(FakeLog):
    """The wrong order: a writer that fences only when it first commits, long after the state was restored."""

    async def open_and_fence(self, shard: int) -> FakeWriter:
        """No fence yet."""
        return LateWriter(self, shard, -1)


class LateWriter(FakeWriter):
    """Fences with its first commit."""

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """Too late."""
        if self._epoch < 0:
            self._epoch = self._log.cluster.epochs[self._shard] = self._log.cluster.epochs.get(self._shard, 0) + 1
        return await super().commit(records, timeout_s=timeout_s)


def test_the_stories_can_fail_restore_before_fence() -> None:
    """Negative control: when the fence comes after the restore, a worker that is still running commits in between, and events are doubled."""

    async def steal(story: Story) -> None:
        members = story.cluster.members
        for _ in range(12):
            await anyio.sleep(4)
            for member in list(members.values()):
                member.tell(frozenset(range(story.cluster.shards)))

    verdicts = (Story(seed, workers=2, crash_s=None, log=LateFence).play(steal) for seed in range(4))
    assert any(verdict.duplicates or verdict.out_of_order for verdict in verdicts)


def test_two_workers_that_both_believe_to_own_everything_still_publish_once() -> None:
    """The same theft under the right order: they fence each other, and nothing is doubled or lost."""

    async def steal(story: Story) -> None:
        for _ in range(6):
            await anyio.sleep(8)
            for member in list(story.cluster.members.values()):
                member.tell(frozenset(range(story.cluster.shards)))
            await anyio.sleep(1)
            story.cluster.rebalance()

    good_story = Story(2, workers=2, crash_s=None)
    verdict = good_story.play(steal)
    assert verdict.good, verdict


SLOW_SHARD = shard_of("heymarket/main", 4)


class SlowRestore(FakeLog):
    """One shard's log takes half a minute to read, once it holds anything."""

    async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """Late."""
        if shard == SLOW_SHARD and until:
            await anyio.sleep(30)
        async for chunk in super().read(shard, since, until):
            yield chunk


def test_shards_restore_side_by_side_and_the_restored_ones_poll_at_once() -> None:
    """While one shard's restore takes half a minute, the streams of the others are polled."""
    story = Story(3, crash_s=None, log=SlowRestore, seconds=40.0)
    asked: dict[str, list[float]] = {}
    answer = story.providers.answer

    def noted(method: str, target: str, *rest: Any) -> Answer:
        asked.setdefault(target.split("/")[1], []).append(anyio.current_time())
        return answer(method, target, *rest)

    story.providers.answer = noted  # type: ignore[method-assign]
    story.cluster.state[SLOW_SHARD] = [(Stored(b"afiller", None), True)]
    assert story.play().good
    assert min(asked["fonedynamics"]) < 5
    assert min(asked["heymarket"]) > 30
