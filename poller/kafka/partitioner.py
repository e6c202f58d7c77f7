"""partitioner."""

from __future__ import annotations

import struct


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


def shard_of(account_key: str, shards: int) -> int:
    """The shard of an account: of its name only, so that new keys never move it away from its state."""
    return partition_of(account_key.encode(), shards)
