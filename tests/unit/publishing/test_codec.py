"""Bytes: events as CloudEvents, state records that survive, keys that every client places alike."""

from __future__ import annotations

import contextlib
import json
from typing import Literal

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.coverage.cursor import Cursor, Mark, Sweep
from poller.errors import CorruptState, Refused
from poller.kafka import partitioner
from poller.kafka.partitioner import partition_of
from poller.model import SECOND, BadRow, Instant, Message, Problem, Stream
from poller.providers.contract import Request
from poller.publishing import events
from poller.publishing.diff import Created, DeadLetter, MessageEvent, StatusChanged
from poller.publishing.events import RECORD_BYTES_MAX, Publisher, Unpublishable, in_transaction
from poller.publishing.message_state import DeadMark, MessageState
from poller.publishing.privacy import Privacy
from poller.publishing.state_records import Meta, StoredBackoff, decode_state, encode_state
from poller.times import format_rfc3339
from tests.support.rows import change

STREAM = Stream("stuut", "collections", "thr/1")
OBSERVED: Instant = 1_790_000_000 * SECOND + 112_000
MESSAGE = Message(
    message_id="m 1",
    status="delivered",
    provider_status="delivered",
    final=True,
    channel="sms",
    direction="outbound",
    created_at="2026-09-21T14:13:00Z",
    from_="+14155550100",
    to=["+14155550123"],
    text="hi",
    delivered_at="2026-09-21T14:13:09Z",
    updated_at="2026-09-21T14:13:10Z",
    error=Problem(code="1", message="words"),
    provider_data={"a": [1, "x"]},
)


def published(event: MessageEvent, privacy: Privacy | None = None) -> tuple[dict[str, str], object]:
    """Headers and value of the one record of an event."""
    encoded = Publisher(partitions=16, privacy=privacy or Privacy()).records(change(event))
    [record] = in_transaction(encoded, shard=3, sequence=7)
    return {name: value.decode() for name, value in record.headers}, json.loads(record.value or b"null")


def created() -> Created:
    """The sample message is new; its revision is not the first one, so that it shows."""
    return Created(STREAM, OBSERVED, MESSAGE, 2)


@given(st.binary(max_size=64), st.integers(0, 64))
def test_murmur2_is_kafkas(key: bytes, common: int) -> None:
    """The hash equals that of an independent implementation for every key, however much of it others share."""
    assert partitioner.murmur2(key, min(common, len(key))) == reference(key) & 0xFFFFFFFF


def test_the_partition_is_the_java_clients() -> None:
    """Keys land where every client of the Java family puts them."""
    assert [partition_of(key, 16) for key in (b"21", b"foobar", b"")] == [(reference(k) & 0x7FFFFFFF) % 16 for k in (b"21", b"foobar", b"")]


def test_a_created_event_is_a_cloudevent_with_the_full_message() -> None:
    """Headers and value follow the public contract, unknown fields are absent, never null."""
    headers, value = published(created())
    assert headers == {
        "ce_specversion": "1.0",
        "ce_type": "sms.message.created.v1",
        "ce_dataschema": "urn:poller:sms.message.created.v1",
        "ce_source": "/poller/stuut/collections",
        "ce_id": "stuut/collections/m%201:2",
        "ce_subject": "m 1",
        "ce_time": "2026-09-21T14:13:00Z",
        "content-type": "application/json",
        "ce_pollershard": "3",
        "ce_pollertxn": "7",
        "ce_pollertxnsize": "1",
    }
    assert isinstance(value, dict)
    assert value["stream"] == "stuut/collections/thr%2F1"
    assert value["from"] == "+14155550100"
    assert value["final"] is True
    assert "received_at" not in value
    assert "changed" not in value
    assert None not in value.values()


def test_a_status_event_says_when_it_happened() -> None:
    """The status's own stamp, else updated_at; where the provider does not say, nothing is said."""
    headers, value = published(StatusChanged(STREAM, OBSERVED, MESSAGE, 2, "sent"))
    assert headers["ce_time"] == "2026-09-21T14:13:09Z"
    assert isinstance(value, dict)
    assert (value["occurred_at"], value["previous_status"], value["status"]) == (headers["ce_time"], "sent", "delivered")
    assert "text" not in value
    bare = Message(message_id="1", status="queued", final=False, channel="unknown", direction="unknown", created_at="2026-01-01T00:00:00Z")
    assert events.occurred(StatusChanged(STREAM, OBSERVED, bare, 2)) is None
    headers, value = published(StatusChanged(STREAM, OBSERVED, bare, 2))
    assert "ce_time" not in headers
    assert isinstance(value, dict)
    assert "occurred_at" not in value


def test_a_dead_letter_carries_the_rows_bytes_and_why() -> None:
    """The value is the row itself, cut at its limit; the headers say the reason, never a value."""
    row = BadRow("missing", "created_at", b'{"id":"x","pad":"' + b"z" * events.DEAD_BYTES_MAX + b'"}', "x")
    letter = DeadLetter(STREAM, OBSERVED, row, "5" * 64)
    [record] = in_transaction([Publisher(partitions=16, privacy=Privacy()).dead_letter(letter)], shard=0, sequence=1)
    headers = dict(record.headers)
    assert record.value == row.raw[: events.DEAD_BYTES_MAX]
    assert record.key == b"stuut/collections/x"
    assert (headers["poller_reason"], headers["poller_truncated"], headers["ce_subject"]) == (
        b"missing",
        b"true",
        b"stuut/collections/thr%2F1",
    )
    assert headers["ce_id"] == b"stuut/collections/dead/" + b"5" * 32
    assert headers["content-type"] == b"application/octet-stream", "what is cut is not whole JSON"
    assert "ce_time" not in headers


