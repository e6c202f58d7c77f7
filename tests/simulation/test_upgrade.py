"""What an earlier release left in Kafka is read by this one: nothing is published again, and nothing that was under way is lost.

``upgrade/`` holds what ``tests.lab.record_state`` recorded from real daemons on a real Kafka: the state topic, and the rows
that the providers listed. The state is full: sweeps, a backfill and look-ups in hand, messages that are not final, troubles.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest

from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import World
from poller.kafka.port import Stored
from poller.model import HOUR, SECOND
from poller.publishing.state_records import decode_state, encode_state
from poller.telemetry.snapshot import WorkerSnapshot
from tests.support.fake_kafka import FakeCluster
from tests.support.recorded_rows import RecordedRows
from tests.support.story import Story
from tests.support.straight import Sent

Records = dict[tuple[int, bytes], bytes]
RELEASES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "upgrade").glob("*.json"))}
KINDS = set(b"mcdalbhx")
SOON_S, LATE_S = 60.0, 600.0
LATER = 7 * HOUR
"""Longer than the longest period of the recorded configuration: then every rung is due."""


def records(listed: Iterable[tuple[int, str, str]]) -> Records:
    """Recorded state."""
    return {(shard, base64.b64decode(key)): base64.b64decode(value) for shard, key, value in listed}


class Upgraded(Story):
    """A worker of today on recorded state, whose providers list the recorded rows and nothing else."""

    def __init__(self, data: dict[str, Any], state: Records) -> None:
        super().__init__(0, crash_s=None, seconds=SOON_S, settle_s=0.0)
        self.data, self.start, self.cluster = data, data["now"] + 5 * SECOND, FakeCluster(4)
        self.world = World(0, self.start, backlog=0)
        self.recorded = RecordedRows(data["rows"], data["limit"], lambda: self.clock.now())
        self.seen: list[WorkerSnapshot] = []
        for (shard, key), value in state.items():
            self.cluster.state[shard].append((Stored(key, value), True))

    def configured(self) -> str:
        """As the earlier release was configured; only slower, so that the rate limit has room for the deep rungs."""
        return self.data["config"].replace("interval: 500ms", "interval: 10s")

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        await anyio.sleep(0.05)
        return self.recorded.answer(asked)

    async def watch(self, story: Story) -> None:
        """What the worker says of itself just before it ends."""
        await anyio.sleep(self.seconds - 1)
        self.seen += [worker.snapshot() for worker, _ in self.running.values()]

    def goes_on(self) -> list[bytes]:
        """Play; what was published. No shard may have met trouble."""
        self.play(self.watch)
        states = {(shard.state, shard.reason) for snapshot in self.seen for shard in snapshot.shards}
        assert states == {("running", None)}
        return [record.value or b"" for _, record in self.cluster.public]


@pytest.fixture(params=RELEASES)
def data(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one release left."""
    return RELEASES[request.param]


def test_rows_that_were_published_are_no_events(data: dict[str, Any]) -> None:
    """Restored by this release, the state knows every row: at once and hours later all rows are listed again, and none is an event."""
    story = Upgraded(data, records(data["state"]))
    assert story.goes_on() == []
    story.start, story.seconds = story.start + LATER, LATE_S
    assert story.goes_on() == []
    published = {json.dumps(row["row"]) for row in data["rows"] if row["published"]}
    assert published - story.recorded.listed == set()
    troubled = {account.key: account.in_trouble for shard in story.seen[-1].shards for account in shard.accounts if account.in_trouble}
    assert troubled == {"stuut/collections": {"gone": 1}}


@pytest.mark.parametrize("kind", [b"m", b"d"])
def test_without_a_kind_of_record_they_are_events(data: dict[str, Any], kind: bytes) -> None:
    """Forgotten messages and forgotten dead letters are published again: the rows do reach the comparison."""
    kept = {place: value for place, value in records(data["state"]).items() if place[1][:1] != kind}
    assert Upgraded(data, kept).goes_on()


def test_a_worker_goes_on_from_whatever_was_in_hand(data: dict[str, Any]) -> None:
    """From each cursor that was ever stored, in the middle of whatever it was, a sweep goes on to its end and publishes nothing."""
    by_stream: dict[tuple[int, bytes], list[bytes]] = {}
    for shard, key, value in data["shapes"]:
        by_stream.setdefault((shard, base64.b64decode(key)), []).append(base64.b64decode(value))
    for turn in range(max(map(len, by_stream.values()))):
        older = {place: values[turn] for place, values in by_stream.items() if turn < len(values)}
        story = Upgraded(data, {**records(data["state"]), **older})
        story.seconds = SOON_S
        assert story.goes_on() == [], turn


def test_every_record_is_read_and_written(data: dict[str, Any]) -> None:
    """Each record of each kind is read, and what is written for it reads as the same."""
    found = [(base64.b64decode(key), base64.b64decode(value)) for _, key, value in (*data["state"], *data["shapes"])]
    assert {key[0] for key, _ in found} == KINDS
    for key, value in found:
        read = decode_state(key, value)
        assert decode_state(key, encode_state(read)) == read
