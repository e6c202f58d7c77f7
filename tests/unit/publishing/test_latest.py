"""Latest messages: the whole message with the revision of its newest event, one for each key in a transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.kafka.port import LATEST, Record
from poller.model import Observation
from poller.publishing.cache import CacheDirectory, ShardCache
from poller.publishing.commit import Committer
from poller.publishing.diff import Created, StatusChanged, Updated
from poller.publishing.events import Publisher
from poller.publishing.privacy import Privacy
from poller.publishing.shard_state import ShardState, claim
from poller.telemetry.facts import Telemetry
from tests.support.rows import STREAM, change, observation, scope

pytestmark = pytest.mark.anyio
LISTED = observation(text="hello", from_="+14155550100", direction="outbound")
CURSOR = Cursor(0, 0, (), 0, 0)


def publisher(privacy: Privacy | None = None, *, latest: bool = True) -> Publisher:
    """One that has a topic for latest messages."""
    return Publisher(partitions=4, privacy=privacy or Privacy(), latest=latest)


def of(listed: Observation, *revisions: int) -> list[Any]:
    """A creation, or whatever follows it, for each revision."""
    message = listed.message
    kinds = {1: Created(STREAM, 0, message), 2: StatusChanged(STREAM, 0, message, 2), 3: StatusChanged(STREAM, 0, message, 3, "queued")}
    return [kinds.get(number) or Updated(STREAM, 0, message, number, ("text",)) for number in revisions]


@pytest.mark.parametrize("revisions", [(1,), (1, 2), (3,), (3, 4), (7,)])
def test_a_latest_message_is_the_whole_message_at_its_newest_revision(revisions: tuple[int, ...]) -> None:
    """Whatever events a change gives, the latest message is a full one, in the partition of its events, and says no event's id."""
    events, latest = publisher().records(change(*of(LISTED, *revisions)))
    assert latest is not None
    value, headers = json.loads(latest.value), dict(latest.headers)
    assert (value["revision"], value["text"], value["status"]) == (revisions[-1], "hello", "sent")
    assert "changed" not in value
    assert headers["ce_type"] == b"sms.message.latest.v1"
    assert headers["ce_id"] == b"heymarket/main/m1:%d:latest" % revisions[-1]
    assert {(event.key, event.partition) for event in events} == {(latest.key, latest.partition)}
    whole = [json.loads(event.value) for event in events if event.kind != "status"]
    assert all({**each, "revision": revisions[-1], "changed": None} == value | {"changed": None} for each in whole)


def test_without_a_topic_or_an_event_there_is_none() -> None:
    """It is made only where it is asked for, and only with an event."""
    assert publisher(latest=False).records(change(*of(LISTED, 1))).latest is None
    assert publisher().records(replace(change(*of(LISTED, 1)), events=())).latest is None


@pytest.mark.parametrize("mode", ["mask", "hash", "drop"])
def test_privacy_holds_for_latest_messages(mode: Any) -> None:
    """What an event may not say, the latest message does not say: not after a change of status alone either."""
    latest = publisher(Privacy(numbers=mode, text=mode, key=b"key")).records(change(*of(LISTED, 3))).latest
    assert latest is not None
    assert b"hello" not in latest.value
    assert b"14155550100" not in latest.value


def committer(rows: ShardCache, state: ShardState, written: list[Record]) -> Committer:
    """One whose transactions always succeed, and are noted."""

    async def commit(records: Sequence[Record], *, timeout_s: float) -> int:
        written.extend(records)
        return len(written)

    writer: Any = SimpleNamespace(commit=commit)
    telemetry = Telemetry(version="x", level="critical", form="json")
    return Committer(state, shard=0, writer=writer, rows=rows, cluster="c", clock=SystemClock(), telemetry=telemetry)


@given(st.lists(st.sampled_from(["queued", "sent", "delivered", "read"]), min_size=1, max_size=4, unique=True))
async def test_a_transaction_has_one_latest_message_a_key(tmp_path_factory: pytest.TempPathFactory, statuses: list[str]) -> None:
    """However often a message changes before its transaction: the newest state once, behind all events, and not counted among them."""
    written: list[Record] = []
    with CacheDirectory(tmp_path_factory.mktemp("cache")) as store:
        rows = store.shard(0)
        state = ShardState(rows, claim(None, group="g", shards=1), publisher())
        commits = committer(rows, state, written)
        for number, status in enumerate(statuses, 1):
            commits.queue(state.compare(scope(state.tick()), [observation(status=status, stamp=number)], []), CURSOR)
        await commits.drain()
    public = [record for record in written if record.headers]
    [latest] = [record for record in public if record.topic == LATEST]
    value, headers = json.loads(latest.value or b""), dict(latest.headers)
    assert (value["status"], value["revision"]) == (statuses[-1], len(statuses) + 1)
    assert public[-1] is latest
    assert int(headers["ce_pollertxnsize"]) == len(public) - 1 == len(statuses) + 1
    assert len({dict(record.headers)["ce_pollertxn"] for record in public}) == 1
