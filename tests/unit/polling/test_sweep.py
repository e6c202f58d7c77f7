"""One page after another: what a bad answer, a floor that rises, and a clock that is not known yet do to a sweep."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from poller.coverage import backfill, ladder
from poller.coverage import cursor as coverage
from poller.coverage.backfill import BackfillRequest
from poller.coverage.cursor import Cursor, Mark, Sweep
from poller.errors import BadPage
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling import jobs
from poller.polling.backoff import Backoff
from poller.polling.client.provider_clock import SETTLED
from poller.polling.demand import Demand
from poller.polling.page import Answer, Applied, Unasked
from poller.polling.planning import Planner
from poller.polling.streams import FRUITLESS_MAX, StreamPoll
from poller.providers.contract import Page, Request
from poller.providers.heymarket import crowd
from poller.providers.heymarket.asking import Walk
from poller.providers.heymarket.provider import Heymarket
from poller.providers.stuut.provider import Stuut
from poller.publishing.cache import CacheDirectory, Position, ShardCache
from poller.publishing.changes import Bound, Entry, PageChanges
from poller.publishing.diff import PageContext
from poller.publishing.message_state import stream_tag
from poller.publishing.shard_state import ShardState, claim
from poller.publishing.state_records import Kind
from poller.telemetry.snapshot import Trouble
from tests.support.account import StoppedClock, answering, committer_of, pages_of
from tests.support.rows import NOW, PUBLISHER, observation

pytestmark = pytest.mark.anyio
STREAM = Stream("stuut", "a", "t")
LIVE = jobs.Sweep(0)
LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY, filtered=False)


def applied(shard_state: ShardState, rows: ShardCache, entry: Entry | None) -> None:
    """Committed."""
    assert entry is not None
    rows.write(entry.rows.items(), Position(1, 0, "nonce", "cluster", NOW))
    shard_state.applied(entry)


async def test_a_bad_page_in_flight_lowers_no_floor(tmp_path: Path) -> None:
    """Ids are forgotten and the floor rises while the request is away: what was forgotten is not published again."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        began = Cursor(floor=NOW - 20 * DAY, start=NOW - 20 * DAY, marks=(Mark(0, 7 * DAY, NOW),), watermark=NOW, changed=NOW)
        shard_state.keep_cursor(STREAM.id, began)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())
        old = [observation(position=NOW - 8 * DAY, status="delivered", final=True)]

        def listed() -> PageChanges:
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            return shard_state.compare(PageContext(stream=STREAM, floor=cursor.floor, requested_at=1, observed=NOW), old, [])

        async def bad() -> None:
            bound = coverage.oldest(LADDER, began, slack=ladder.SLACK)
            if poll.of(LIVE).tries == 2:
                applied(
                    shard_state,
                    rows,
                    shard_state.forget(rows.scan(Kind.MESSAGE, b""), {stream_tag(STREAM.id): Bound(STREAM.id, bound)}, NOW),
                )
            raise BadPage("not a list")

        first = listed()
        applied(shard_state, rows, shard_state.queue(first, began))
        assert first.created
        answering(pages, bad)
        for _ in range(3):
            with pytest.raises(BadPage):
                await pages.page(poll, LIVE)
        assert (listed().events, poll.notes) == ([], {"sweep_begun_anew": 1})


async def test_a_sweep_in_hand_survives_bad_pages_until_one_comes_again_and_again(tmp_path: Path) -> None:
    """Or a long sweep would never end where one answer in a hundred is of another shape."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())
        asked = Stuut().first_page(STREAM, coverage.Window(NOW - DAY, NOW, NOW), {})
        held = Sweep(NOW - DAY, NOW, 0, 7 * DAY, NOW, asked, started=NOW, pages=400)
        begun = coverage.begin(LADDER, floor=NOW - DAY, now=NOW)
        shard_state.keep_cursor(STREAM.id, coverage.replace(begun, sweeps={0: held}))

        async def bad() -> None:
            raise BadPage("not a list")

        answering(pages, bad)
        for left in (3, 2, 1):
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            assert cursor.sweeps == {0: held}, left
            with pytest.raises(BadPage):
                await pages.page(poll, LIVE)
        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        assert not cursor.sweeps


async def test_a_stream_begins_by_the_providers_clock(tmp_path: Path) -> None:
    """A host whose clock is two days ahead begins where it was told to, once enough answers agree on the provider's time."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())

        async def first() -> Page:
            pages._client.provider_clock.observe(NOW - 2 * DAY, NOW)
            return Page([])

        answering(pages, first)
        for answers in range(1, SETTLED + 1):
            assert await pages.page(poll, LIVE) == Unasked(ended=False)
            cursor = shard_state.cursor(STREAM.id)
            assert cursor is not None
            assert cursor.floor == (NOW - (DAY if answers < SETTLED else 3 * DAY) - SECOND) // SECOND * SECOND
        assert not pages.sweeps.begins_anew(poll)


