"""The cache goes on from a log only where it is that log: proved by its nonce, not by its offsets."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.errors import Refused
from poller.kafka.port import Stored
from poller.publishing.cache import CacheDirectory, Position
from poller.publishing.restore import restore
from poller.publishing.shard_state import claim
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


def nothing(done: int, end: int) -> None:
    """Nobody follows how far it is."""


@pytest.mark.parametrize(
    ("log", "offset", "lost"),
    [
        ([meta("ours"), Stored(ROW, b"1")], 3, True),
        ([meta("ours"), Stored(ROW, b"1")], 10**12, True),
        ([Stored(ROW, b"1"), meta("another"), meta("ours")], 4, True),
        ([meta("ours")], 2, True),
        ([meta("ours"), Stored(ROW, b"1")], 2, False),
        ([meta("another"), Stored(ROW, b"1")], 3, False),
        ([meta("ours"), meta("another")], 3, False),
        ([Stored(ROW, b"1")], 3, False),
        ([], 1, False),
    ],
)
async def test_a_log_that_lost_its_end_is_not_gone_on_from(log: list[Stored], offset: int, lost: bool, tmp_path: Path) -> None:
    """A cache of the same log was further: refused with the fix, at each try; one of a log that was made anew since is dropped."""
    cluster = FakeCluster(1)
    cluster.state[0] = [(record, True) for record in log]
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        rows.write([(OLD, b"old")], Position(offset, 1, "ours", "fake", NOW))
        for _ in range(2):
            if lost:
                with pytest.raises(Refused, match="lost its last transactions") as caught:
                    await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=nothing)
                assert "poller rebuild" in caught.value.fix
            else:
                await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=nothing)
        assert (rows.get(OLD) is not None) == lost


@pytest.mark.parametrize(
    ("begin", "known", "lost"), [(0, 0, False), (1, 0, True), (2, 1, True), (2, 2, False), (1, 2, False), (2, None, False)]
)
@pytest.mark.parametrize("cached", [False, True])
async def test_a_log_that_lost_its_beginning_is_not_gone_on_from(
    begin: int, known: int | None, lost: bool, cached: bool, tmp_path: Path
) -> None:
    """Compaction moves no beginning: somebody deleted records, or let them expire; with or without a cache."""
    cluster = FakeCluster(1)
    made = Stored(META_KEY, encode_state(Meta("g", 1, "ours", b"k" * 32, begin=known)))
    cluster.state[0] = [(record, True) for record in (Stored(OLD, b"1"), Stored(OLD, b"2"), made, Stored(ROW, b"1"))]
    cluster.begins[0] = begin
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        if cached:
            rows.write([(META_KEY, made.value), (OLD, b"2")], Position(3, 2, "ours", "fake", NOW))
        for _ in range(2):
            if lost:
                with pytest.raises(Refused, match="lost its beginning"):
                    await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=nothing)
            else:
                found, _ = await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=nothing)
                assert found is not None


async def test_a_log_that_was_emptied_may_be_begun_anew(tmp_path: Path) -> None:
    """Where somebody deleted every record to begin anew, the state knows where it began, and is gone on from."""
    cluster = FakeCluster(1)
    cluster.state[0] = [(Stored(OLD, b"1"), True), (Stored(OLD, b"2"), True)]
    cluster.begins[0] = 2
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        for _ in range(2):
            found, log = await restore(FakeLog(cluster), 0, rows, now=NOW, retention=10**9, progress=nothing)
            claimed = claim(found, group="g", shards=1, begin=log.begin)
            assert claimed.begin == 2
            cluster.state[0].append((Stored(META_KEY, encode_state(claimed)), True))
