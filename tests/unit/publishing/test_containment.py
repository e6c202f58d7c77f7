"""A row's fault ends as a dead letter: whatever its content makes fail, fails before it is queued, and its neighbours are published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.model import BadRow, Observation, Stream
from poller.publishing import events, fingerprints
from poller.publishing.cache import CacheDirectory
from poller.publishing.changes import PageChanges
from poller.publishing.diff import DeadLetter
from poller.publishing.events import Publisher
from poller.publishing.privacy import Privacy
from poller.publishing.shard_state import ShardState, claim
from tests.support.rows import NOW, PUBLISHER, observation, scope

HIDDEN = Privacy(numbers="mask", text="drop", original_dead_letters=False)
FAULTS: list[Exception] = [
    ValueError("x"),
    UnicodeDecodeError("utf-8", b"\xf6", 0, 1, "invalid start byte"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    OverflowError("x"),
    RecursionError("x"),
    TypeError("x"),
    KeyError("x"),
    msgspec.EncodeError("x"),
    msgspec.ValidationError("x"),
    AssertionError("x"),
]


def compared(tmp_path: Path, rows: list[Observation], bad: list[BadRow], publisher: Publisher = PUBLISHER) -> PageChanges:
    """One page against an empty state."""
    with CacheDirectory(tmp_path) as store:
        return ShardState(store.shard(0), claim(None, group="g", shards=1), publisher).compare(scope(), rows, bad)


def raw(id_: str, **fields: object) -> Observation:
    """A message with the bytes of its row."""
    return replace(observation(id_, **fields), raw=b'{"id":"%s"}' % id_.encode())  # type: ignore[arg-type]


UNENCODABLE: dict[str, Callable[[], Observation]] = {
    "half of an emoji in the text": lambda: raw("m2", text="\ud83d"),
    "half of an emoji in the conversation": lambda: raw("m2", conversation_id="\ude00"),
    "half of an emoji in free-form data": lambda: raw("m2", provider_data={"a": ["\udfff"]}),
    "half of an emoji as a field's name": lambda: raw("m2", provider_data={"\ud800": 1}),
    "a number beyond 64 bits": lambda: raw("m2", provider_data={"a": 1 << 70}),
    "nesting without an end": lambda: raw("m2", provider_data=_nested(100_000)),
    "a value of no JSON type": lambda: raw("m2", provider_data={"a": object()}),
    "a status that has no rank": lambda: raw("m2", status="teleported"),
}


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("what", UNENCODABLE)
@pytest.mark.parametrize("publisher", [PUBLISHER, Publisher(partitions=4, privacy=HIDDEN)])
def test_a_row_that_cannot_be_written_is_a_dead_letter_and_its_neighbours_are_published(
    tmp_path: Path, what: str, publisher: Publisher
) -> None:
    """Either it is published, or it is one dead letter; the state never holds a message that was not published."""
    changes = compared(tmp_path, [raw("m1"), UNENCODABLE[what](), raw("m3")], [], publisher)
    kinds = [event.kind for event in changes.events]
    assert kinds.count("dead") == sum(changes.rejected.values()) <= 1
    assert kinds.count("created") == len(changes.adopted) == len(changes.created) == 3 - kinds.count("dead")
    assert all(isinstance(event.value, bytes) for event in changes.events)
    assert bool(changes.stale) == bool(changes.rejected), "such a row is read again with every listing"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("place", [(fingerprints, "_encode"), (events, "_json"), (events, "_headers"), (events, "partition_of")])
def test_whatever_is_raised_for_a_row_wherever_is_that_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], fault: Exception
) -> None:
    """Every type of exception, at every place that sees a row's content: one dead letter, and the other row is published."""
    module, name = place
    original, left = getattr(module, name), [1]

    def once(*given: Any) -> Any:
        if left:
            left.pop()
            raise fault
        return original(*given)

    monkeypatch.setattr(module, name, once)
    changes = compared(tmp_path, [raw("m1", segments=1), raw("m2", segments=1)], [])
    assert changes.rejected == {"unencodable": 1}
    assert [event.kind for event in changes.events] == ["created", "status", "dead"]
    assert changes.events[-1].value == b'{"id":"m1"}'


def test_a_byte_that_is_no_utf8_under_privacy_is_told_by_its_size(tmp_path: Path) -> None:
    """``privacy: {numbers: mask, text: drop}`` and a row whose text holds the single byte F6."""
    row = BadRow("not_json", "", b'{"id":"1","body":"\xf6"}', None)
    [letter] = compared(tmp_path, [], [row], Publisher(partitions=4, privacy=HIDDEN)).events
    assert letter.value == b"[%d bytes]" % len(row.raw)
    assert dict(letter.headers)["content-type"] == b"application/octet-stream"


@given(
    st.one_of(
        st.binary(), st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(repr)
    ),
    st.one_of(st.none(), st.text()),
    st.booleans(),
)
def test_a_dead_letter_can_be_made_of_anything(content: bytes | str, id_: str | None, original: bool) -> None:
    """Whatever the bytes are, and whatever was read as the id: a record, never an exception."""
    row = BadRow("r", "f", content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"), id_)
    publisher = Publisher(partitions=4, privacy=replace(HIDDEN, original_dead_letters=original))
    letter = publisher.dead_letter(DeadLetter(Stream("stuut", "a", "t\ud800"), NOW, row, "0" * 64))
    assert letter.kind == "dead"
    assert letter.size <= events.RECORD_BYTES_MAX


def test_a_row_that_stays_unpublishable_is_one_dead_letter(tmp_path: Path) -> None:
    """It is compared with every listing, and told once."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        told = []
        for at in range(3):
            changes = shard_state.compare(scope(at), [raw("m1", text="\ud83d", provider_data={"a": 1 << 70})], [])
            shard_state.queue(changes)
            told.append(len(changes.events))
    assert told == [1, 0, 0]


def test_a_cache_that_cannot_be_closed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is full or its folder is gone: the folder is unlocked, and the end is a clean one."""

    def refuse(*_: object) -> None:
        raise OSError("Writer has previous error")

    store = CacheDirectory(tmp_path)
    store.__enter__()
    closed = store._db
    store._db = SimpleNamespace(close=refuse)  # type: ignore[assignment]
    store.__exit__(None, None, None)
    assert closed is not None
    closed.close()
    with CacheDirectory(tmp_path):
        pass
