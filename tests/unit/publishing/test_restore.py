"""The cache goes on from a log only where it is that log: proved by its nonce, not by its offsets."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.kafka.port import Stored
from poller.publishing.cache import CacheDirectory, Position
from poller.publishing.restore import restore
from poller.publishing.state_records import META_KEY, Meta, encode_state, message_state_key
from tests.support.fake_kafka import FakeCluster, FakeLog
from tests.support.rows import NOW

pytestmark = pytest.mark.anyio
OLD, ROW = message_state_key(b"o" * 16), message_state_key(b"r" * 16)


def meta(nonce: str) -> Stored:
    """A shard's meta record."""
    return Stored(META_KEY, encode_state(Meta("g", 1, nonce, b"k" * 32)))


@pytest.mark.parametrize(
    ("log", "kept"),
    [
        ([Stored(ROW, b"1"), meta("ours"), Stored(ROW, b"2")], True),
        ([Stored(ROW, b"1"), meta("another"), Stored(ROW, b"2")], False),
        ([Stored(ROW, b"1"), Stored(ROW, b"1"), Stored(ROW, b"2")], False),
    ],
    ids=["the same log", "a log of another nonce", "a log that shows no nonce"],
)
async def test_a_cache_goes_on_only_from_its_own_log(log: list[Stored], kept: bool, tmp_path: Path) -> None:
    """What a recreated topic does not hold is forgotten, where its offsets fit, too."""
    cluster = FakeCluster(1)
    cluster.state[0] = [(record, True) for record in log]
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        rows.write([(OLD, b"old")], Position(2, 1, "ours", "fake", NOW))
        await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=lambda *_: None)
        assert (rows.get(OLD) is not None, rows.get(ROW)) == (kept, b"2")
