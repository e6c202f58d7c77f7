"""What is kept of a message in state, and under which key.

State must suffice to tell whether a listed copy is new and what changed, and must not hold what privacy protects: so it
has revisions, stamps and keyed fingerprints, never a text or a number.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from msgspec import Struct

from ..model import Instant, encode_id


class MessageState(Struct, frozen=True, array_like=True):
    """What is kept of one published message. Stored by position: new fields go to the end, with a default."""

    revision: int
    status: str
    raw_status: str | None
    final: bool
    stamp: Instant
    """The provider's stamp of the last change."""
    requested_at: int
    """The shard's logical clock when the request of the adopted copy was sent."""
    position: int
    """Seconds: the latest creation-like stamp ever shown."""
    stream: int
    """Which stream it was seen in last (see :func:`stream_tag`): whose floor forgets it."""
    rules: int
    """The number of the fingerprint rules (:data:`.diff.RULES`) that the fingerprints were made by."""
    key: int
    """The number of the fingerprint key."""
    present: int
    """Bit n is set where the field ``HASHED[n]`` (:mod:`.fingerprints`) is present."""
    prints: bytes
    """The fingerprints of the present fields, one after the other."""
    id: str | None = None
    """The message id while it is not final, where the provider can be asked for single messages."""


class DeadMark(Struct, frozen=True, array_like=True):
    """A dead letter that was published; renewed while it is listed, forgotten when it no longer is."""

    stream: int
    listed: Instant


def message_key(account_key: str, message_id: str) -> str:
    """``provider/account/message id``: the key of every public record of the message."""
    return f"{account_key}/{encode_id(message_id)}"


def digest(text: str) -> bytes:
    """128 bits of a key: what the state is kept under (a shorter one would swallow a message by collision)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=1 << 14)
def stream_tag(stream_id: str) -> int:
    """63 bits that tell streams apart in the state. Remembered, because every message of a stream has it."""
    return int.from_bytes(hashlib.blake2b(stream_id.encode(), digest_size=8).digest(), "big") >> 1
