"""The order of the log is the order of the queue: no cursor is durable before what it stands for, however transactions are cut."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.kafka.port import STATE, Record
from poller.model import SECOND
from poller.publishing import commit as committing
from poller.publishing.cache import CacheDirectory, ShardCache
from poller.publishing.changes import Bound
from poller.publishing.commit import Committer
from poller.publishing.message_state import stream_tag
from poller.publishing.shard_state import ShardState, claim
from poller.publishing.state_records import Kind, cursor_key
from poller.telemetry.facts import Telemetry
from tests.support.rows import NOW, PUBLISHER, STREAM, observation, scope

pytestmark = pytest.mark.anyio
START = Cursor(floor=0, start=0, marks=(), watermark=NOW, changed=NOW)


def committer(rows: ShardCache, transactions: list[list[Record]]) -> Committer:
    """One whose transactions are noted, and always succeed."""

    async def commit(records: list[Record], **_: Any) -> int:
        transactions.append(records)
        return 10_000 * len(transactions)

    writer: Any = SimpleNamespace(commit=commit)
    shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
    telemetry = Telemetry(version="x", level="critical", form="json")
    return Committer(shard_state, shard=0, writer=writer, rows=rows, cluster="c", clock=SystemClock(), telemetry=telemetry)


@pytest.mark.parametrize(
    ("entries", "each", "at_most"), [(10, 3, 5), (1, 30, 5), (30, 1, 4), (8, 6, 6), (50, 2, 1), (4, 50, 7), (20, 7, 8), (5, 5, 4)]
)
async def test_no_cursor_is_durable_before_what_it_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int, each: int, at_most: int
) -> None:
    """More changes wait than one transaction takes, then the stream's cursor moves without any change, and the worker stops.

    Were it killed between two of the transactions of its stop, a message of a later one would be lost for good.
    """
    monkeypatch.setattr(committing, "CHANGES_MAX", at_most)
    transactions: list[list[Record]] = []
    with CacheDirectory(tmp_path) as store:
        writing = committer(store.shard(0), transactions)
        shard_state = writing.shard_state
        for number in range(entries):
            changes = shard_state.compare(scope(shard_state.tick()), [observation(f"m{number}-{n}") for n in range(each)], [])
            entry = shard_state.queue(changes, replace(START, watermark=NOW + number))
            assert entry is not None
            writing._put(entry)
        shard_state.keep_cursor(STREAM.id, replace(START, watermark=NOW + 100))
        await writing.drain()
    assert len(transactions) > 3 or entries < 4
    seen = messages = 0
    for records in transactions:
        messages += sum(record.topic != STATE and (record.key or b"").startswith(b"heymarket/main/m") for record in records)
        cursor = [record for record in records if record.topic == STATE and record.key == cursor_key(STREAM.id)]
        if cursor:
            assert len(cursor) == 1
            value = committing.encode_state(replace(START, watermark=NOW + 100))
            seen += cursor[0].value == value
            if seen:
                assert messages == entries * each * 2
    assert seen == 1, "what moved last is what is kept"


@pytest.mark.parametrize(("count", "rows"), [(20, 40), (1000, 1), (7, 99), (60, 15), (12, 101), (6, 200), (33, 33)])
async def test_a_page_in_portions_has_its_cursor_in_the_last_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, rows: int
) -> None:
    """Portions without a cursor wait only for room; the cursor comes when every portion before it is durable or rides with it."""
    monkeypatch.setattr(committing, "CHANGES_MAX", 50)
    monkeypatch.setattr(committing, "QUEUED_CHANGES_MAX", 100)
    monkeypatch.setattr(committing, "COMMIT_EVERY_S", 0.0)
    transactions: list[list[Record]] = []
    with CacheDirectory(tmp_path) as store:
        writing = committer(store.shard(0), transactions)
        shard_state = writing.shard_state
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writing.run)
            for portion in range(count):
                changes = shard_state.compare(scope(1), [observation(f"m{portion}-{n}") for n in range(rows)], [])
                await writing.write(changes, START if portion == count - 1 else None)
                assert writing._changes <= 100 + rows, "what waits is bounded"
            tasks.cancel_scope.cancel()
    with_cursor = [number for number, records in enumerate(transactions) if any(r.key == cursor_key(STREAM.id) for r in records)]
    assert with_cursor == [len(transactions) - 1]
    assert len(transactions) > 5
    assert sum(record.topic != STATE for records in transactions for record in records) == count * rows * 2


async def test_an_older_entry_never_overrides_a_newer_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read while things wait is the newest value: a moved cursor before a queued one, a queued one before the cache's."""
    transactions: list[list[Record]] = []
    with CacheDirectory(tmp_path) as store:
        writing = committer(store.shard(0), transactions)
        shard_state = writing.shard_state
        for text, watermark in (("a", 1), ("b", 2)):
            changes = shard_state.compare(scope(shard_state.tick()), [observation(text=text)], [])
            entry = shard_state.queue(changes, replace(START, watermark=watermark))
            assert entry is not None
            writing._put(entry)
        shard_state.keep_cursor(STREAM.id, replace(START, watermark=3))
        shard_state._cursors.clear()
        held = shard_state.cursor(STREAM.id)
        assert held is not None
        assert held.watermark == 3
        writing._flushed = math.inf
        await writing._commit(5.0)
        shard_state._cursors.clear()
        held = shard_state.cursor(STREAM.id)
        assert held is not None
        assert held.watermark == 3, "a commit of what was queued before drops nothing newer"
        await writing.drain()
        shard_state._cursors.clear()
        held = shard_state.cursor(STREAM.id)
        assert held is not None
        assert held.watermark == 3
        assert not shard_state._queued
        assert not shard_state._dirty


