"""The only bytes: events to records, state to records and back.

Events are CloudEvents 1.0 in the Kafka binding's binary mode. State records are one format
byte and MessagePack; a worker that meets a higher format leaves that shard alone.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from .backfill import Asked
from .diff import DeadMark, Event, Seen, message_key
from .errors import CorruptState, Refused
from .lateness import Lateness
from .model import SECOND, Instant, Message, Observation, Problem, Stream
from .port import DEAD_LETTERS, MESSAGES, STATE, STATUS, Record
from .privacy import Privacy
from .window import Cursor

FORMAT = 1
"""Of state records; raised when an older worker could misread them."""

RECORD_BYTES_MAX = 900 * 1024
"""A row whose event is larger becomes a dead letter: one giant row must never stop a shard."""

DEAD_BYTES_MAX = 256 * 1024
HEADERS_BYTES = 1024

CREATED, UPDATED = "sms.message.created.v1", "sms.message.updated.v1"
STATUS_CHANGED, DEAD_LETTER = "sms.message.status-changed.v1", "sms.message.dead-letter.v1"
TYPES = {"created": CREATED, "updated": UPDATED, "status": STATUS_CHANGED, "dead": DEAD_LETTER}
_TOPICS = {"created": MESSAGES, "updated": MESSAGES, "status": STATUS, "dead": DEAD_LETTERS}
_OWN_STAMP = {"sent": "sent_at", "delivered": "delivered_at", "received": "received_at"}


class Meta(Struct, frozen=True):
    """One per shard, in every transaction: whose state this is, which log it is, and how far it went."""

    group: str
    shards: int
    nonce: str
    """Random, made with the log: a recreated topic has another one."""
    key: bytes
    """The fingerprint key of this shard, used where the operator gives none."""
    commit: int = 0
    """The number of the transaction."""
    sequence: int = 0
    """The number of the last transaction with public records (``ce_pollertxn``)."""
    size: int = 0
    """How many public records it had (``ce_pollertxnsize``)."""
    keys: tuple[bytes, ...] = ()
    """Fingerprint keys of shards that were merged into this one."""
    retired: dict[int, int] = {}
    """The last sequence numbers of shards that are no more, so that a number never comes again (shard 0 keeps them)."""


class Waits(Struct, frozen=True):
    """What an account must not forget at a hand-over: trouble (kind, failures) and the wall time of the next try."""

    kind: str
    failures: int
    until: Instant


META_KEY = b"x"
_KINDS: dict[bytes, Any] = {b"m": Seen, b"c": Cursor, b"d": DeadMark, b"a": Waits, b"l": Lateness, b"b": Asked, b"h": dict, b"x": Meta}
_pack = msgspec.msgpack.Encoder().encode
_unpackers = {kind: msgspec.msgpack.Decoder(type_) for kind, type_ in _KINDS.items()}


def seen_key(digest: bytes) -> bytes:
    """State key of a message."""
    return b"m" + digest


def cursor_key(stream_id: str) -> bytes:
    """State key of a stream."""
    return b"c" + stream_id.encode()


def asked_key(stream_id: str) -> bytes:
    """State key of a request for a backfill; written by the command, never by a worker."""
    return b"b" + stream_id.encode()


def account_state_key(account_key: str) -> bytes:
    """State key of an account."""
    return b"a" + account_key.encode()


def chore_key(stream_id: str, chore: str) -> bytes:
    """State key of what a chore of a stream remembers; no stream id holds a ``#``."""
    return b"h" + f"{stream_id}#{chore}".encode()


def lateness_key(account_key: str) -> bytes:
    """State key of what an account's lateness taught."""
    return b"l" + account_key.encode()


def dead_key(account_key: str, raw: bytes) -> bytes:
    """State key of a dead letter: once per account and content."""
    return b"d" + hashlib.blake2b(account_key.encode() + b"\0" + hashlib.sha256(raw).digest(), digest_size=16).digest()


def encode_state(value: Seen | Cursor | DeadMark | Waits | Lateness | Asked | Meta | dict[str, Any]) -> bytes:
    """The value of a state record."""
    return bytes((FORMAT,)) + _pack(value)


def decode_state(key: bytes, value: bytes) -> Any:
    """What a state record holds, by the first byte of its key.

    Raises Refused for a format of a newer release, CorruptState for nonsense.
    """
    if value[0] > FORMAT:
        raise Refused("the state was written by a newer release of poller", fix="upgrade this worker")
    try:
        return _unpackers[key[:1]].decode(memoryview(value)[1:])
    except msgspec.DecodeError:
        raise CorruptState from None


def decode_seen(value: bytes) -> Seen:
    """As :func:`decode_state`, for the hot path."""
    if value[0] > FORMAT:
        raise Refused("the state was written by a newer release of poller", fix="upgrade this worker")
    return _unpackers[b"m"].decode(memoryview(value)[1:])


def state_record(shard: int, key: bytes, value: bytes | None) -> Record:
    """A record of the state topic; None forgets."""
    return Record(STATE, shard, key, value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(instant: Instant) -> str:
    """An instant of our own clock as RFC 3339 UTC text."""
    text = (_EPOCH + timedelta(microseconds=instant)).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


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
        return rfc3339(event.observed)
    if event.kind == "created":
        return message.created_at
    own = _OWN_STAMP.get(message.status) if event.kind == "status" else None
    return (own and getattr(message, own)) or message.updated_at or rfc3339(event.observed)


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
            observed_at=rfc3339(event.observed),
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
        observed_at=rfc3339(event.observed),
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


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that every Kafka client of the Java family chooses for this key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Kafka's hash (org.apache.kafka.common.utils.Utils.murmur2), unsigned."""
    size, mask, m = len(data), 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ size
    whole = size & ~3
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        k = k * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if size & 3:
        h ^= int.from_bytes(data[whole:], "little")
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def seconds_since(created: Instant, observed: Instant) -> float:
    """How old a message was when it was observed, in seconds; never negative."""
    return max(0, observed - created) / SECOND
