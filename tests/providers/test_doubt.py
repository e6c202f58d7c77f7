"""Answers that look like an end and may be none: empty pages, seconds without end, rows that are filtered out after the limit."""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_left

import msgspec
import pytest

from poller.coverage import backfill, ladder
from poller.coverage import cursor as window
from poller.coverage.backfill import BackfillRequest
from poller.coverage.cursor import Sweep
from poller.model import DAY, HOUR, MINUTE, SECOND, Observation, Row, Stream
from poller.providers.contract import Json, Provider, Request, Response, View, Window
from poller.providers.fonedynamics.message import row_of
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.fonedynamics.slices import AHEAD, SECOND_IDS_MAX, Learned
from poller.providers.stuut.provider import Stuut
from poller.publishing.diff import PageContext
from poller.publishing.message_state import MessageState
from tests.providers.test_walks import NOW, Team, ordinary, walked
from tests.support.asking import side_query
from tests.support.rows import compared

T = NOW // SECOND
PROPERTY = Stream("fonedynamics", "a", "P")


class Property:
    """A Fone Dynamics property with a message at each of ``stamps`` (seconds); skipping may be ignored."""

    def __init__(self, stamps: list[int], *, cap: int, skips: bool = True) -> None:
        self.rows = sorted((at, n) for n, at in enumerate(stamps))
        self.cap, self.skips, self.requests = cap, skips, 0

    def answer(self, request: Request) -> Response:
        """As the vendor's page says."""
        self.requests += 1
        query = dict(request.query)
        since, until = (bisect_left(self.rows, (int(query[name]), 0)) for name in ("Date_From", "Date_To"))
        skip = int(query.get("Results_Skip", 0)) if self.skips else 0
        listed = self.rows[max(since, until - skip - self.cap) : max(since, until - skip)][::-1]
        body = ",".join(f'{{"MessageSid":"M{n}","Created":{at},"Status":"Delivered"}}' for at, n in listed)
        return Response(200, {}, b'{"Messages": [%b]}' % body.encode())


def read(
    provider: Provider, request: Request | None, server: Property, *, empty_at: int = 0, most: int = 3000
) -> tuple[set[str], list[str]]:
    """A sweep to its end, with one false empty answer: the ids that were listed, and what was said."""
    found, said, longest = set[str](), list[str](), 0
    while request is not None:
        assert server.requests < most
        answer = server.answer(request)
        page = provider.read_page(request, Response(200, {}, b"{}") if server.requests == empty_at else answer)
        found |= {row.id for row in page.rows if isinstance(row, Row)}
        said += [gap.reason for gap in page.gaps] + list(page.oddities)
        request = page.next
        longest = max(longest, 0 if request is None or not request.resumable else len(msgspec.json.encode(request.continuation)))
    assert longest < 64 * 1024, "what is kept of a sweep is small"
    return found, said