async def test_what_is_still_queued_is_known_while_an_older_copy_becomes_durable(tmp_path: Path) -> None:
    """Two changes of one message in two transactions: after the first one the second still counts, and is not published again."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        entries = [
            shard_state.queue(shard_state.compare(scope(shard_state.tick()), [observation(text=text)], []), START) for text in ("a", "b")
        ]
        assert entries[0] is not None
        shard_state.applied(entries[0])
        assert not shard_state.compare(scope(shard_state.tick()), [observation(text="b")], []).events


async def test_a_cursor_that_a_later_entry_carries_is_not_written_again(tmp_path: Path) -> None:
    """A cursor moved, then an entry carried a newer one: what is durable in the end is the newer one."""
    transactions: list[list[Record]] = []
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        writing = committer(rows, transactions)
        shard_state = writing.shard_state
        shard_state.keep_cursor(STREAM.id, replace(START, watermark=1))
        entry = shard_state.queue(shard_state.compare(scope(1), [observation()], []), replace(START, watermark=2))
        assert entry is not None
        writing._put(entry)
        await writing.drain()
        raw = rows.get(cursor_key(STREAM.id))
    assert raw == committing.encode_state(replace(START, watermark=2))


async def test_forgetting_leaves_alone_what_is_queued(tmp_path: Path) -> None:
    """A change that waits for its transaction would come after the tombstone, and its message would live on below the floor."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        writing = committer(rows, [])
        shard_state = writing.shard_state
        old = [observation(status="delivered", final=True)]
        await_entry = shard_state.queue(shard_state.compare(scope(1), old, []), START)
        assert await_entry is not None
        writing._put(await_entry)
        await writing.drain()
        bounds = {stream_tag(STREAM.id): Bound(STREAM.id, NOW + 10 * SECOND)}
        step = rows.scan(Kind.MESSAGE)
        changed = [observation(status="delivered", final=True, text="changed", stamp=1)]
        assert shard_state.queue(shard_state.compare(scope(2), changed, []), START) is not None
        assert shard_state.forget(step, bounds, NOW) is None
