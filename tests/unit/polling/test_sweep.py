"""One page after another: what a bad answer, a floor that rises, and a clock that is not known yet do to a sweep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poller.clock import SystemClock
from poller.coverage import backfill, ladder
from poller.coverage import cursor as window
from poller.coverage.backfill import BackfillRequest
from poller.coverage.cursor import Cursor, Mark, Sweep
from poller.errors import BadPage
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling import streams, sweep
from poller.polling.account import Poller
from poller.polling.client.provider_clock import SETTLED, ProviderClock
from poller.polling.demand import Demand
from poller.polling.streams import StreamPoll
from poller.providers.contract import Page
from poller.providers.stuut.provider import Stuut
from poller.publishing.cache import CacheDirectory, Position, ShardCache
from poller.publishing.changes import Entry, PageChanges
from poller.publishing.commit import Committer
from poller.publishing.diff import PageContext
from poller.publishing.message_state import stream_tag
from poller.publishing.shard_state import ShardState, claim
from poller.telemetry.facts import Telemetry
from tests.support.rows import NOW, PUBLISHER, observation

pytestmark = pytest.mark.anyio
STREAM = Stream("stuut", "a", "t")
LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY, filtered=False)


def applied(shard_state: ShardState, rows: ShardCache, entry: Entry | None) -> None:
    """Committed."""
    assert entry is not None
    rows.write(entry.rows.items(), Position(1, 0, "nonce", "cluster", NOW))
    shard_state.applied(entry)


def account(shard_state: ShardState) -> Any:
    """As much of an account as a page needs that is answered badly."""
    return SimpleNamespace(
        committer=SimpleNamespace(shard_state=shard_state),
        clock=SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0),
        provider_clock=ProviderClock(),
        provider=Stuut(),
        slack=ladder.SLACK,
        floor_of=lambda now: now - DAY,
    )


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], Awaitable[Any]]) -> None:
    """What the provider does."""

    async def ask(*_: Any) -> Any:
        return await answer()

    monkeypatch.setattr(sweep, "ask", ask)


async def test_a_bad_page_in_flight_lowers_no_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are forgotten and the floor rises while the request is away: what was forgotten is not published again."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        began = Cursor(floor=NOW - 20 * DAY, start=NOW - 20 * DAY, marks=(Mark(0, 7 * DAY, NOW),), watermark=NOW, changed=NOW)
        shard_state.keep_cursor(STREAM.id, began)
        polled = StreamPoll(STREAM, LADDER)
        old = [observation(position=NOW - 8 * DAY, status="delivered", final=True)]

        def listed() -> PageChanges:
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            return shard_state.compare(PageContext(stream=STREAM, floor=cursor.floor, requested_at=1, observed=NOW), old, [])

        async def bad() -> None:
            bound = window.oldest(LADDER, began, slack=ladder.SLACK)
            if polled.bad_pages.get(0) == 2:
                applied(shard_state, rows, shard_state.forget(rows.scan(b"m", b""), {stream_tag(STREAM.id): (STREAM.id, bound)}, NOW))
            raise BadPage("not a list")

        first = listed()
        applied(shard_state, rows, shard_state.queue(first, shard_state.cursor(STREAM.id)))
        assert first.created
        answering(monkeypatch, bad)
        for _ in range(3):
            with pytest.raises(BadPage):
                await sweep.page(account(shard_state), polled, 0)
        assert (listed().events, polled.notes) == ([], {"sweep_begun_anew": 1})


async def test_a_sweep_in_hand_survives_bad_pages_until_one_comes_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a long sweep would never end where one answer in a hundred is of another shape."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        polled, mine = StreamPoll(STREAM, LADDER), account(shard_state)
        asked = Stuut().first_page(STREAM, window.Window(NOW - DAY, NOW, NOW), {})
        held = Sweep(NOW - DAY, NOW, 0, 7 * DAY, NOW, asked, started=NOW, pages=400)
        begun = window.begin(LADDER, floor=NOW - DAY, now=NOW)
        shard_state.keep_cursor(STREAM.id, window.replace(begun, sweeps={0: held}))

        async def bad() -> None:
            raise BadPage("not a list")

        answering(monkeypatch, bad)
        for left in (3, 2, 1):
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            assert cursor.sweeps == {0: held}, left
            with pytest.raises(BadPage):
                await sweep.page(mine, polled, 0)
        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        assert not cursor.sweeps


async def test_a_stream_begins_by_the_providers_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is two days ahead begins where it was told to, once enough answers agree on the provider's time."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        polled, mine = StreamPoll(STREAM, LADDER), account(shard_state)

        async def first() -> tuple[Page, int]:
            mine.provider_clock.observe(NOW - 2 * DAY, NOW)
            return Page([]), NOW

        answering(monkeypatch, first)
        for answers in range(1, SETTLED + 1):
            assert not await sweep.page(mine, polled, 0)
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            assert cursor.floor == (NOW - (DAY if answers < SETTLED else 3 * DAY) - SECOND) // SECOND * SECOND
        assert not streams.begins_anew(mine, polled)


async def test_what_a_chore_remembers_is_known_during_the_commit(tmp_path: Path) -> None:
    """Or an audit that begins just then would say the same gap twice."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        known: list[Any] = []

        async def commit(*_: Any, **__: Any) -> int:
            known.append(shard_state.chore(STREAM.id, "audit"))
            return len(known) * 10

        writer: Any = SimpleNamespace(commit=commit)
        committer = Committer(
            shard_state, shard=0, writer=writer, rows=rows, cluster="cluster",
            clock=SystemClock(), telemetry=Telemetry(version="x", level="critical", form="json"),
        )  # fmt: skip
        for raised in (0, 1):
            shard_state.keep_chore(STREAM.id, "audit", {"raised": raised})
            assert committer._flush()
            await committer._commit(5.0)
        assert known == [{"raised": 0}, {"raised": 1}]
        assert shard_state.chore(STREAM.id, "audit") == {"raised": 1}
        assert not shard_state._queued, "what is committed is held no longer"