async def test_what_a_side_query_remembers_is_known_during_the_commit(tmp_path: Path) -> None:
    """Or an audit that begins just then would say the same gap twice."""
    with CacheDirectory(tmp_path) as store:
        rows = store.shard(0)
        shard_state = ShardState(rows, claim(None, group="g", shards=1), PUBLISHER)
        known: list[Any] = []

        async def commit(*_: Any, **__: Any) -> int:
            known.append(shard_state.learned(STREAM.id, "audit"))
            return len(known) * 10

        committer = committer_of(shard_state, rows, commit)
        for raised in (0, 1):
            shard_state.keep_learned(STREAM.id, "audit", {"raised": raised})
            assert committer._flush()
            await committer._commit(5.0)
        assert known == [{"raised": 0}, {"raised": 1}]
        assert shard_state.learned(STREAM.id, "audit") == {"raised": 1}
        assert not shard_state._queued, "what is committed is held no longer"


def test_no_sweep_is_shown_that_never_was() -> None:
    """A stream that begins has marks, and no complete sweep; a rung has one once its own came to its end."""
    poll, cursor = StreamPoll(STREAM, LADDER), coverage.begin(LADDER, floor=NOW - DAY, now=NOW)
    assert [rung.last_complete for rung in poll.snapshot(cursor, None, {}, 0.0).rungs] == [None]
    swept = Sweep(NOW - DAY, None, 0, 7 * DAY, NOW, Stuut().first_page(STREAM, coverage.Window(NOW - DAY, None, NOW), {}), started=NOW + 1)
    after = coverage.complete(LADDER, 0, cursor, swept)
    assert [rung.last_complete for rung in poll.snapshot(after, None, {}, 0.0).rungs] == [NOW + 1]


def test_what_is_owed_waits_and_sleeps_is_shown() -> None:
    """The edge, what deeper rungs and edge sweeps owe, what is due and since when, and which side queries switched themselves off."""
    poll, cursor = StreamPoll(STREAM, LADDER), coverage.begin(LADDER, floor=NOW - DAY, now=NOW)
    assert (poll.snapshot(None, None, {}, 0.0).edge, poll.snapshot(None, None, {}, 0.0).debts) == (None, ())
    handed = Sweep(NOW - 50, NOW - 20, 0, 7 * DAY, NOW, Stuut().first_page(STREAM, coverage.Window(NOW - 50, None, NOW), {}))
    poll.edge, poll.of(jobs.Rest(0)).sweep = NOW + 3, handed
    poll.of(jobs.SideQuery("audit")).fruitless, poll.of(jobs.SideQuery("changes")).fruitless = FRUITLESS_MAX, FRUITLESS_MAX - 1
    due: dict[jobs.Job, float] = {
        jobs.Sweep(0): 97.5,
        jobs.SideQuery("audit"): 150.0,
        jobs.Rest(0): math.inf,
        jobs.SideQuery("changes"): 100.5,
    }
    poll.of(jobs.Backfill()).stands = Backoff("gone", 3, NOW, 107.5, "the provider answered 404", 404)
    shown = poll.snapshot(replace(cursor, debts={0: (NOW - DAY, NOW - 40)}), None, due, 100.0)
    assert shown.edge == NOW + 3
    assert [(debt.since, debt.until) for debt in shown.debts] == [(NOW - DAY, NOW - 40), (NOW - 50, NOW - 20)]
    assert shown.overdue == {"live": 2.5}
    assert shown.switched_off == {"audit": 50.0}
    text = "the provider answered 404"
    assert shown.standing == {"backfill": Trouble(kind="gone", text=text, code=404, since=NOW, next_try_s=7.5, failures=3)}


def walk_at(cursor: int | None) -> Request:
    """The next request of a walk over a team."""
    return Request("POST", "/", continuation=Walk(NOW - HOUR, NOW, cursor))


@pytest.mark.parametrize(
    ("request_", "ends"),
    [
        (walk_at(None), False),
        (walk_at(NOW - 4 * SECOND), False),
        (walk_at(NOW - 8 * SECOND), True),
        (Request("POST", "/", continuation=crowd.Count(crowd.Crowd(Walk(NOW - HOUR, NOW)))), False),
    ],
)
def test_an_edge_sweep_reads_once_what_the_look_before_it_has_read(tmp_path: Path, request_: Request, ends: bool) -> None:
    """It may end where it has come down to the begin of that look, and 2 s below; not above, and not where nobody can say how far it is."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        pages, poll = pages_of(shard_state, Heymarket()), StreamPoll(STREAM, LADDER)
        assert not pages.sweeps.end_edge(poll), "none is in hand"
        poll.edge = NOW - 5 * SECOND
        poll.of(jobs.Edge()).sweep = Sweep(NOW - HOUR, None, 0, HOUR, NOW, request_, started=NOW - 1)
        assert pages.sweeps.end_edge(poll) is ends
        assert (poll.of(jobs.Edge()).sweep is None, poll.edge) == ((True, NOW - 1) if ends else (False, NOW - 5 * SECOND))


def test_an_edge_sweep_reads_nothing_that_a_rest_will_read(tmp_path: Path) -> None:
    """Its window ends where the newest of the rests in hand has come down to; a further rest takes the place of the one that began first."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        pages, poll = pages_of(shard_state, Heymarket()), StreamPoll(STREAM, LADDER)
        pages.sweeps.begin(poll)
        poll.edge, poll.edge_reach = NOW - 5 * MINUTE, MINUTE
        for number, minutes in enumerate((40, 4, 30, 20)):
            begun = Sweep(NOW - HOUR, None, 0, HOUR, NOW, walk_at(NOW - minutes * MINUTE), started=NOW - minutes * MINUTE)
            poll.of(jobs.Rest(number)).sweep = begun
        step = pages.sweeps.choose(poll, jobs.Edge())
        assert step is not None
        assert step.sweep.since == NOW - 4 * MINUTE
        assert poll.free_rest() == jobs.Rest(0)