@pytest.mark.parametrize("at", [1, 4, 7, 22, 40])
@pytest.mark.parametrize("hours", [0.5, 200])
def test_one_false_empty_answer_loses_no_row(at: int, hours: float) -> None:
    """Of a property with a message a minute, whether slices are hours or minutes long."""
    stamps = [T - 60 * n for n in range(1, 6000)] if hours > 1 else [T - 1 - n // 4 for n in range(7000)]
    server, provider = Property(stamps, cap=100), FoneDynamics()
    request = provider.first_page(
        PROPERTY, Window((T - round(hours * 3600)) * SECOND, NOW, NOW), Learned(most=100, cut=100, rate=1 / 60 if hours > 1 else 4.0)
    )
    found, said = read(provider, request, server, empty_at=at)
    assert len(found) == sum(stamp >= T - round(hours * 3600) for stamp in stamps)
    assert "empty_answer" in said


def test_a_false_empty_page_of_an_over_full_second_is_believed_only_twice() -> None:
    """Wherever it comes: all 350 messages of the second are read, or the second is flagged."""
    for at in range(1, 400):
        server, provider = Property([T - 300] * 350, cap=100), FoneDynamics()
        request = provider.first_page(PROPERTY, Window((T - 600) * SECOND, NOW, NOW), Learned(most=100, cut=100, rate=0.6))
        found, said = read(provider, request, server, empty_at=at)
        assert len(found) == 350 or "full_second" in said, at
        if server.requests < at:
            break


@pytest.mark.parametrize("remembered", [{"rate": 0.001}, {}], ids=["a tiny rate", "nothing"])
@pytest.mark.parametrize(("seconds", "every"), [(6 * 3600, 10), (1800, 2)])
def test_a_false_empty_answer_is_doubted_where_an_answer_was_cut(seconds: int, every: int, remembered: dict[str, float]) -> None:
    """At every place of a sweep but its very first, when nothing is known: no row is lost."""
    stamps = [T - 1 - every * n for n in range(seconds // every)]
    for at in range(2, 400):
        server, provider = Property(stamps, cap=100), FoneDynamics()
        window = Window((T - seconds) * SECOND, NOW, NOW)
        found, _ = read(provider, provider.first_page(PROPERTY, window, Learned(most=100, cut=100, **remembered)), server, empty_at=at)
        assert len(found) == len(stamps), at
        if server.requests < at:
            break


@pytest.mark.parametrize("remembered", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("swing", [1, 10], ids=["steady", "by day and night"])
def test_a_rate_that_is_remembered_wrongly_costs_little(remembered: float, swing: int) -> None:
    """A day of a property with a message in ten seconds is read with at most a quarter more rows, whatever the last window taught."""
    rng, stamps, at = random.Random(7), list[int](), float(T)
    while at > T - DAY // SECOND:
        busy = math.sin((T - at) / 86_400 * math.tau) > 0
        at -= rng.expovariate(0.1 if swing == 1 else 0.18 if busy else 0.18 / swing)
        stamps.append(round(at) - 1)
    server, provider, rows = Property(stamps, cap=100), FoneDynamics(), 0
    request = provider.first_page(PROPERTY, Window((T - DAY // SECOND) * SECOND, NOW, NOW), Learned(most=100, cut=100, rate=remembered))
    while request is not None:
        page = provider.read_page(request, server.answer(request))
        request, rows = page.next, rows + len(page.rows)
    inside = sum(stamp >= T - DAY // SECOND for stamp in stamps)
    assert inside <= rows <= 1.25 * inside, rows / inside
    assert server.requests <= 2.2 * inside / (0.75 * 100), server.requests


@pytest.mark.parametrize(("rate", "cap"), [(0.05, 100), (0.2, 100), (0.2, 200)])
def test_the_readings_of_an_audit_share_no_bounds(rate: float, cap: int) -> None:
    """What a filter loses at a bound of one reading, another lists: of the bounds between a range's ends at most one in ten is shared."""
    rng, provider = random.Random(11), FoneDynamics()
    server = Property([T - round(rng.uniform(0, 400_000)) for _ in range(round(400_000 * rate))], cap=cap)
    shared = every = 0
    memo: Json = {}
    for _ in range(4):
        request = side_query(provider, "tilings").begin(
            PROPERTY, View(NOW, NOW - 4 * DAY, 4 * DAY, 6 * HOUR, memo, Learned(most=cap, rate=rate))
        )
        bounds: dict[int, set[int]] = {0: set(), 1: set()}
        assert request is not None
        ends = {each // SECOND for each in request.continuation.span}
        while request is not None:
            which, start = request.continuation.plan[0].way, request.continuation.at.begin
            bounds.setdefault(which, set()).add(start)
            page = side_query(provider, "tilings").read(request, server.answer(request))
            request, memo = page.next, page.learned or memo
        shared += len(bounds[0] & bounds[1] - ends)
        every += len(bounds[0] - ends)
    assert every >= 10
    assert shared <= every / 10


@pytest.mark.parametrize("cap", [30, 200])
@pytest.mark.parametrize("bursts", [0, 6])
def test_a_learned_rate_counts_each_message_once(cap: int, bursts: int) -> None:
    """However often answers were cut and slices read again; crowds, which no slice holds, count for nothing."""
    usual = [T - 1 - 20 * n for n in range(1080)]
    crowds = [T - 1800 - 3600 * hour for hour in range(bursts) for _ in range(300)]
    server, provider = Property(usual + crowds, cap=cap), FoneDynamics()
    memo: Json = {}
    request: Request | None = provider.first_page(PROPERTY, Window((T - 6 * 3600) * SECOND, NOW, NOW), memo)
    while request is not None:
        page = provider.read_page(request, server.answer(request))
        request, memo = page.next, page.learned or memo
    assert memo.rate == pytest.approx(len(usual) / 21_600, abs=0.0001)


def test_the_limit_of_answers_is_found_by_longer_slices() -> None:
    """A week of a property with a message in ten seconds, after a live window that saw sixty: about as many requests as with the limit known."""
    rng = random.Random(5)
    stamps = [T - round(rng.uniform(0, 7 * 86_400)) for _ in range(60_480)]
    requests = []
    for memo in (Learned(most=60, rate=0.1), Learned(most=1000, cut=1000, rate=0.1)):
        server, provider = Property(stamps, cap=1000), FoneDynamics()
        found, _ = read(provider, provider.first_page(PROPERTY, Window((T - 7 * 86_400) * SECOND, NOW, NOW), memo), server)
        assert len(found) == sum(stamp < T for stamp in stamps)
        requests.append(server.requests)
    assert requests[0] <= 1.5 * requests[1], requests


@pytest.mark.parametrize("at", [1, 3, 10])
@pytest.mark.parametrize("empty", [b"[]", b"null", b'{"messages": []}'])
def test_one_false_empty_page_ends_no_walk(at: int, empty: bytes) -> None:
    """It is asked for again while more than an hour is left."""
    team = Team(ordinary(3000, 10 * SECOND), cap=100)
    answer = team.answer
    team.answer = lambda request: answer(request) if team.requests + 1 != at else Response(200, {}, empty if answer(request) else b"")  # type: ignore[method-assign]
    found, gaps = walked(team, NOW - 8 * HOUR)
    assert not gaps
    assert {id_ for id_, at_, _ in team.rows if at_ >= NOW - 8 * HOUR} <= found


def test_every_empty_page_of_a_walk_is_doubted_anew() -> None:
    """What one of them proved to be says nothing of the next."""
    team = Team(ordinary(3000, 10 * SECOND), cap=100)
    answer = team.answer
    team.answer = lambda request: (
        answer(request) if team.requests + 1 not in (3, 12) else Response(200, {}, b"[]" if answer(request) else b"")
    )  # type: ignore[method-assign]
    found, _ = walked(team, NOW - 8 * HOUR)
    assert {id_ for id_, at, _ in team.rows if at >= NOW - 8 * HOUR} <= found


@pytest.mark.parametrize(("rows", "cap"), [(SECOND_IDS_MAX + 5000, 1000), (3 * SECOND_IDS_MAX, 1000), (SECOND_IDS_MAX + 1, 200)])
def test_a_second_with_more_messages_than_can_be_read_is_flagged(rows: int, cap: int) -> None:
    """And the part of it that was read is no burden for the state."""
    server, provider = Property([T] * rows, cap=cap), FoneDynamics()
    found, said = read(
        provider, provider.first_page(PROPERTY, Window(NOW - 600 * SECOND, NOW + 600 * SECOND, NOW + HOUR), Learned(most=cap)), server
    )
    assert len(found) >= SECOND_IDS_MAX
    assert said.count("full_second") == 1


def test_skipping_that_is_not_honoured_is_flagged() -> None:
    """The same rows whatever is skipped: the second has an end, and is called incomplete."""
    server, provider = Property([T] * 500, cap=100, skips=False), FoneDynamics()
    found, said = read(
        provider, provider.first_page(PROPERTY, Window(NOW - 600 * SECOND, NOW + 600 * SECOND, NOW + HOUR), Learned(most=100)), server
    )
    assert (len(found), said) == (100, ["full_second"])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("group", "cap", "share"), [(90, 100, 0.6), (150, 50, 0.6), (60, 30, 0.6), (150, 50, 0.75), (300, 100, 0.75)])
def test_a_group_most_of_which_is_hidden_is_whole_or_flagged(group: int, cap: int, share: float, seed: int) -> None:
    """Rows that are filtered out after the limit make each page look like the list's end."""
    rng = random.Random(seed)
    tied = [(2000 + n, NOW - 30 * SECOND, NOW - 30 * SECOND) for n in range(group)]
    rows = ordinary(200, SECOND // 10) + tied + [(5000 + n, NOW - (31 + n) * SECOND, NOW - (31 + n) * SECOND) for n in range(40)]
    hidden = frozenset(id_ for id_, _, _ in rows if rng.random() < share)
    found, gaps = walked(Team(rows, cap=cap, hidden=hidden), NOW - 60 * SECOND)
    flagged = {id_ for id_, _, date in rows if any(gap.since <= date < gap.until for gap in gaps)}
    assert {id_ for id_, _, date in rows if date >= NOW - 60 * SECOND} - found - hidden <= flagged
    assert {gap.reason for gap in gaps} <= {"tie_group"}


def test_a_page_of_rows_that_cannot_be_read_is_not_the_page_before() -> None:
    """Nobody can say that it came again."""
    provider, rows = Stuut(), [{"id": f"s{n}", "created_at": "2026-01-01T00:00:00Z"} for n in range(10)]
    request: Request | None = provider.first_page(Stream("stuut", "a", "t"), Window(0, NOW, NOW), {})
    seen = set[str]()
    for listed in (rows[:5], rows[:5], [{"id": None}] * 3, rows[5:], []):
        assert request is not None
        page = provider.read_page(request, Response(200, {}, json.dumps({"data": listed, "total_records": 13}).encode()))
        seen |= {row.id for row in page.rows if isinstance(row, Row)}
        request = page.next
        assert request is None or not request.resumable, "the ids of a whole thread are no burden for the state"
    assert len(seen) == 10


def test_neighbouring_backfills_publish_each_message_once_whichever_date_the_provider_filters_by() -> None:
    """Also where a message was sent, or scheduled, across their border or the stream's start; and a third over both adds nothing."""
    provider, january = FoneDynamics(), 1_767_225_600
    february, march = january + 31 * 86_400, january + 59 * 86_400
    now = (march + 60 * 86_400) * SECOND
    rungs = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY, ahead=AHEAD)
    start = now // SECOND - 30 * 86_400
    for stamp in ("Created", "Scheduled"):
        cursor = window.begin(rungs, floor=start * SECOND, now=now - 29 * DAY)
        cursor = window.replace(cursor, floor=now - 7 * DAY)
        pairs = [(february - 1, february), (february - 3600, february + 5 * 86_400), (february - 7200, february - 7200), (start - 1, start)]
        rows = [
            {"MessageSid": f"M{n}", "Created": created, "Scheduled": scheduled, "Status": "Delivered"}
            for n, (created, scheduled) in enumerate(pairs)
        ]
        published: list[str] = []
        for since, until in ((january, february), (january, march), (march, start), (january, start + 86_400)):
            cursor = backfill.begin(cursor, BackfillRequest(f"{since}-{until}", since * SECOND, until * SECOND))
            while held := backfill.running(cursor):
                low, high = backfill.parts(cursor, held)[-1]
                part = Sweep(low, high, 0, 0, now, Request("GET", "/"))
                read_rows = [
                    provider.read_row(row)
                    for raw in rows
                    if low <= raw[stamp] * SECOND < high and isinstance(row := row_of(json.dumps(raw).encode()), Row)
                ]  # type: ignore[operator]
                listed = [seen for seen in read_rows if isinstance(seen, Observation)]
                scope = PageContext(
                    stream=PROPERTY, floor=cursor.floor, requested_at=1, observed=now, admitted=backfill.admitted(cursor, part)
                )
                known: dict[bytes, MessageState] = {}  # forgotten between any two
                delta = compared(known, listed, scope)
                published += [event.message.message_id for event in delta.events if event.kind == "created"]
                cursor = backfill.page(cursor, part, ended=True, rows=len(listed), events=len(delta.events))
        expected = [f"M{n}" for n in range(4) if stamp == "Created" or n != 3]  # what lies above the start is live polling's
        assert sorted(published) == expected, stamp
