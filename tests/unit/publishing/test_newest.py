"""Events tell what a latest message is: made of them later, it is the one that would have been published with them."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.coverage.cursor import Cursor
from poller.model import Observation, Stream
from poller.publishing.cache import CacheDirectory
from poller.publishing.diff import Created, StatusChanged
from poller.publishing.events import Encoded, Publisher
from poller.publishing.newest import Newest
from poller.publishing.privacy import Privacy
from poller.publishing.shard_state import ShardState, claim
from tests.support.rows import OBSERVATIONS, PAGES, STREAM, change, observation, scope

CURSOR = Cursor(0, 0, (), 0, 0)
PLAIN = Publisher(partitions=4, privacy=Privacy(), latest=True)


def publisher(mode: Literal["plain", "mask", "hash", "drop"]) -> Publisher:
    """One that has a topic for latest messages."""
    return Publisher(partitions=4, privacy=Privacy(numbers=mode, text=mode, key=b"key"), latest=True)


def told(events: list[Encoded], *, published: int = 0) -> Newest:
    """What the events of one message tell, each as its record is read back."""
    newest = Newest()
    for each in events:
        assert newest.learn(dict(each.headers)["ce_type"].decode(), each.value, published)
    return newest


@given(PAGES, st.sampled_from(["plain", "mask", "hash", "drop"]), st.booleans())
def test_made_later_it_is_byte_for_byte_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    pages: list[list[Observation]],
    mode: Literal["plain", "mask", "hash", "drop"],
    backwards: bool,
) -> None:
    """Whatever happens to messages, with whatever privacy, and whichever topic is read first: key, partition, headers and value."""
    events: dict[bytes | None, list[Encoded]] = {}
    latest: dict[bytes, Encoded] = {}
    with CacheDirectory(tmp_path_factory.mktemp("cache")) as store:
        state = ShardState(store.shard(0), claim(None, group="g", shards=1), publisher(mode))
        for page in pages:
            changes = state.compare(scope(state.tick()), page, [])
            latest |= changes.latest
            for each in changes.events:
                events.setdefault(each.key, []).append(each)
            state.queue(changes, CURSOR)
    assert set(events) == set(latest)
    for key, whole in latest.items():
        event = told(events[key][::-1] if backwards else events[key]).event(None)
        assert event is not None
        assert PLAIN.latest(event) == whole


@given(OBSERVATIONS, st.sampled_from(["thr/1", "a b", "100%", "é", "team"]))
def test_the_name_of_a_stream_comes_back(listed: Observation, name: str) -> None:
    """Ids of streams are percent-encoded in events; made of them, the latest message says the same."""
    found = PLAIN.records(change(Created(Stream("stuut", "a", name), 0, listed.message)))
    event = told(found.events).event(None)
    assert event is not None
    assert PLAIN.latest(event) == found.latest


@pytest.mark.parametrize("moved", [True, False])
def test_a_stamp_that_a_status_does_not_tell_is_the_older_one(moved: bool) -> None:
    """A status that came with the provider's stamp tells it; one that came without it happened nobody knows when."""
    before, after = observation(updated_at="2026-09-21T14:13:20Z"), observation(status="failed", updated_at="2026-09-21T14:13:25Z")
    [created] = PLAIN.records(change(Created(STREAM, 0, before.message))).events
    found = PLAIN.records(change(StatusChanged(STREAM, 0, after.message, 2, "sent", moved)))
    event = told([created, *found.events]).event(None)
    assert event is not None
    assert found.latest is not None
    made = PLAIN.latest(event)
    assert made.headers == found.latest.headers
    assert ("ce_time" in dict(made.headers)) is moved
    assert msgspec.json.decode(made.value)["updated_at"] == (after if moved else before).message.updated_at


def test_what_may_have_been_superseded_is_not_told() -> None:
    """A message whose statuses the topic may have lost is told only where it is younger than what was lost, final or not."""
    open_ = PLAIN.records(change(Created(STREAM, 0, observation(final=False).message))).events
    final = PLAIN.records(change(Created(STREAM, 0, observation(final=True).message))).events
    status = PLAIN.records(change(StatusChanged(STREAM, 0, observation(status="delivered").message, 2, "sent"))).events
    assert told(open_, published=5).event(5) is None
    assert told(open_, published=6).event(5) is not None
    assert told(open_, published=5).event(None) is not None
    assert told(final, published=5).event(5) is None
    assert told(open_ + status, published=5).event(5) is not None
    assert told(status, published=5).event(None) is None


def test_the_newest_status_counts_whatever_was_read_last() -> None:
    """Two statuses of a message, read in either order."""
    [created] = PLAIN.records(change(Created(STREAM, 0, observation().message))).events
    [sent], [failed] = (
        PLAIN.records(change(StatusChanged(STREAM, 0, observation(status=status).message, revision, "queued"))).events
        for revision, status in ((2, "sent"), (3, "failed"))
    )
    assert told([created, sent, failed]) == told([created, failed, sent])
    assert told([created, failed, sent]).revision == 3


def test_what_the_topic_holds_is_known_with_what_was_erased() -> None:
    """The newest record of the topic counts; a record without a value is above every revision."""
    whole = PLAIN.records(change(Created(STREAM, 0, observation().message)))
    assert whole.latest is not None
    newest = told([*whole.events, whole.latest])
    assert newest.held == newest.revision == 1
    newest.erased()
    assert newest.held > 1 << 60


@pytest.mark.parametrize("type_", ["", "sms.message.created.v1", "sms.message.status-changed.v1", "sms.message.latest.v1"])
@given(value=st.binary(max_size=8) | st.dictionaries(st.text(max_size=3), st.integers()).map(msgspec.json.encode))
def test_what_another_program_wrote_is_no_message(type_: str, value: bytes) -> None:
    """Whatever bytes, under whichever type: left out, and said so."""
    newest = Newest()
    assert not newest.learn(type_, value, 0)
    assert newest == Newest()
