"""Who may open a shard's producer, and what one shard's fault does to the others, on virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from poller.errors import CommitUncertain, Denied, OffsetGone, Refused, Unavailable
from poller.kafka.partitioner import shard_of
from poller.kafka.port import Record
from poller.publishing.commit import Committer
from poller.telemetry.verdict import worker_findings
from poller.worker import shard
from poller.worker.worker import Worker
from tests.support.fake_kafka import FakeLog, FakeWriter
from tests.support.story import Story

TROUBLES = [
    Unavailable("cut off"),
    Refused("cut off"),
    Denied("cut off"),
    CommitUncertain("cut off"),
    OffsetGone("cut off"),
    OSError("a disk of ours"),
    ValueError("a bug of ours"),
    None,
]
"""What a transaction meets; None: somebody else has fenced it."""


class Opens(FakeLog):
    """Notes when a producer is opened, and whether the heartbeat was fresh then."""

    async def open_and_fence(self, shard: int) -> FakeWriter:
        """Noted."""
        self.cluster.opened.append((shard, self.cluster.members[self.name].fresh()))  # type: ignore[attr-defined]
        return await super().open_and_fence(shard)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
def test_no_shard_is_opened_without_the_groups_word(trouble: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is cut off from the group and its state, not from the transaction coordinator, fences nobody; whatever its trouble is."""
    story = Story(4, crash_s=None, log=Opens, seconds=60.0)
    story.cluster.opened = []  # type: ignore[attr-defined]
    commit, cut = FakeWriter.commit, [False]

    async def committing(self: FakeWriter, records: Sequence[Record], *, timeout_s: float) -> int:
        if cut[0]:
            self._log.cluster.members[self._log.name].healthy = False
            if trouble is None:
                self._log.cluster.epochs[self._shard] += 1  # somebody else owns it now
            else:
                self._struck = True
                raise trouble
        return await commit(self, records, timeout_s=timeout_s)

    monkeypatch.setattr(FakeWriter, "commit", committing)

    async def cut_off(story: Story) -> None:
        await anyio.sleep(10)
        [member] = story.cluster.members.values()
        story.cluster.opened.clear()  # type: ignore[attr-defined]
        cut[0] = True
        await anyio.sleep(45)
        assert not story.cluster.opened  # type: ignore[attr-defined]
        cut[0], member.healthy = False, True

    assert story.play(cut_off).good
    assert story.cluster.opened  # type: ignore[attr-defined]
    assert all(fresh for _, fresh in story.cluster.opened)  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", [ValueError("x"), MemoryError(), KeyError("x"), TypeError("x")], ids=lambda fault: type(fault).__name__)
def test_a_fault_in_a_transaction_ends_one_life_of_one_shard(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised where nobody expected it: that shard starts anew, the others never stop, and nothing is lost or doubled."""
    story = Story(5, crash_s=None, seconds=60.0)
    transaction, left, broken = Committer._transaction, [3], shard_of("heymarket/main", story.cluster.shards)
    lives: list[int] = []

    async def failing(self: Committer, *given: Any) -> None:
        if self._shard == broken and left[0]:
            left[0] -= 1
            lives.append(self._shard)
            raise fault
        await transaction(self, *given)

    monkeypatch.setattr(Committer, "_transaction", failing)
    assert story.play().good
    assert lives == [broken] * 3
    assert [story.cluster.epochs[shard] for shard in story.cluster.epochs if shard != broken] == [1] * (len(story.cluster.epochs) - 1)


def test_a_shard_that_comes_back_waits_for_its_last_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken away and given back while its last transaction is under way: no producer is opened before that one has ended and is closed."""
    story = Story(9, crash_s=None, seconds=60.0)
    commit, close, open_ = FakeWriter.commit, FakeWriter.close, FakeLog.open_and_fence
    alive: Counter[int] = Counter()
    slow = [False]

    async def opening(self: FakeLog, number: int) -> FakeWriter:
        assert not alive[number], "the last life is not over"
        alive[number] += 1
        return await open_(self, number)

    async def committing(self: FakeWriter, records: Sequence[Record], *, timeout_s: float) -> int:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3 if slow[0] else 0)
        return await commit(self, records, timeout_s=timeout_s)

    async def closing(self: FakeWriter) -> None:
        await close(self)
        alive[self._shard] -= 1

    async def returned(story: Story) -> None:
        await anyio.sleep(10)
        [member] = story.cluster.members.values()
        slow[0], owned = True, frozenset(range(story.cluster.shards))
        for shards in (frozenset[int](), owned) * 3:
            await anyio.sleep(1)
            member.tell(shards)
        slow[0] = False

    monkeypatch.setattr(FakeLog, "open_and_fence", opening)
    monkeypatch.setattr(FakeWriter, "commit", committing)
    monkeypatch.setattr(FakeWriter, "close", closing)
    assert story.play(returned).good
    assert max(story.cluster.epochs.values()) > 1


def test_a_clean_stop_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the stop is committed, cursors that no change carried along included; the next worker goes on from there."""
    story, run = Story(7, crash_s=None, seconds=60.0), Worker.run
    committers: list[Committer] = []

    class Seen(Committer):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            committers.append(self)

    async def stopped(self: Worker, stop: anyio.Event) -> None:
        first = not committers
        async with anyio.create_task_group() as tasks:
            if first:
                tasks.start_soon(stop_later, stop)
            await run(self, stop)
        if first:
            assert not any(committer._queue or committer.shard_state.take_dirty(1) for committer in committers)
            assert any(waited)

    waited: list[bool] = []
    """Of each shard at the stop, whether a cursor waited."""

    async def stop_later(stop: anyio.Event) -> None:
        await anyio.sleep(20)
        waited.extend(bool(committer.shard_state._dirty) for committer in committers)
        stop.set()

    monkeypatch.setattr(shard, "Committer", Seen)
    monkeypatch.setattr(Worker, "run", stopped)
    assert story.play().good
    assert len(committers) == 2 * len(waited), "another worker took its place"


def test_a_group_that_is_not_ours_alone_is_said() -> None:
    """What the group's seat finds wrong is in the picture, with its fix, while it lasts."""
    story = Story(6, crash_s=None, seconds=20.0)
    told: list[list[str]] = []

    async def shared(story: Story) -> None:
        for wrong in (None, Refused("the group g is shared", fix="give each its own"), None):
            await anyio.sleep(3)
            [member] = story.cluster.members.values()
            member.wrong = wrong
            [(worker, _)] = story.running.values()
            told.append([finding.trouble.text for finding in worker_findings(worker.snapshot())])

    assert story.play(shared).good
    assert told == [[], ["the group g is shared; fix: give each its own"], []]
