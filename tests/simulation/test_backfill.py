"""A past range beside live polling: everything of it once, and never again."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from poller.clock import SystemClock
from poller.commands.backfill import _done, _first, _Progress, _Watch
from poller.coverage import backfill, ladder
from poller.coverage import cursor as window
from poller.coverage.backfill import BackfillRequest
from poller.coverage.cursor import Backfill, Cursor, Sweep
from poller.demo.simulator.profiles import FONE, PROPERTIES, THREADS
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import World
from poller.errors import Unauthorized, Unreachable
from poller.kafka.port import Chunk, LogEnd, Stored
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling import jobs
from poller.polling.streams import StreamPoll
from poller.polling.sweep import Sweeps
from poller.providers.contract import Request, Response, Window
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.heymarket.asking import Walk
from poller.providers.heymarket.provider import Heymarket
from poller.providers.registry import BUILT_IN, provider_of
from poller.publishing.state_records import StoredBackoff, backoff_key, encode_state, request_key
from poller.telemetry.account_facts import AccountFacts, SweepFacts
from poller.telemetry.facts import Telemetry
from tests.support.account import SETTINGS, StoppedClock, vendor
from tests.support.story import START, Story
from tests.support.straight import Sent, said
from tests.support.trial import faults

LADDER = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY)
STREAMS = ["heymarket/main/team", *(f"fonedynamics/sydney/{p}" for p in PROPERTIES), *(f"stuut/collections/{t}" for t in THREADS)]
ranges = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda pair: (min(pair), max(pair))), max_size=6)


def cursor(floor: int, start: int, complete: tuple[tuple[int, int], ...] = ()) -> Cursor:
    """A stream that began at ``start``."""
    return replace(window.begin(LADDER, floor=start, now=1000), floor=floor, complete=complete)


@given(ranges, st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_what_is_missing_is_what_nobody_has_published(done: list[tuple[int, int]], a: int, b: int, c: int, d: int) -> None:
    """Instant by instant: in the range, below the floor, neither polled live nor backfilled before."""
    start, floor, since, until = min(a, b), max(a, b), min(c, d), max(c, d)
    known = cursor(floor, start, backfill.merged(tuple(done)))
    parts = backfill.missing(known, since, until)
    for instant in range(101):
        mine = since <= instant < until and instant < floor and not start <= instant < floor
        mine = mine and not any(low <= instant < high for low, high in done)
        assert any(low <= instant < high for low, high in parts) == mine, instant


@given(ranges)
def test_merged_ranges_hold_the_same_instants_in_order(given_: list[tuple[int, int]]) -> None:
    """As few as possible, none touching another."""
    merged = backfill.merged(tuple(given_))
    for instant in range(101):
        assert any(a <= instant < b for a, b in merged) == any(a <= instant < b for a, b in given_)
    assert all(one[1] < two[0] for one, two in zip(merged, merged[1:], strict=False))


def test_a_backfill_is_of_whole_seconds() -> None:
    """Neighbouring ranges share no second, which a provider that filters by seconds would list in both."""
    begun = backfill.begin(cursor(50 * DAY, 50 * DAY), BackfillRequest("a", 5 * SECOND + 1, 9 * SECOND + 1)).backfill
    assert begun is not None
    assert (begun.since, begun.until) == (5 * SECOND, 10 * SECOND)


def test_a_second_request_waits_and_the_same_one_changes_nothing() -> None:
    """One backfill of a stream at a time; asking again is harmless."""
    begun = backfill.begin(cursor(50, 50), BackfillRequest("a", 0, 10))
    assert backfill.begin(begun, BackfillRequest("a", 0, 10)) is begun
    assert backfill.begin(begun, BackfillRequest("b", 0, 20)) is begun
    assert backfill.running(begun) is not None


def test_progress_says_how_far_how_fast_and_how_long() -> None:
    """By what happened since it was first looked at, also where another command had begun it."""
    held = [
        Backfill(
            "a",
            0,
            100,
            Sweep(0, 100, 0, 0, 100, Request("POST", "/", continuation=to_builtins(Walk(0, 100, cursor)))),
            pages,
            2 * pages,
            pages,
        )
        for cursor, pages in ((100, 0), (60, 4), (50, 5))
    ]
    assert _Progress(Heymarket(), held[0], 7.0).line(held[0], 7.0) == "0 pages, 0 rows, 0 events"
    assert _Progress(Heymarket(), held[0], 0.0).line(held[1], 20.0) == "4 pages, 8 rows, 4 events; 40%, 12 pages a minute, about 30 s left"
    assert _Progress(Heymarket(), held[1], 0.0).line(held[2], 10.0) == "5 pages, 10 rows, 5 events; 50%, 6 pages a minute, about 50 s left"


def test_a_dry_run_says_what_would_be_asked_first() -> None:
    """The newest part that is left, with its bounds; nothing where all of it was published."""
    stream = Stream("fonedynamics", "a", "P")
    begun = replace(cursor(50 * SECOND, 20 * SECOND), complete=((0, 10 * SECOND),))
    left = backfill.parts(begun, Backfill("", 0, 40 * SECOND))
    assert left == ((10 * SECOND, 20 * SECOND),)
    assert _first(FoneDynamics(), stream, left).endswith("/P/Messages?Date_From=10&Date_To=20&Results_Count=1000")
    assert _first(Heymarket(), stream, left).startswith('would begin with POST /v1/messages/all {"limit":')
    assert _first(Heymarket(), stream, backfill.parts(begun, Backfill("", 0, 10 * SECOND))).startswith("nothing would be asked")


class Unowned:
    """A stream that nobody polls for a minute; then its owner has done what was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.request: BackfillRequest | None = None
        self.sick: str | None = None
        self.fresh = self.taken = self.refused = self.workers = False

    async def owned(self) -> bool:
        """Whether any worker is there."""
        return self.workers

    def trouble(self, *, stalled: bool) -> str | None:
        """Why nothing can be asked."""
        return self.sick if stalled or self.fresh else None

    async def look(self) -> Cursor | None:
        """Its cursor."""
        if self.request is None or anyio.current_time() < 60:
            return None
        return replace(cursor(50, 50), backfill=Backfill(self.request.id, 0, 10, None, 3, 2, 1, done=True))

    async def ask(self, asked: BackfillRequest) -> None:
        """The request, heard by nobody."""
        self.asked.append(anyio.current_time())
        self.request = asked