def test_no_sweep_is_shown_that_never_was() -> None:
    """A stream that begins has marks, and no complete sweep; a rung has one once its own came to its end."""
    polled, cursor = StreamPoll(STREAM, LADDER), window.begin(LADDER, floor=NOW - DAY, now=NOW)
    assert [rung.last_complete for rung in polled.snapshot(cursor, None, [0.0], 0.0).rungs] == [None]
    swept = Sweep(NOW - DAY, None, 0, 7 * DAY, NOW, Stuut().first_page(STREAM, window.Window(NOW - DAY, None, NOW), {}), started=NOW + 1)
    after = window.complete(LADDER, 0, cursor, swept)
    assert [rung.last_complete for rung in polled.snapshot(after, None, [0.0], 0.0).rungs] == [NOW + 1]


def test_all_backfills_of_an_account_share_one_part_of_its_rate_limit() -> None:
    """However many of its streams are backfilled at once."""
    mine: Any = SimpleNamespace(_next_backfill=-1.0, _demand=Demand(2.0), account=account(None))  # type: ignore[arg-type]
    turns = [Poller._backfill_turn(mine) for _ in range(25)]
    assert turns[-1] - turns[0] == pytest.approx(24 / (0.2 * 2.0))


async def test_a_clock_that_jumps_later_begins_no_stream_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only before its first page is durable may a stream begin again: afterwards ids are forgotten and ranges are done."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        polled, mine = StreamPoll(STREAM, LADDER), account(shard_state)
        begun = streams.begin(mine, polled)
        polled.begun = False

        async def later() -> tuple[Page, int]:
            mine.provider_clock.observe(NOW - 2 * DAY, NOW)
            return Page([]), NOW

        async def write(*_: Any, **__: Any) -> None:
            """Lost."""

        mine.committer.write = write
        monkeypatch.setattr(sweep, "tell", lambda *_: None)
        answering(monkeypatch, later)
        assert polled.guessed
        assert await sweep.page(mine, polled, 0)
        assert shard_state.cursor(STREAM.id) == begun


def test_what_a_backfill_may_list_again_is_not_forgotten(tmp_path: Path) -> None:
    """Also where its latest date lies behind the range: the provider may list it by another one."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        began = Cursor(floor=NOW - 20 * DAY, start=NOW - 20 * DAY, marks=(Mark(0, 7 * DAY, NOW),), watermark=NOW, changed=NOW)
        began = backfill.begin(began, BackfillRequest("a", NOW - 30 * DAY, NOW - 10 * DAY))
        scheduled = [observation(position=NOW - 9 * DAY, status="delivered", final=True)]
        scope = PageContext(stream=STREAM, floor=began.floor, requested_at=1, observed=NOW)
        applied(shard_state, rows, shard_state.queue(shard_state.compare(scope, scheduled, []), began))
        bounds = {stream_tag(STREAM.id): (STREAM.id, NOW - 8 * DAY)}
        assert shard_state.forget(rows.scan(b"m", b""), bounds, NOW) is None
        shard_state.keep_cursor(STREAM.id, window.replace(began, backfill=None))
        assert shard_state.forget(rows.scan(b"m", b""), bounds, NOW) is not None
