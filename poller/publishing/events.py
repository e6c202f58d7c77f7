"""A change as the bytes of public records: CloudEvents 1.0 in the Kafka binding's binary mode.

Whatever a row's content makes fail (privacy, encoding, size) fails here, while the row can still
become a dead letter; a transaction adds only its own three headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ..kafka.partitioner import partition_of
from ..kafka.port import DEAD_LETTERS, LATEST, MESSAGES, STATUS, Record
from ..model import STREAMS_REMEMBERED, Instant, Message, Problem, Stream
from ..telemetry import event_types
from ..telemetry.event_types import dataschema
from ..times import format_rfc3339, parse_rfc3339
from .diff import Created, DeadLetter, MessageChange, MessageEvent, StatusChanged
from .framing import NO_FRAME, Frame
from .message_state import message_key
from .privacy import Privacy, Unpublishable

RECORD_BYTES_MAX = 900 * 1024
"""Bytes of a record's key and value. A row whose event is larger becomes a dead letter: one giant row must never stop a shard."""

DEAD_BYTES_MAX = 256 * 1024
"""Bytes of a row that a dead letter keeps."""

HEADERS_BYTES = 1024
"""Bytes that the headers of a record take at most beside the message id, which they hold twice."""

_TOPICS = {"created": MESSAGES, "updated": MESSAGES, "status": STATUS, "dead": DEAD_LETTERS, "latest": LATEST}
_TYPES = {**event_types.TYPES, "latest": event_types.LATEST}

_OWN_STAMP = {"sent": "sent_at", "delivered": "delivered_at", "received": "received_at"}


class StatusChange(Struct, frozen=True, omit_defaults=True, gc=False):
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


