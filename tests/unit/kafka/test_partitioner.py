"""A key lies in the partition where every client looks for it."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from poller.kafka import partitioner
from poller.kafka.partitioner import partition_of


@given(st.binary(max_size=64), st.integers(0, 64))
def test_murmur2_is_kafkas(key: bytes, common: int) -> None:
    """The hash equals that of an independent implementation for every key, however much of it others share."""
    assert partitioner.murmur2(key, min(common, len(key))) == reference(key) & 0xFFFFFFFF


def test_the_partition_is_the_java_clients() -> None:
    """Keys land where every client of the Java family puts them."""
    assert [partition_of(key, 16) for key in (b"21", b"foobar", b"")] == [(reference(k) & 0x7FFFFFFF) % 16 for k in (b"21", b"foobar", b"")]