def test_without_an_owner_the_command_says_so_and_waits(capsys: pytest.CaptureFixture[str]) -> None:
    """It asks every few seconds, says once after a while that nobody answers, and goes on as soon as somebody does."""
    watch = Unowned()
    clock = trio.testing.MockClock(autojump_threshold=0)
    done = anyio.run(_done, watch, BackfillRequest("a", 0, 10), Heymarket(), backend="trio", backend_options={"clock": clock})
    assert done.events == 1
    assert watch.asked == [5.0 * n for n in range(12)]
    assert capsys.readouterr().err.splitlines() == ["no worker has taken it up; is poller run running?"]


class Held(Unowned):
    """Taken up at once, and without a page ever after."""

    async def look(self) -> Cursor | None:
        """Its cursor."""
        return None if self.request is None else replace(cursor(50, 50), backfill=Backfill(self.request.id, 0, 10))


@pytest.mark.parametrize(
    ("trouble", "fresh", "kind", "after_s"),
    [("unauthorized", True, Unauthorized, 0), ("unauthorized", False, Unauthorized, 61), ("unreachable", False, Unreachable, 70)],
)
def test_the_command_ends_where_the_provider_is_in_trouble(trouble: str, fresh: bool, kind: type[Exception], after_s: float) -> None:
    """At once where credentials are refused now; by what was known before only after a minute without a page."""
    watch = Held()
    watch.sick, watch.fresh, watch.request = trouble, fresh, BackfillRequest("a", 0, 10)
    clock = trio.testing.MockClock(autojump_threshold=0)
    with pytest.raises(kind) as ended:
        anyio.run(_done, watch, BackfillRequest("a", 0, 10), Heymarket(), backend="trio", backend_options={"clock": clock})
    assert clock.current_time() == pytest.approx(after_s, abs=1.0)
    assert "the worker" in ended.value.fix  # type: ignore[attr-defined]


@pytest.mark.parametrize("trouble", ["unauthorized", "unreachable"])
def test_an_old_trouble_ends_no_command_that_waits_for_an_owner(trouble: str) -> None:
    """What a worker that is gone once met may be over: the command waits on, until somebody is there, and meets it anew."""
    watch = Unowned()
    watch.sick = trouble
    clock = trio.testing.MockClock(autojump_threshold=0)
    assert (
        anyio.run(
            partial(_done, patience_s=20.0),
            watch,
            BackfillRequest("a", 0, 10),
            Heymarket(),
            backend="trio",
            backend_options={"clock": clock},
        ).events
        == 1
    )
    watch = Unowned()
    watch.sick, watch.fresh = "unauthorized", True
    with pytest.raises(Unauthorized) as ended:
        anyio.run(_done, watch, BackfillRequest("a", 0, 10), Heymarket(), backend="trio", backend_options={"clock": clock})
    assert "ask again afterwards" in ended.value.fix


