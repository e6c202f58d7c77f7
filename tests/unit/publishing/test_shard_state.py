"""The state of a shard while requests are in flight: forgetting doubles nothing, and a wait that was said is kept."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from poller.clock import SystemClock
from poller.coverage import cursor as window
from poller.coverage import ladder
from poller.coverage.cursor import Cursor, Mark
from poller.errors import RateLimited
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling.backoff import Backoffs
from poller.publishing.cache import CacheDirectory, Position, ShardCache
from poller.publishing.changes import Bound, Entry
from poller.publishing.diff import PageContext
from poller.publishing.message_state import stream_tag
from poller.publishing.shard_state import ShardState, claim
from poller.publishing.state_records import Kind
from poller.worker.forgetting import _left_alone
from tests.support.rows import NOW, PUBLISHER, observation

STREAM = Stream("stuut", "a", "t")
LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY, filtered=False)


def scope(cursor: Cursor, asked: int) -> PageContext:
    """As a page in flight remembers it."""
    return PageContext(stream=STREAM, floor=cursor.floor, requested_at=asked, observed=NOW)


def applied(shard_state: ShardState, rows: ShardCache, entry: Entry | None) -> None:
    """The entry was committed."""
    assert entry is not None
    rows.write(entry.rows.items(), Position(1, 0, "nonce", "cluster", NOW))
    shard_state.applied(entry)


def test_a_floor_that_rises_while_a_page_is_in_flight_doubles_nothing(tmp_path: Path) -> None:
    """The page was asked under the old floor and lists a message that was forgotten meanwhile: it is out of scope, not new."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        before = Cursor(floor=NOW - 20 * DAY, start=NOW - 20 * DAY, marks=(Mark(0, 7 * DAY, NOW),), watermark=NOW, changed=NOW)
        shard_state.keep_cursor(STREAM.id, before)
        old = [observation(position=NOW - 8 * DAY, status="delivered", final=True)]

        first = shard_state.compare(scope(before, 1), old, [])
        applied(shard_state, rows, shard_state.queue(first, shard_state.cursor(STREAM.id)))
        bound = window.oldest(LADDER, before, slack=ladder.SLACK)
        applied(shard_state, rows, shard_state.forget(rows.scan(Kind.MESSAGE, b""), {stream_tag(STREAM.id): Bound(STREAM.id, bound)}, NOW))
        second = shard_state.compare(scope(before, 2), old, [])
    assert first.created
    assert (second.events, second.below_floor) == ([], 1)


@pytest.mark.parametrize(("left_days", "kept"), [(0, 3), (1, 3), (6, 3), (8, 2), (9, 2), (30, 2), (400, 1)])
def test_a_stream_that_nobody_polls_is_forgotten_after_its_look_back(left_days: int, kept: int, tmp_path: Path) -> None:
    """Also what side queries learned, and after 400 days what is not final; a stream that comes back publishes nothing twice, and reads on from where
    it was left.
    """
    left = NOW - left_days * DAY
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        shard_state.keep_cursor(STREAM.id, Cursor(floor=0, start=0, marks=(Mark(0, 7 * DAY, left),), watermark=left, changed=left))
        shard_state.keep_learned(STREAM.id, "hints", {"since": 1})
        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        listed = [observation("final", position=left - HOUR, status="delivered", final=True), observation("open", position=left - HOUR),
                  observation("ahead", position=left + HOUR)]  # fmt: skip
        applied(shard_state, rows, shard_state.queue(shard_state.compare(scope(cursor, 1), listed, []), cursor))
        applied(shard_state, rows, shard_state.take_dirty(10))

        bounds = anyio.run(_left_alone, rows, {}, Day())
        for kind, forget in ((Kind.MESSAGE, shard_state.forget), (Kind.SIDE_QUERY, shard_state.forget_learned)):
            entry = forget(rows.scan(kind, b""), bounds, NOW)
            if entry is not None:
                applied(shard_state, rows, entry)
        assert len(rows.scan(Kind.MESSAGE, b"")) == kept
        assert (shard_state.learned(STREAM.id, "hints") is None) == (kept < 3)

        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        again = shard_state.compare(scope(cursor, 2), [*listed, observation("new", position=left + DAY)], [])
    assert len(again.created) == 1


@pytest.mark.parametrize(("left_days", "kept"), [(30, 1), (399, 1), (401, 0)])
def test_what_a_stream_owed_when_it_was_left_is_not_forgotten_while_it_may_come_back(left_days: int, kept: int, tmp_path: Path) -> None:
    """Above its watermark it may owe older messages: were these forgotten and the floor raised, those could never be published."""
    left = NOW - left_days * DAY
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        marks = (Mark(0, HOUR, left), Mark(HOUR, 7 * DAY, 0))
        cursor = Cursor(
            floor=left - 5 * DAY,
            start=left - 5 * DAY,
            marks=marks,
            watermark=left - 4 * DAY,
            changed=left,
            debts={1: (left - 5 * DAY, left)},
        )
        shard_state.keep_cursor(STREAM.id, cursor)
        listed = [observation("live", position=left - HOUR, status="delivered", final=True)]
        applied(shard_state, rows, shard_state.queue(shard_state.compare(scope(cursor, 1), listed, []), cursor))
        bounds = anyio.run(_left_alone, rows, {}, Day())
        entry = shard_state.forget(rows.scan(Kind.MESSAGE, b""), bounds, NOW)
        if entry is not None:
            applied(shard_state, rows, entry)
        after = shard_state.cursor(STREAM.id)
        assert after is not None
        assert len(rows.scan(Kind.MESSAGE, b"")) == kept
        assert after.floor <= (cursor.watermark if kept else left)


def test_a_stream_that_is_polled_is_left_alone_never(tmp_path: Path) -> None:
    """However long ago its last complete sweep is: an outage of a month forgets nothing."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        shard_state.keep_cursor(STREAM.id, Cursor(floor=0, start=0, marks=(Mark(0, 7 * DAY, NOW - 30 * DAY),), watermark=0, changed=0))
        applied(shard_state, rows, shard_state.take_dirty(10))
        assert stream_tag(STREAM.id) in anyio.run(_left_alone, rows, {}, Day())
        assert anyio.run(_left_alone, rows, {stream_tag(STREAM.id): Bound(STREAM.id, 0)}, Day()) == {}


class Day(SystemClock):
    """It is that instant."""

    def now(self) -> int:
        """Microseconds."""
        return NOW


class StoppedClock:
    """Both clocks, moved by hand."""

    at = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.at

    def now(self) -> int:
        """Microseconds."""
        return NOW + round(self.at * SECOND)


def test_an_answer_that_was_in_flight_ends_no_wait(tmp_path: Path) -> None:
    """429 with ten minutes to wait; a page of another stream that was asked before succeeds: the account waits all the same."""
    with CacheDirectory(tmp_path) as store:
        clock = StoppedClock()
        troubles = Backoffs(ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER), "stuut/a", clock, 15.0)  # type: ignore[arg-type]
        troubles.failed(STREAM.id, RateLimited(600.0))
        troubles.over("stuut/a/other")
        assert troubles.account is not None
        clock.at = 601.0
        troubles.over("stuut/a/other")
        assert troubles.account is None
