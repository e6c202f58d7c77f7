"""Events are CloudEvents that fit, and dead letters carry what could not become one."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.model import BadRow, Instant, Message
from poller.publishing import events
from poller.publishing.diff import Created, DeadLetter, StatusChanged
from poller.publishing.events import Publisher, in_transaction
from poller.publishing.privacy import Privacy, Unpublishable
from poller.times import format_rfc3339
from tests.support.rows import change, compared, observation, scope
from tests.support.sample_event import MESSAGE, OBSERVED, STREAM, created, published

SMALL = 64 << 10
"""Bytes of a record that a topic takes, where that is less than usual."""


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


@pytest.mark.parametrize(
    "members",
    [
        {"status": "queued"},
        {"status": "sent"},
        {"status": "delivered", "sent_at": "2026-01-01T00:00:05Z"},
        {"status": "received", "scheduled_at": "2026-01-01T00:00:05Z"},
        {"status": "failed", "sent_at": "2026-01-01T00:00:05Z", "delivered_at": "2026-01-01T00:00:06Z"},
        {"status": "unknown", "received_at": "2026-01-01T00:00:05Z"},
        {"status": "undelivered"},
    ],
)
def test_another_stamp_is_not_the_statuss(members: dict[str, Any]) -> None:
    """When it was created, sent or planned does not say when the status began; so nothing is said, least of all when it was polled."""
    bare = Message(message_id="1", final=False, channel="unknown", direction="unknown", created_at="2026-01-01T00:00:00Z", **members)
    headers, value = published(StatusChanged(STREAM, OBSERVED, bare, 2))
    assert "ce_time" not in headers
    assert isinstance(value, dict)
    assert "occurred_at" not in value


@pytest.mark.parametrize(("stamp", "said"), [(0, None), (5, "2026-09-21T14:13:22Z")])
def test_a_stamp_that_did_not_move_with_the_status_says_nothing_of_when_it_came(stamp: int, said: str | None) -> None:
    """A message that is read: its updated_at is the time only where it is another one than that of the status before."""
    before = observation(status="sent", updated_at="2026-09-21T14:13:20Z")
    after = observation(status="read", stamp=stamp, updated_at=said or "2026-09-21T14:13:20Z")
    known = compared({}, [before], scope()).states
    [event] = compared(known, [after], scope(1)).events
    assert isinstance(event, StatusChanged)
    assert events.occurred(event) == said


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


@pytest.mark.parametrize("kind", ["plain", "mask", "hash"])
@pytest.mark.parametrize("item", [1, 1e9, "\x01", [], {"a": 1}])
def test_no_record_is_over_the_limit(kind: Literal["plain", "mask", "hash"], item: object) -> None:
    """Whatever privacy makes of a row, and whatever the topics take: a record fits, or its row becomes a dead letter that fits."""
    publisher = Publisher(partitions=1, privacy=Privacy(numbers=kind, text=kind, key=b"key"), record_bytes_max=SMALL)
    every, fitted = (1, SMALL // 300, SMALL // 30, SMALL * 5 // 4 // (len(msgspec.json.encode(item)) + 1)), set[int]()
    for count in every:
        message = replace(MESSAGE, provider_data={"classifications": [item] * count})
        row = BadRow("too_large", "", json.dumps(message.provider_data).encode(), "i" * 100_000)
        sizes = [publisher.dead_letter(DeadLetter(STREAM, OBSERVED, row, "0" * 64)).size]
        with contextlib.suppress(Unpublishable):
            sizes += [record.size for record in publisher.records(change(Created(STREAM, OBSERVED, message))).events]
            fitted.add(count)
        assert max(sizes) <= SMALL
    assert set(every[:2]) <= fitted <= set(every[:3])


@pytest.mark.parametrize(("kind", "fits"), [("plain", 400_000), ("mask", 40_000), ("hash", 15_000)])
def test_what_cannot_fit_once_hidden_is_not_hidden_first(
    kind: Literal["plain", "mask", "hash"], fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of half a million small values costs no more of them than a record can hold; what fits is published."""
    hidden = 0

    def words(_: Privacy, value: str | None) -> str | None:
        nonlocal hidden
        hidden += 1
        return value and hide(privacy, value)

    hide, privacy = Privacy.words, Privacy(numbers=kind, text=kind, key=b"key")
    monkeypatch.setattr(Privacy, "words", words)
    publisher = Publisher(partitions=1, privacy=privacy)
    assert publisher.records(change(Created(STREAM, OBSERVED, replace(MESSAGE, provider_data={"tags": ["a"] * (fits // 2)})))).events
    with pytest.raises(Unpublishable, match="too_large"):
        publisher.records(change(Created(STREAM, OBSERVED, replace(MESSAGE, provider_data={"tags": ["a"] * 500_000}))))
    assert hidden < 150_000


@given(st.integers(-(10**15), 10**16))
def test_our_instants_are_rfc3339(instant: Instant) -> None:
    """Always Z, no trailing zeros, and read back as the same instant."""
    from datetime import datetime

    text = format_rfc3339(instant)
    assert text.endswith("Z")
    assert not text.removesuffix("Z").endswith("0") or "." not in text
    back = datetime.fromisoformat(text)
    assert round((back - datetime.fromisoformat("1970-01-01T00:00:00Z")).total_seconds() * 10**6) - instant in range(-2, 3)