@pytest.mark.parametrize(("provider", "workers"), [*((name, True) for name in BUILT_IN), ("heymarket", False), ("stuut", False)])
def test_credentials_that_a_worker_knows_to_be_refused_end_the_command_within_seconds(
    provider: str, workers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its account waits, so nobody takes the request up; a wait that is left of a worker that is gone ends nothing."""
    watch = Unowned()
    watch.refused, watch.workers = True, workers
    clock = trio.testing.MockClock(autojump_threshold=0)
    asked = (watch, BackfillRequest("a", 0, 10), provider_of(provider))
    play = partial(anyio.run, _done, *asked, backend="trio", backend_options={"clock": clock})
    if workers:
        with pytest.raises(Unauthorized, match="refuses the credentials"):
            play()
        assert clock.current_time() <= 5.0
        assert capsys.readouterr().err == ""
    else:
        assert play().events == 1


@pytest.mark.anyio
async def test_an_old_trouble_is_believed_only_where_nothing_happens() -> None:
    """What the state said before the command began may be over; what is written meanwhile is true."""
    key = backoff_key("stuut/a")
    records = [Stored(key, encode_state(StoredBackoff("unauthorized", 3, 0)))]

    class Log:
        async def ends(self, shard: int, *, settled: bool) -> LogEnd:
            return LogEnd(0, len(records), "c")

        async def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
            yield Chunk(records[since:until], until)

    watch = _Watch(Log(), 0, Stream("stuut", "a", "t"))  # type: ignore[arg-type]
    await watch.look()
    assert watch.trouble(stalled=False) is None
    assert watch.trouble(stalled=True) == "unauthorized"
    records.append(Stored(key, None))
    await watch.look()
    assert watch.trouble(stalled=True) is None
    records.append(Stored(key, encode_state(StoredBackoff("unauthorized", 1, 0))))
    await watch.look()
    assert watch.trouble(stalled=False) == "unauthorized"
    assert not watch.refused
    records.append(Stored(key, encode_state(StoredBackoff("unauthorized", 1, SystemClock().now() + 60 * SECOND))))
    await watch.look()
    assert watch.refused


def test_a_backfill_believes_no_single_answer_without_rows() -> None:
    """A Stuut thread that is listed empty once is asked for again; live polling comes back anyway."""
    provider, stream = provider_of("stuut"), Stream("stuut", "a", "thr_1")
    for until, asks in ((START, 2), (None, 1)):
        request, asked = provider.first_page(stream, Window(START - DAY, until, START), {}), 0
        while request is not None:
            request, asked = provider.read_page(request, Response(200, {}, b"[]")).next, asked + 1
        assert asked == asks


@pytest.mark.parametrize("crash_s", [None, 6.0])
def test_a_backfill_publishes_what_live_polling_began_too_late_for(crash_s: float | None) -> None:
    """Whatever crashes meanwhile: all messages of the range once, the second time nothing, nor of a part of it."""
    story = Story(8, crash_s=crash_s, seconds=80.0)
    story.start_from = "1h"

    async def ask(_: Story) -> None:
        await anyio.sleep(3)
        for number, until in enumerate((START, START, START - 2 * HOUR)):
            for _ in range(10):
                for stream in STREAMS:
                    asked = BackfillRequest(f"request-{number}", START - 2 * DAY, until)
                    record = Stored(request_key(stream), encode_state(asked))
                    story.cluster.add_request(record)
                await anyio.sleep(2)

    verdict = story.play(ask)
    assert verdict.good, verdict
    assert not faults(story.published())


def test_a_backfill_that_is_asked_for_before_the_provider_has_answered_is_not_forgotten() -> None:
    """Also where its first answer shows that its clock is another, and the stream begins by that one."""
    story = Story(8, Switches(skew_s=300.0), crash_s=None, seconds=40.0)
    answer, done = story.providers.answer, list[bool]()

    def late(*asked: Any) -> Answer:
        return answer(*asked) if asked[-1] > START + 8 * SECOND else Answer(500, b"", "text/plain")

    async def ask(_: Story) -> None:
        await anyio.sleep(4)
        for stream in STREAMS:
            record = Stored(request_key(stream), encode_state(BackfillRequest("request", START - 5 * DAY, START - 2 * DAY)))
            story.cluster.add_request(record)
        await anyio.sleep(30)
        ledgers = [poller._committer.shard_state for shard in story.running["worker-0"][0]._shards.values() for poller in shard._pollers]
        cursors = {stream: cursor for stream in STREAMS for shard_state in ledgers if (cursor := shard_state.cursor(stream)) is not None}
        done.extend(each.backfill is not None and each.backfill.done for each in cursors.values())

    story.providers.answer = late  # type: ignore[method-assign]
    assert story.play(ask).good
    assert done == [True] * len(STREAMS)


class Heard(Story):
    """``told`` has the sweeps of the first property by rung."""

    def telemetry(self) -> Telemetry:
        """That listens."""
        found = super().telemetry()
        found_account, self.told = found.account, Counter[str]()

        def account(provider: str, name: str) -> AccountFacts:
            facts = found_account(provider, name)
            swept = facts.sweep

            def heard(one: SweepFacts) -> None:
                self.told[one.rung] += one.stream.endswith(PROPERTIES[0]) and one.outcome in ("ok", "empty")
                swept(one)

            facts.sweep = heard  # type: ignore[method-assign]
            return facts

        found.account = account  # type: ignore[method-assign]
        return found


class Retained(Heard):
    """A provider that refuses to be asked for what is older than a day."""

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        since = asked.query.get("Date_From")
        if since is not None and int(since) < START // SECOND - 26 * 3600:
            self.refused = getattr(self, "refused", 0) + 1
            return said(400)
        return await super()._answer(asked, name)


def with_fonedynamics_alone(story: Story) -> None:
    """The history with a message in five seconds, and one vendor alone: others would only be asked, not told from it."""
    story.defaults = story.defaults.replace("interval: 1s", "interval: 4s")
    story.world = World(story.seed, START, story.switches, per_second=0.2, providers=(FONE,))
    story.providers = type(story.providers)(story.world, story.seed)


def test_a_backfill_that_always_fails_delays_nothing_else() -> None:
    """Every rung and the audit of its stream go on as often as without it; it is tried again, ever more slowly."""
    told = []
    for asks in (False, True):
        story = Retained(8, crash_s=None, seconds=800.0)
        with_fonedynamics_alone(story)

        async def ask(story: Story, *, asks: bool = asks) -> None:
            await anyio.sleep(3)
            stream = f"fonedynamics/sydney/{PROPERTIES[0]}"
            record = Stored(request_key(stream), encode_state(BackfillRequest("request", START - 9 * DAY, START - 2 * DAY)))
            story.cluster.add_request(record) if asks else None

        verdict = story.play(ask)
        assert verdict.good, (asks, verdict)
        told.append((story.told, getattr(story, "refused", 0)))
    (healthy, none), (ill, refused) = told
    assert none == 0
    assert 3 <= refused < 20
    assert len(healthy) >= 5
    assert all(ill[rung] >= 0.9 * count - 1 for rung, count in healthy.items()), (healthy, ill)


class Poisoned(Heard):
    """A provider that fails on whatever holds one second, half an hour before the beginning; 0: it never answers."""

    how = 500

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        query, at = asked.query, START // SECOND - 1800
        if PROPERTIES[0] in asked.path and "Date_From" in query and int(query["Date_From"]) <= at < int(query["Date_To"]):
            if not self.how:
                await anyio.sleep_forever()
            return said(self.how)
        return await super()._answer(asked, name)


@pytest.mark.parametrize(("how", "live"), [(500, 250), (400, 80), (0, 250)])
def test_a_rung_that_always_fails_starves_no_deeper_one(how: int, live: int) -> None:
    """All ages but those of the poisoned rung are read on, also while it owes its first sweep."""
    story = Poisoned(8, crash_s=None, seconds=1500.0, settle_s=1.0)
    with_fonedynamics_alone(story)
    story.how = how
    story.play()
    assert story.told["1.07h"] == 0
    assert story.told["live"] > live
    assert [story.told[rung] for rung in ("4.27h", "17.1h", "3d")] == [2, 1, 1], story.told
    assert story.told["0.0667h"] > 20


def test_a_backfill_over_which_the_floor_rose_is_done() -> None:
    """Nothing of it is left to ask for when its first page comes to its turn."""
    kept: dict[str, Cursor] = {}
    shard_state: Any = SimpleNamespace(cursor=kept.get, keep_cursor=kept.__setitem__)
    poll, sweeps = (
        StreamPoll(Stream("fonedynamics", "a", PROPERTIES[0]), LADDER),
        Sweeps(SETTINGS, vendor(FoneDynamics(), StoppedClock()), shard_state),
    )
    begun = backfill.begin(cursor(50 * DAY, 50 * DAY), BackfillRequest("a", 60 * DAY, 61 * DAY))
    assert backfill.running(begun)
    kept[poll.stream.id] = replace(begun, floor=70 * DAY)
    assert sweeps.choose(poll, jobs.Backfill()) is None
    assert backfill.running(kept[poll.stream.id]) is None
