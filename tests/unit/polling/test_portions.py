"""Work yields: whatever a page holds, the loop turns between portions of it, and what waits is bounded."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.clock import SystemClock
from poller.coverage.cursor import Cursor
from poller.model import BadRow, Observation, Row
from poller.polling.rows import PORTION_BYTES, PORTION_ROWS, AccountRows, portions
from poller.providers.contract import Page
from poller.providers.stuut import cap
from poller.publishing.cache import CacheDirectory
from poller.publishing.commit import QUEUED_CHANGES_MAX, Committer
from poller.publishing.shard_state import ShardState, claim
from poller.telemetry.facts import Telemetry
from tests.support.rows import NOW, PUBLISHER, observation, scope

pytestmark = pytest.mark.anyio
ROWS = 10_000


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.integers(1, 100_000)), max_size=30))
def test_portions_hold_every_row_once_and_the_copies_of_a_message_together(rows: list[tuple[str | None, int]]) -> None:
    """Of several copies in one page the highest counts, so they are compared together, whatever lies between them."""
    page: list[Row | BadRow] = [Row(id_, 0, b"x" * size) if id_ is not None else BadRow("r", "", b"x" * size) for id_, size in rows]
    cut = list(portions(page))
    assert cut
    assert sorted(map(id, page)) == sorted(id(row) for portion in cut for row in portion)
    homes = [{row.id for row in portion if row.id is not None} for portion in cut]
    assert sum(map(len, homes)) == len(set.union(*homes))
    for portion in cut:
        but_the_last_group = [row for row in portion if row.id is None or row.id != portion[-1].id][:-1]
        assert sum(len(row.raw) for row in but_the_last_group) <= PORTION_BYTES


def test_cutting_a_page_makes_no_container_for_each_row() -> None:
    """A hundred thousand of them would set off the garbage collector, which holds the loop for longer than all portions may."""
    page: list[Row | BadRow] = [Row(f"m{number}", 0, b"x") for number in range(ROWS)]
    cut = portions(page)
    gc.collect()
    before = len(gc.get_objects())
    first = next(cut)
    assert len(first) == PORTION_ROWS
    assert len(gc.get_objects()) - before < PORTION_ROWS


class Stamp(int):
    """An instant that counts how often instants are compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Stamp.compared += 1
        return int(self) < int(other)

    def __gt__(self, other: int) -> bool:
        Stamp.compared += 1
        return int(self) > int(other)


def test_what_a_list_that_is_read_whole_leaves_behind_is_found_without_sorting_it() -> None:
    """The interpreter lets nothing else run while it sorts, in whatever thread: half a second for a hundred thousand rows."""
    created = [Stamp(number * 7919 % ROWS) for number in range(ROWS)]
    page: list[Row | BadRow] = [Row(f"m{stamp}", stamp, b"x") for stamp in created]
    Stamp.compared = 0
    kept = cap.remembered(cap.LastList(), page, said=False)
    assert (kept.first, kept.last, kept.rows) == ("m0", f"m{ROWS - 1}", ROWS)
    assert Stamp.compared <= 4 * ROWS


class Provider:
    """Counts the rows that are read between two turns of the loop."""

    def __init__(self) -> None:
        self.since = self.most = self.turns = 0

    def read_row(self, row: Row) -> Observation:
        """One more."""
        self.since += 1
        self.most = max(self.most, self.since)
        return replace(observation(row.id), raw=row.raw)

    async def probe(self) -> None:
        """Has its turn whenever the loop turns."""
        while True:
            self.since, self.turns = 0, self.turns + 1
            await anyio.sleep(0)


async def test_the_loop_turns_between_portions_of_any_page_and_of_many_at_once(tmp_path: Path) -> None:
    """Three pages of ten thousand new rows each, side by side: never more than a portion between two turns, nor more waiting than may."""
    provider, waiting = Provider(), [0]
    written: list[int] = []

    async def commit(records: list[Any], **_: Any) -> int:
        written.append(len(records))
        return 100_000 * len(written)

    with CacheDirectory(tmp_path) as store:
        shard_state, clock = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER), SystemClock()
        telemetry = Telemetry(version="x", level="critical", form="json")
        writer: Any = SimpleNamespace(commit=commit)
        committer = Committer(shard_state, shard=0, writer=writer, rows=store.shard(0), cluster="c", clock=clock, telemetry=telemetry)
        settings: Any = SimpleNamespace(channels=frozenset({"sms"}), publish_drafts=False)
        rows = AccountRows(settings, provider, committer, clock)
        poll: Any = SimpleNamespace(lookups=None)

        async def page(name: str) -> None:
            listed: list[Row | BadRow] = [Row(f"{name}{number}", 0, b"%d" % number) for number in range(ROWS)]
            changes, _ = await rows.compare(poll, Page(listed), scope(shard_state.tick()), every=False, now=NOW)
            waiting[0] = max(waiting[0], committer._changes)
            await committer.write(changes, Cursor(0, 0, (), 0, 0))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(committer.run)
            tasks.start_soon(provider.probe)
            async with anyio.create_task_group() as pages:
                for name in "abc":
                    pages.start_soon(page, name)
            tasks.cancel_scope.cancel()
    assert provider.turns >= 3 * ROWS / PORTION_ROWS
    assert provider.most <= 4 * PORTION_ROWS, "the first portions of three pages, and one more"
    assert waiting[0] <= QUEUED_CHANGES_MAX + 4 * PORTION_ROWS
    assert len(written) > 5, "a page spans several transactions"


async def test_a_copy_that_is_not_adopted_is_not_known(tmp_path: Path) -> None:
    """An older copy that a replica lists is read in full each time: once it is taken for known, a later return to it would go unseen."""
    copies = {b"new": observation(status="delivered", stamp=2), b"old": observation(status="sent", stamp=1)}
    provider: Any = SimpleNamespace(read_row=lambda row: copies[row.raw])
    with CacheDirectory(tmp_path) as store:
        shard_state, clock = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER), SystemClock()
        telemetry, writer = Telemetry(version="x", level="critical", form="json"), SimpleNamespace()
        committer = Committer(shard_state, shard=0, writer=writer, rows=store.shard(0), cluster="c", clock=clock, telemetry=telemetry)  # pyright: ignore[reportArgumentType]
        settings: Any = SimpleNamespace(channels=frozenset({"sms"}), publish_drafts=False)
        rows, poll = AccountRows(settings, provider, committer, clock), SimpleNamespace(lookups=None)
        for raw in (b"new", b"old"):
            changes, _ = await rows.compare(poll, Page([Row("m1", NOW, raw)]), scope(shard_state.tick()), every=False, now=NOW)  # pyright: ignore[reportArgumentType]
            shard_state.queue(changes, Cursor(0, 0, (), 0, 0))
        assert changes.stale == {"m1"}
        assert rows.known.others([Row("m1", NOW, b"old")])