STATES = [
    (b"m" + b"1" * 16, MessageState(3, "sent", "Sent", False, 5, 6, 7, 8, 1, 9, 3, b"12345678")),
    (b"dx", DeadMark(1, 2)),
    (b"ax", StoredBackoff("throttled", 2, 5)),
    (b"x", Meta("poller", 16, "n", b"k" * 32, 5, 4, 2)),
    (
        b"cs",
        Cursor(
            1,
            2,
            (Mark(0, 1, 2),),
            3,
            4,
            sweeps={0: Sweep(1, None, 0, 1, 5, Request("GET", "/a", continuation={"n": [1]}))},
            debts={1: (2, 3)},
            learned={"cap": 30},
            waits=("gone", 1, 9),
        ),
    ),
]


@pytest.mark.parametrize(("key", "value"), STATES)
def test_state_survives_the_log(key: bytes, value: object) -> None:
    """Every kind of state is read back as it was written."""
    assert decode_state(key, encode_state(value)) == value  # pyright: ignore[reportArgumentType]


def test_state_of_a_newer_release_is_left_alone() -> None:
    """A higher format number is refused with the fix, nonsense is corrupt state."""
    with pytest.raises(Refused, match="newer release"):
        decode_state(b"m1", b"\xfe\x00")
    with pytest.raises(CorruptState):
        decode_state(b"m1", b"\x01nonsense")


def test_state_of_a_message_holds_no_text_and_fits_its_budget() -> None:
    """A message with ten fields takes less than 96 bytes beside its key, and none of them is readable."""
    from poller.publishing.fingerprints import Fingerprints

    present, prints = Fingerprints(b"k" * 32)(MESSAGE)
    raw = encode_state(
        MessageState(2, "delivered", "delivered", True, OBSERVED, 10**6, OBSERVED // SECOND, 2**31, 1, 2**15, present, prints)
    )
    assert len(raw) <= 96 + 16
    assert b"hi" not in prints
    assert b"+1415" not in raw


def test_privacy_masks_hashes_and_drops() -> None:
    """Numbers and texts are hidden everywhere they occur, ids and statuses stay."""
    masked = published(created(), Privacy(numbers="mask", text="mask"))[1]
    assert isinstance(masked, dict)
    assert (masked["from"], masked["to"], masked["text"]) == ("…00", ["…23"], "[2 characters]")
    assert masked["provider_data"] == {"a": ["[1 characters]", "[1 characters]"]}
    assert masked["error"] == {"code": "1", "message": "[5 characters]"}
    dropped = published(created(), Privacy(numbers="drop", text="drop"))[1]
    assert isinstance(dropped, dict)
    assert {"from", "to", "text", "provider_data"}.isdisjoint(dropped)
    hashed = published(created(), Privacy(numbers="hash", text="plain", key=b"key"))[1]
    assert isinstance(hashed, dict)
    assert hashed["from"].startswith("hmac-sha256:")
    assert len(hashed["from"]) == len("hmac-sha256:") + 32
    assert hashed["text"] == "hi"


@pytest.mark.parametrize("kind", ["plain", "mask", "hash"])
@pytest.mark.parametrize("item", [1, 1e9, "\x01", [], {"a": 1}])
def test_no_record_is_over_the_limit(kind: Literal["plain", "mask", "hash"], item: object) -> None:
    """Whatever privacy makes of a row, and whatever the topics take: a record fits, or its row becomes a dead letter that fits."""
    fitted: set[int] = set()
    for bytes_max in (RECORD_BYTES_MAX, 64 << 10):
        publisher = Publisher(partitions=1, privacy=Privacy(numbers=kind, text=kind, key=b"key"), record_bytes_max=bytes_max)
        for count in (1, 3_000, 30_000, 500_000):
            message = replace(MESSAGE, provider_data={"classifications": [item] * count})
            row = BadRow("too_large", "", json.dumps(message.provider_data).encode(), "i" * 100_000)
            sizes = [publisher.dead_letter(DeadLetter(STREAM, OBSERVED, row, "0" * 64)).size]
            with contextlib.suppress(Unpublishable):
                sizes += [record.size for record in publisher.records(change(Created(STREAM, OBSERVED, message)))]
                fitted.add(count)
            assert max(sizes) <= bytes_max
    assert {1, 3_000} <= fitted <= {1, 3_000, 30_000}


def test_redacted_dead_letters_keep_only_their_shape() -> None:
    """No value and no suspicious field name of the row is left."""
    raw = b'{"text":"secret","from":"+14155550123","n":{"14155550123":5},"list":[true,null]}'
    hidden = Privacy(text="mask", original_dead_letters=False).dead_letter(raw)
    assert b"secret" not in hidden
    assert b"1415" not in hidden
    assert json.loads(hidden)["list"] == ["[bool]", None]
    assert Privacy(original_dead_letters=False).dead_letter(b"not json") == b"[8 bytes]"


@given(st.integers(-(10**15), 10**16))
def test_our_instants_are_rfc3339(instant: Instant) -> None:
    """Always Z, no trailing zeros, and read back as the same instant."""
    from datetime import datetime

    text = format_rfc3339(instant)
    assert text.endswith("Z")
    assert not text.removesuffix("Z").endswith("0") or "." not in text
    back = datetime.fromisoformat(text)
    assert round((back - datetime.fromisoformat("1970-01-01T00:00:00Z")).total_seconds() * 10**6) - instant in range(-2, 3)