class Envelope(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the value of a full message says beside the message itself."""

    provider: str
    account: str
    stream: str
    revision: int
    observed_at: str
    changed: tuple[str, ...] | None = None


class _Source(NamedTuple):
    """What all events of one stream say alike."""

    id: str
    key_bytes: int
    """Bytes with which the key of every message begins alike."""
    headers: dict[str, tuple[tuple[str, bytes], ...]]
    """The first headers of a record, by its kind."""


@lru_cache(maxsize=STREAMS_REMEMBERED)
def _source(stream: Stream) -> _Source:
    headers = {kind: _utf8(_common(kind, stream.account_key)) for kind in _TYPES}
    return _Source(stream.id, len(f"{stream.account_key}/".encode()), headers)


def _common(kind: str, account_key: str) -> tuple[tuple[str, str], ...]:
    """The headers that all events of a kind and an account have alike."""
    type_ = _TYPES[kind]
    return ("ce_specversion", "1.0"), ("ce_type", type_), ("ce_dataschema", dataschema(type_)), ("ce_source", f"/poller/{account_key}")


_CONTENT_TYPE = ("content-type", b"application/json")

_observed_at = lru_cache(maxsize=64)(format_rfc3339)
"""Remembered, because all events of a page were observed at one instant."""


_json = msgspec.json.Encoder().encode


class Encoded(Struct, frozen=True, gc=False):
    """One event, or a latest message, as bytes: a public record without the headers of its transaction."""

    kind: str
    topic: str
    """A role, as in :class:`poller.kafka.port.Record`."""
    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def size(self) -> int:
        """Bytes that the record takes, about."""
        return len(self.value) + 3 * len(self.key or b"") + HEADERS_BYTES


class Records(NamedTuple):
    """What one change of a message gives."""

    events: list[Encoded]
    latest: Encoded | None
    """The message as its last event leaves it; None where there is no event, or no topic for it."""


def in_transaction(events: list[Encoded], latest: Iterable[Encoded] = (), *, shard: int, sequence: int) -> list[Record]:
    """The records of one transaction, each saying which one of the shard it belongs to and how many events it has.

    Latest messages are not counted: compaction takes most of them away.
    """
    tail = (
        ("ce_pollershard", b"%d" % shard),
        ("ce_pollertxn", b"%d" % sequence),
        ("ce_pollertxnsize", b"%d" % len(events)),
    )
    return [Record(each.topic, each.partition, each.key, each.value, each.headers + tail) for each in (*events, *latest)]


def occurred(event: MessageEvent) -> str | None:
    """``ce_time``: created_at for created; else the status's own stamp, else updated_at; None where the provider does not say.

    An updated_at that did not move with the status is that of something before it.
    """
    message = event.message
    if isinstance(event, Created):
        return message.created_at
    if not isinstance(event, StatusChanged):
        return message.updated_at
    own = _OWN_STAMP.get(message.status)
    return (own and getattr(message, own)) or (message.updated_at if event.stamp_moved else None)


def own_stamp(event: MessageEvent) -> Instant | None:
    """When a status began by its own stamp, where the provider gives one."""
    own = _OWN_STAMP.get(event.message.status) if isinstance(event, StatusChanged) else None
    time = parse_rfc3339(getattr(event.message, own)) if own else None
    return None if time is None else time.instant


class Publisher:
    """Events to the bytes of public records. Pure: the same event gives the same bytes."""

    def __init__(
        self,
        *,
        partitions: int,
        privacy: Privacy,
        record_bytes_max: int = RECORD_BYTES_MAX,
        latest: bool = False,
        frames: Mapping[str, Frame] = MappingProxyType({}),
    ) -> None:
        """``record_bytes_max``: what the topics take, should it be less than our own limit.

        ``latest``: whether there is a topic for latest messages. ``frames``: what is put to a record of each kind, where schemas are registered.
        """
        self._latest, self._frames = latest, frames
        self._partitions, self._privacy, self._plain = partitions, privacy, privacy.plain
        self._bytes_max = min(record_bytes_max, RECORD_BYTES_MAX)
        self._dead_bytes_max = min(DEAD_BYTES_MAX, self._bytes_max // 2)

    def records(self, change: MessageChange) -> Records:
        """The events of one message, and what it then is. Raises Unpublishable, and whatever a row's content makes a library raise."""
        if not change.events:
            return Records([], None)
        key, message = change.copy.key.encode(), change.copy.observation.message
        source = _source(change.events[0].stream)
        partition = partition_of(key, self._partitions, source.key_bytes)
        told = message if self._plain else self._privacy.apply(message)
        whole = _json(told) if self._latest or any(not isinstance(event, StatusChanged) for event in change.events) else b""
        encoded: list[Encoded] = []
        for event in change.events:
            time = occurred(event)
            value = _value(event, told, whole, source, time)
            headers = _headers(event.kind, b"%b:%d" % (key, event.revision), event, source, time)
            encoded.append(self._encoded(event.kind, partition, key, value, headers))
        return Records(encoded, self._as_latest(change.events[-1], partition, key, whole) if self._latest else None)

    def latest(self, event: MessageEvent) -> Encoded:
        """The message as an event left it, as the events told it: privacy was applied when they were published. Raises Unpublishable."""
        key = message_key(event.stream.account_key, event.message.message_id).encode()
        return self._as_latest(event, partition_of(key, self._partitions), key, _json(event.message))

    def _as_latest(self, event: MessageEvent, partition: int, key: bytes, whole: bytes) -> Encoded:
        source = _source(event.stream)
        headers = _headers("latest", b"%b:%d:latest" % (key, event.revision), event, source, occurred(event))
        return self._encoded("latest", partition, key, _full(event, whole, source), headers)

    def _encoded(self, kind: str, partition: int, key: bytes, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> Encoded:
        frame = self._frames.get(kind, NO_FRAME)
        if len(frame.prefix) + len(value) + 3 * len(key) + HEADERS_BYTES > self._bytes_max:
            raise Unpublishable("too_large")
        return Encoded(kind, _TOPICS[kind], partition, key, frame.prefix + value, headers + frame.headers)

    def dead_letter(self, event: DeadLetter) -> Encoded:
        """A row that cannot be published as a message. Never raises, for any bytes."""
        row, source = event.row, event.stream.account_key
        value = self._privacy.dead_letter(row.raw)
        cut = value[: self._dead_bytes_max]
        key = None if row.id is None else message_key(source, row.id).encode()
        if key is not None and 3 * len(key) + HEADERS_BYTES > self._bytes_max - self._dead_bytes_max:
            key = None  # an id that no record can carry
        headers = (
            *_common(event.kind, source),
            ("content-type", "application/json" if _is_json(cut) else "application/octet-stream"),
            ("ce_id", f"{source}/dead/{event.sha256[:32]}"),
            ("ce_subject", event.stream.id),
            ("poller_reason", row.reason),
            ("poller_field", row.field),
            ("poller_truncated", "true" if len(cut) < len(value) else "false"),
        )
        partition = 0 if key is None else partition_of(key, self._partitions)
        return Encoded(event.kind, DEAD_LETTERS, partition, key, cut, _utf8(headers))


def _is_json(value: bytes) -> bool:
    """Whether a dead letter's value is whole JSON."""
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _value(event: MessageEvent, message: Message, whole: bytes, source: _Source, time: str | None) -> bytes:
    """The JSON value of an event; privacy has been applied to ``message``, which is ``whole`` as JSON. ``time``: see :func:`occurred`."""
    if isinstance(event, StatusChanged):
        return _json(_status_change(event, message, source.id, _observed_at(event.observed), time))
    return _full(event, whole, source, None if isinstance(event, Created) else event.changed)


def _full(event: MessageEvent, whole: bytes, source: _Source, changed: tuple[str, ...] | None = None) -> bytes:
    """The JSON of a full message with what is said beside it."""
    stream = event.stream
    envelope = _json(Envelope(stream.provider, stream.account, source.id, event.revision, _observed_at(event.observed), changed))
    return whole[:-1] + b"," + envelope[1:]


def _status_change(event: StatusChanged, message: Message, stream: str, observed_at: str, time: str | None) -> StatusChange:
    return StatusChange(
        provider=event.stream.provider,
        account=event.stream.account,
        stream=stream,
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        revision=event.revision,
        direction=message.direction,
        previous_status=event.previous_status,
        status=message.status,
        provider_status=message.provider_status,
        final=message.final,
        occurred_at=time,
        sent_at=message.sent_at,
        delivered_at=message.delivered_at,
        received_at=message.received_at,
        error=message.error,
        observed_at=observed_at,
    )


def _headers(kind: str, id_: bytes, event: MessageEvent, source: _Source, time: str | None) -> tuple[tuple[str, bytes], ...]:
    own = (_CONTENT_TYPE, ("ce_id", id_), ("ce_subject", event.message.message_id.encode("utf-8", "replace")))
    head = source.headers[kind]
    return head + own if time is None else (*head, ("ce_time", time.encode("utf-8", "replace")), *own)


def _utf8(headers: tuple[tuple[str, str | None], ...]) -> tuple[tuple[str, bytes], ...]:
    """As they are written; None leaves a header out."""
    return tuple((name, value.encode("utf-8", "replace")) for name, value in headers if value is not None)
