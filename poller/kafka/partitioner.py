"""Where a key lies: Kafka's own hash, so that every client finds the same partition."""

from __future__ import annotations

from functools import lru_cache
from struct import iter_unpack

_MASK, _M = 0xFFFFFFFF, 0x5BD1E995


def partition_of(key: bytes, partitions: int, common: int = 0) -> int:
    """The partition that every Kafka client of the Java family chooses for this key; ``common`` as in :func:`murmur2`."""
    return (murmur2(key, common) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes, common: int = 0) -> int:
    """Kafka's hash (org.apache.kafka.common.utils.Utils.murmur2), unsigned.

    ``common`` is how many of the first bytes many keys share: what they add is remembered for each length of a key.
    """
    size, shared = len(data), common & ~3
    whole = size & ~3
    h = _words(_begun(data[:shared], size), data[shared:whole])
    if size & 3:
        h ^= int.from_bytes(data[whole:], "little")
        h = h * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


@lru_cache(maxsize=1 << 12)
def _begun(data: bytes, size: int) -> int:
    """The hash of a key of ``size`` bytes after its first words."""
    return _words(0x9747B28C ^ size, data)


def _words(h: int, data: bytes) -> int:
    """The hash after some more words of four bytes each."""
    for (k,) in iter_unpack("<I", data):
        k = k * _M & _MASK
        h = h * _M & _MASK ^ (k ^ k >> 24) * _M & _MASK
    return h


def shard_of(account_key: str, shards: int) -> int:
    """The shard of an account: of its name only, so that new keys never move it away from its state."""
    return partition_of(account_key.encode(), shards)
