"""The shard's logical clock: copies are ordered by when they were requested, whatever the machines' clocks say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.clock import SystemClock
from poller.publishing.cache import CacheDirectory, ShardCache
from poller.publishing.changes import Entry
from poller.publishing.commit import Committer
from poller.publishing.message_state import MessageState
from poller.publishing.restore import meta_of
from poller.publishing.shard_state import ShardState, claim
from poller.publishing.state_records import META_KEY, decode_state
from poller.telemetry.facts import Telemetry
from tests.support.rows import PUBLISHER, compared, observation, scope

pytestmark = pytest.mark.anyio
FIRST_RELEASE = bytes.fromhex(
    "0189a567726f7570a170a673686172647301a56e6f6e6365a16ea36b6579c4016ba6636f6d6d6974cd0101a873657175656e636504a473697a6502a46b65797390a77265746972656480"
)
"""A meta record as the first release wrote it after 257 transactions."""


def committer(rows: ShardCache, shard_state: ShardState) -> Committer:
    """One whose transactions always succeed."""
    offsets = iter(range(10, 10_000, 10))

    async def commit(*_: Any, **__: Any) -> int:
        return next(offsets)

    writer: Any = SimpleNamespace(commit=commit)
    return Committer(
        shard_state, shard=0, writer=writer, rows=rows, cluster="cluster",
        clock=SystemClock(), telemetry=Telemetry(version="x", level="critical", form="json"),
    )  # fmt: skip


def lives_on(rows: ShardCache) -> ShardState:
    """The shard's next life: what a restart or another worker restores."""
    return ShardState(rows, claim(meta_of(rows), group="g", shards=1), PUBLISHER)


async def test_what_a_later_life_requests_comes_after_all_that_is_durable(tmp_path: Path) -> None:
    """However many requests were made for one transaction: the meta record keeps the clock, not the number of the transaction."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        last = 0
        for _ in range(1000):
            last = shard_state.tick()
        await committer(rows, shard_state)._transaction(Entry([], {b"hx": b"\x01\x80"}), 5.0)
        assert lives_on(rows).tick() > last


@given(st.lists(st.integers(0, 5), max_size=8))
def test_every_reading_is_new(lives: list[int]) -> None:
    """The clock never stands still and never goes back, over any number of lives with any number of requests each."""
    meta, readings = claim(None, group="g", shards=1), [0]
    for requests in lives:
        shard_state = ShardState(SimpleNamespace(), meta, PUBLISHER)  # type: ignore[arg-type]
        readings += [shard_state.tick() for _ in range(requests)]
        meta = claim(type(meta)(meta.group, meta.shards, meta.nonce, meta.key, readings[-1]), group="g", shards=1)
    assert readings == sorted(set(readings))


def test_the_clock_goes_on_from_the_first_releases_count_of_transactions() -> None:
    """Its meta records have no clock: nothing it kept was requested after its last transaction."""
    meta = decode_state(META_KEY, FIRST_RELEASE)
    assert meta.clock == 257
    assert ShardState(SimpleNamespace(), meta, PUBLISHER).tick() > 257  # type: ignore[arg-type]


def test_an_answer_that_comes_late_never_undoes_a_newer_one(tmp_path: Path) -> None:
    """Two requests overlap and no transaction lies between them: the second one's copy stays, whichever answer comes first."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        early, late = shard_state.tick(), shard_state.tick()
        known: dict[bytes, MessageState] = {}
        known |= compared(known, [observation(text="new")], scope(late)).states
        assert not compared(known, [observation(text="old")], scope(early)).events