def test_all_backfills_of_an_account_share_one_part_of_its_rate_limit() -> None:
    """However many of its streams are backfilled at once."""
    mine: Any = SimpleNamespace(_next_backfill=-1.0, _tuner=SimpleNamespace(demand=Demand(2.0)), _clock=StoppedClock())
    turns = [Planner._backfill_turn(mine) for _ in range(25)]
    assert turns[-1] - turns[0] == pytest.approx(24 / (0.2 * 2.0))


async def test_a_clock_that_jumps_later_begins_no_stream_anew(tmp_path: Path) -> None:
    """Only before its first page is durable may a stream begin again: afterwards ids are forgotten and ranges are done."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())
        begun = pages.sweeps.begin(poll)
        poll.begun = False

        async def later() -> Page:
            pages._client.provider_clock.observe(NOW - 2 * DAY, NOW)
            return Page([])

        answering(pages, later)
        assert poll.guessed
        applied_page = await pages.page(poll, LIVE)
        assert isinstance(applied_page, Applied)
        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        assert (cursor.floor, cursor.start) == (begun.floor, begun.start)


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
        bounds = {stream_tag(STREAM.id): Bound(STREAM.id, NOW - 8 * DAY)}
        assert shard_state.forget(rows.scan(Kind.MESSAGE, b""), bounds, NOW) is None
        shard_state.keep_cursor(STREAM.id, coverage.replace(began, backfill=None))
        assert shard_state.forget(rows.scan(Kind.MESSAGE, b""), bounds, NOW) is not None


async def test_the_first_page_of_a_new_stream_is_durable_also_where_it_is_empty(tmp_path: Path) -> None:
    """Or a crash would begin the stream somewhere else."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())

        async def empty() -> Page:
            pages._client.provider_clock.observe(NOW, NOW)
            return Page([])

        answering(pages, empty)
        applied_page = await pages.page(poll, LIVE)
        assert isinstance(applied_page, Applied)
        assert not applied_page.durable.is_set()


async def test_a_sweep_is_complete_as_of_when_its_first_request_was_sent(tmp_path: Path) -> None:
    """Not of when it was answered: what was created while the answer was under way is not in it."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        poll, pages = StreamPoll(STREAM, LADDER), pages_of(shard_state, Stuut())
        pages._client.provider_clock.observe(NOW, NOW)
        pages.sweeps.begin(poll)

        async def exchange(*_: Any) -> Answer:
            return Answer(Page([]), shard_state.tick(), sent=NOW - MINUTE, received=NOW)

        pages.exchange = exchange  # type: ignore[method-assign]
        assert isinstance(await pages.page(poll, LIVE), Applied)
        cursor = shard_state.cursor(STREAM.id)
        assert cursor is not None
        assert cursor.marks[0].complete == pages._client.provider_clock.earliest(NOW - MINUTE)


async def test_a_look_at_the_edge_never_begins_ahead_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a list may print dates to come, and what an earlier look left unread then ends there."""
    with CacheDirectory(tmp_path) as store:
        shard_state = ShardState(store.shard(0), claim(None, group="g", shards=1), PUBLISHER)
        cursor = Cursor(floor=NOW - DAY, start=NOW - DAY, marks=(Mark(0, 7 * DAY, NOW),), watermark=NOW, changed=NOW)
        shard_state.keep_cursor(STREAM.id, cursor)
        stream = Stream("heymarket", "a", "team")
        poll, pages = StreamPoll(stream, LADDER), pages_of(shard_state, Heymarket())
        shard_state.keep_cursor(stream.id, cursor)
        poll.of(jobs.Rest(0)).sweep = pages.sweeps._of_edge(poll, cursor)
        monkeypatch.setattr(Heymarket, "reached", lambda self, request: NOW + 20 * DAY)
        begun = pages.sweeps._of_edge(poll, cursor)
        assert begun.since <= pages.sweeps._client.now_latest()
