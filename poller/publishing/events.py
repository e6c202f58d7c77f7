"""events."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from ..kafka.partitioner import partition_of
from ..kafka.port import DEAD_LETTERS, MESSAGES, STATUS, Record
from ..model import Instant, Message, Observation, Problem, Stream
from ..telemetry.event_types import TYPES
from ..times import format_rfc3339, parse_rfc3339
from .diff import Event
from .message_state import message_key
from .privacy import Privacy

RECORD_BYTES_MAX = 900 * 1024
"""A row whose event is larger becomes a dead letter: one giant row must never stop a shard."""


DEAD_BYTES_MAX = 256 * 1024


HEADERS_BYTES = 1024


_TOPICS = {"created": MESSAGES, "updated": MESSAGES, "status": STATUS, "dead": DEAD_LETTERS}


_OWN_STAMP = {"sent": "sent_at", "delivered": "delivered_at", "received": "received_at"}


class StatusChange(Struct, frozen=True, omit_defaults=True):
    """The value of a status-changed event."""

    provider: str
    account: str
    stream: str
    message_id: str
    revision: int
    direction: str
    status: str
    observed_at: str
    conversation_id: str | None = None
    previous_status: str | None = None
    provider_status: str | None = None
    final: bool | None = None
    occurred_at: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    received_at: str | None = None
    error: Problem | None = None


class _Full(Message, frozen=True, kw_only=True):
    """A full message with its envelope."""

    provider: str
    account: str
    stream: str
    revision: int
    observed_at: str
    changed: tuple[str, ...] | None = None
    final: bool | None = None  # pyright: ignore[reportIncompatibleVariableOverride]  # a default would be left out
    direction: str | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    channel: str | None = None  # pyright: ignore[reportIncompatibleVariableOverride]


_json = msgspec.json.Encoder().encode


def occurred(event: Event) -> str:
    """``ce_time``: created_at for created; else the status's own stamp, else updated_at, else observed_at."""
    message = event.message
    if message is None:
        return format_rfc3339(event.observed)
    if event.kind == "created":
        return message.created_at
    own = _OWN_STAMP.get(message.status) if event.kind == "status" else None
    return (own and getattr(message, own)) or message.updated_at or format_rfc3339(event.observed)


def own_stamp(event: Event) -> Instant | None:
    """When a status began by its own stamp, where the provider gives one."""
    message = event.message
    own = _OWN_STAMP.get(message.status) if message is not None and event.kind == "status" else None
    time = parse_rfc3339(getattr(message, own)) if own else None
    return None if time is None else time.instant


def event_value(event: Event, privacy: Privacy) -> bytes:
    """The JSON value of an event, privacy applied."""
    if event.dead is not None:
        return privacy.dead_letter(event.dead.raw)[:DEAD_BYTES_MAX]
    assert event.message is not None
    stream, message = event.stream, privacy.apply(event.message)
    if event.kind == "status":
        return _json(_status_change(event, message))
    fields = {name: getattr(message, name) for name in Message.__struct_fields__}
    return _json(
        _Full(
            provider=stream.provider,
            account=stream.account,
            stream=stream.id,
            revision=event.revision,
            observed_at=format_rfc3339(event.observed),
            changed=event.changed or None,
            **fields,
        )
    )


def _status_change(event: Event, message: Message) -> StatusChange:
    stream = event.stream
    return StatusChange(
        provider=stream.provider,
        account=stream.account,
        stream=stream.id,
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        revision=event.revision,
        direction=message.direction,
        previous_status=event.previous_status,
        status=message.status,
        provider_status=message.provider_status,
        final=message.final,
        occurred_at=occurred(event),
        sent_at=message.sent_at,
        delivered_at=message.delivered_at,
        received_at=message.received_at,
        error=message.error,
        observed_at=format_rfc3339(event.observed),
    )


class Publisher:
    """Events of one transaction to records of the public topics."""

    def __init__(self, *, partitions: int, privacy: Privacy) -> None:
        self._partitions = partitions
        self._privacy = privacy

    def records(self, events: list[Event], *, shard: int, sequence: int) -> list[Record]:
        """One record an event, each saying which transaction of the shard it belongs to and how many there are."""
        tail = (
            ("ce_pollershard", str(shard).encode()),
            ("ce_pollertxn", str(sequence).encode()),
            ("ce_pollertxnsize", str(len(events)).encode()),
        )
        return [self._record(event, tail) for event in events]

    def size_of(self, stream: Stream, seen: Observation) -> int:
        """Bytes that a record of the full message takes."""
        event = Event("updated", stream, 0, message=seen.message, changed=tuple(Message.__struct_fields__))
        return len(event_value(event, self._privacy)) + HEADERS_BYTES

    def _record(self, event: Event, tail: tuple[tuple[str, bytes], ...]) -> Record:
        stream = event.stream
        id_ = event.dead.id if event.dead is not None else event.message and event.message.message_id
        key = None if id_ is None else message_key(stream.account_key, id_)
        partition = 0 if key is None else partition_of(key.encode(), self._partitions)
        headers = _headers(event, key, id_) + tail
        value = event_value(event, self._privacy)
        return Record(_TOPICS[event.kind], partition, None if key is None else key.encode(), value, headers)


def _headers(event: Event, key: str | None, id_: str | None) -> tuple[tuple[str, bytes], ...]:
    source = event.stream.account_key
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_type", TYPES[event.kind]),
        ("ce_source", f"/poller/{source}"),
        ("ce_time", occurred(event)),
        ("content-type", "application/json"),
    ]
    if event.dead is None:
        headers += [("ce_id", f"{key}:{event.revision}"), ("ce_subject", id_ or "")]
    else:
        raw = event.dead.raw
        headers += [
            ("ce_id", f"{source}/dead/{hashlib.sha256(raw).hexdigest()[:32]}"),
            ("ce_subject", event.stream.id),
            ("poller_reason", event.dead.reason),
            ("poller_field", event.dead.field),
            ("poller_truncated", "true" if len(raw) > DEAD_BYTES_MAX else "false"),
        ]
    return tuple((name, value.encode("utf-8", "replace")) for name, value in headers)
