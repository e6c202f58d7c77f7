"""State as the bytes of records of the state topic, and back.

A key is one byte that tells the kind, and a name. A value is one byte that tells the format, and
MessagePack; a worker that meets a higher format leaves that shard alone.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct, field

from ..coverage.backfill import BackfillRequest
from ..coverage.cursor import Cursor
from ..coverage.lateness import Lateness
from ..errors import CorruptState, Refused
from ..kafka.port import STATE, Record
from ..model import Instant
from .message_state import DeadMark, MessageState

FORMAT = 1
"""Of state records; raised when an older worker could misread them."""


class Meta(Struct, frozen=True):
    """One per shard, in every transaction: whose state this is, which log it is, and how far it went."""

    group: str
    shards: int
    nonce: str
    """Random, made with the log: a recreated topic has another one."""
    key: bytes
    """The fingerprint key of this shard, used where the operator gives none."""
    clock: int = field(default=0, name="commit")
    """The shard's logical clock when the transaction was made: no copy in state was requested later.

    The first release kept the number of the transaction under this name; the clock goes on from it.
    """
    sequence: int = 0
    """The number of the last transaction with public records (``ce_pollertxn``)."""
    size: int = 0
    """How many public records it had (``ce_pollertxnsize``)."""
    keys: tuple[bytes, ...] = ()
    """Fingerprint keys of shards that were merged into this one."""
    retired: dict[int, int] = {}
    """The last sequence numbers of shards that are no more, so that a number never comes again (shard 0 keeps them)."""
    rebuilding: bool = False
    """The shard is being made again from the public topics and is not whole: no worker may go on from it."""
    rebuilt: Instant = 0
    """When the shard was last made again from the public topics; 0 = never."""
    begin: int | None = None
    """The offset at which the partition began when it was claimed or made whole; None = an earlier release did not keep it.

    Compaction never moves it, so a later one means lost records."""


class StoredBackoff(Struct, frozen=True):
    """What an account must not forget at a hand-over: trouble (kind, failures) and the wall time of the next try."""

    kind: str
    failures: int
    until: Instant


class Kind(bytes, Enum):
    """The kinds of state records: the first byte of their keys."""

    MESSAGE = b"m"
    CURSOR = b"c"
    DEAD_LETTER = b"d"
    BACKOFF = b"a"
    LATENESS = b"l"
    SIDE_QUERY = b"h"
    REQUEST = b"b"
    """A backfill that a command asked for. The first release wrote requests here; today they have a topic of their own."""
    META = b"x"


META_KEY: bytes = Kind.META.value
"""The key of a shard's meta record, of which there is one."""

_TYPES: dict[bytes, Any] = {
    Kind.MESSAGE: MessageState,
    Kind.CURSOR: Cursor,
    Kind.DEAD_LETTER: DeadMark,
    Kind.BACKOFF: StoredBackoff,
    Kind.LATENESS: Lateness,
    Kind.SIDE_QUERY: dict,
    Kind.REQUEST: BackfillRequest,
    Kind.META: Meta,
}
_pack = msgspec.msgpack.Encoder().encode
_unpackers = {kind: msgspec.msgpack.Decoder(type_) for kind, type_ in _TYPES.items()}


def message_state_key(digest: bytes) -> bytes:
    """State key of a message."""
    return Kind.MESSAGE + digest


def cursor_key(stream_id: str) -> bytes:
    """State key of a stream."""
    return Kind.CURSOR + stream_id.encode()


def request_key(stream_id: str) -> bytes:
    """Key of a request for a backfill; written by the command, never by a worker."""
    return Kind.REQUEST + stream_id.encode()


def backoff_key(account_key: str) -> bytes:
    """State key of why an account waits."""
    return Kind.BACKOFF + account_key.encode()


def side_query_key(stream_id: str, side_query: str) -> bytes:
    """State key of what a side query of a stream remembers; no stream id holds a ``#``."""
    return Kind.SIDE_QUERY + f"{stream_id}#{side_query}".encode()


def lateness_key(account_key: str) -> bytes:
    """State key of how late an account's rows come."""
    return Kind.LATENESS + account_key.encode()


def dead_key(account_key: str, sha256: bytes) -> bytes:
    """State key of a dead letter, by the digest of its row: once per account and content."""
    return Kind.DEAD_LETTER + hashlib.blake2b(account_key.encode() + b"\0" + sha256, digest_size=16).digest()


def encode_state(value: MessageState | Cursor | DeadMark | StoredBackoff | Lateness | BackfillRequest | Meta | Any) -> bytes:
    """The value of a state record."""
    return bytes((FORMAT,)) + _pack(value)


def decode_state(key: bytes, value: bytes) -> Any:
    """What a state record holds, by the first byte of its key.

    Raises Refused for a format of a newer release, CorruptState for nonsense.
    """
    if value[:1] > bytes((FORMAT,)):
        raise Refused("the state was written by a newer release of poller", fix="upgrade this worker")
    try:
        return _unpackers[key[:1]].decode(memoryview(value)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        raise CorruptState from None


def decode_message_state(value: bytes) -> MessageState:
    """What is kept of a message. As :func:`decode_state`, but without looking the kind up: it is called for each row."""
    if value[0] > FORMAT:
        raise Refused("the state was written by a newer release of poller", fix="upgrade this worker")
    return _unpackers[Kind.MESSAGE].decode(memoryview(value)[1:])


def state_record(shard: int, key: bytes, value: bytes | None) -> Record:
    """A record of the state topic; None forgets."""
    return Record(STATE, shard, key, value)
