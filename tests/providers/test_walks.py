"""Whole walks against small servers that list what a vendor's page leaves open: every row is found, or the range is flagged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from msgspec.structs import replace

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import World
from poller.errors import ProviderError, Unreachable
from poller.model import DAY, SECOND, Gap, Instant, Row, Stream
from poller.providers.contract import Page, Request, Response, Window, recalled
from poller.providers.fonedynamics import slices
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.heymarket import crowd, resting, walk
from poller.providers.heymarket.asking import PATH, Learned, Walk
from poller.providers.heymarket.crowd import Count, Crowd
from poller.providers.heymarket.provider import Heymarket
from poller.providers.registry import BUILT_IN, provider_of
from poller.providers.stuut.provider import Stuut
from poller.times import format_rfc3339, parse_rfc3339
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story
from tests.support.vendor_rows import body_of, id_name, members_of, raw_of, text_name

NOW: Instant = 1_790_000_000 * SECOND
REQUESTS_MAX = 3_000
Listed = tuple[int, Instant, Instant]
"""Id, where the server lists it, and the date that it prints."""


def response(value: Any) -> Response:
    """JSON, and the provider's clock."""
    date = format_datetime(datetime.fromtimestamp(NOW / SECOND, UTC), usegmt=True)
    return Response(200, {"content-type": "application/json", "date": date}, json.dumps(value).encode())


class Team:
    """A Heymarket team. ``hidden`` rows count for a page's length and are never shown; ``lag`` hides young rows from counts."""

    def __init__(self, rows: list[Listed], *, cap: int, hidden: frozenset[int] = frozenset(), lag: Instant = 0) -> None:
        self.rows, self.cap, self.hidden, self.lag = sorted(rows, key=lambda row: -row[1]), cap, hidden, lag
        self.requests = 0

    def answer(self, request: Request) -> Response:
        """As the vendor's page says: descending, before the cursor."""
        self.requests += 1
        asked = json.loads(request.body or b"{}")
        until = parse_rfc3339(asked.get("created_at"))
        below = [row for row in self.rows if until is None or row[1] < until.instant]
        if request.path == "/v1/messages":
            return Response(404, {}, b"{}")
        if request.path.endswith("/count"):
            return response(sum(at <= NOW - self.lag for _, at, _ in below))
        shown = [row for row in below[: min(self.cap, asked["limit"])] if row[0] not in self.hidden]
        return response(
            [{"id": id_, "date": format_rfc3339(date), "type": "inbound", "text": "hi", "phone": "14155550123"} for id_, _, date in shown]
        )


class Inclusive(Team):
    """Cursors and counts include their date."""

    def answer(self, request: Request) -> Response:
        """Of a microsecond later."""
        asked = json.loads(request.body or b"{}")
        until = parse_rfc3339(asked.get("created_at"))
        later = (
            None
            if until is None
            else replace(request, body=json.dumps({**asked, "created_at": format_rfc3339(until.instant + 1)}).encode())
        )
        return super().answer(later or request)


def walked(team: Team, since: Instant, learned: Learned = Learned(), now: Instant = NOW) -> tuple[set[int], list[Gap]]:  # noqa: B008
    """A walk to its end: the ids that were listed, and what was flagged."""
    provider, request = Heymarket(), walk.begin(Window(since, None, now), learned)
    found, gaps = set[int](), list[Gap]()
    while request is not None:
        assert team.requests < REQUESTS_MAX
        page: Page = provider.read_page(request, team.answer(request))
        found |= {int(row.id) for row in page.rows if isinstance(row, Row)}
        gaps += page.gaps
        request = page.next
    return found, gaps


def ordinary(count: int, spacing: Instant = SECOND // 2, first: int = 1) -> list[Listed]:
    """Rows whose dates are where they are listed."""
    return [(first + n, NOW - n * spacing, NOW - n * spacing) for n in range(1, count)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("cap", "imports"), [(30, 3), (30, 6), (30, 12), (100, 12), (100, 20), (100, 28)])
def test_old_dated_imports_end_no_walk_and_hide_no_row(cap: int, imports: int, seed: int) -> None:
    """Fewer than half a page of them, at most thirty, in whatever order of their dates."""
    rng = random.Random(seed)
    at = NOW - rng.randrange(60, 200) * SECOND
    dates = [at - rng.randrange(1500, 2100) * SECOND for _ in range(imports)]
    if seed % 2:
        dates.sort()
    rows = ordinary(1200) + [(5000 + n, at + n, date) for n, date in enumerate(dates)]
    found, gaps = walked(Team(rows, cap=cap), NOW - 500 * SECOND)
    assert {id_ for id_, _, date in rows if date >= NOW - 500 * SECOND} <= found
    assert not gaps


@pytest.mark.parametrize("group", [45, 150, 250])
@pytest.mark.parametrize("cap", [10, 20, 30, 100])
@pytest.mark.parametrize("hidden", [frozenset[int](), frozenset({2003})], ids=["all shown", "one hidden"])
def test_a_group_with_one_date_is_whole_or_flagged(group: int, cap: int, hidden: frozenset[int]) -> None:
    """Whatever a page may hold, and although a row of it is filtered out after the limit: never skipped in silence."""
    tied = [(2000 + n, NOW - 30 * SECOND, NOW - 30 * SECOND) for n in range(group)]
    rows = ordinary(200, SECOND // 10) + tied + [(5000 + n, NOW - (31 + n) * SECOND, NOW - (31 + n) * SECOND) for n in range(40)]
    found, gaps = walked(Team(rows, cap=cap, hidden=hidden), NOW - 60 * SECOND)
    lost = {id_ for id_, _, date in rows if date >= NOW - 60 * SECOND} - found - hidden
    assert lost <= {id_ for id_, _, _ in tied}
    assert not lost or [gap.reason for gap in gaps] == ["tie_group"]


@pytest.mark.parametrize("kind", [Team, Inclusive])
@pytest.mark.parametrize("parts", [(200, 800), (1, 999), (400, 500, 600), (0, 3, 7, 12)], ids=str)
def test_broadcasts_within_one_printed_second_are_read_one_by_one(kind: type[Team], parts: tuple[int, ...]) -> None:
    """Dates that are stored more finely than they are printed: the cursor goes into the second, and nobody is asked for by number."""
    second = NOW - 30 * SECOND
    places = [second + part * SECOND // 1000 for part in parts for _ in range(28)]
    rows = ordinary(20) + [(2000 + n, at, second) for n, at in enumerate(places)] + [(9000, second - SECOND, second - SECOND)]
    assert walked(kind(rows, cap=30), NOW - 60 * SECOND) == ({id_ for id_, _, _ in rows}, [])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [Team, Inclusive])
@pytest.mark.parametrize("group", [25, 29, 45, 110])
def test_old_dated_rows_within_a_group_make_no_walk_jump(kind: type[Team], group: int, seed: int) -> None:
    """However the page ends that lists the group once more: what lies between their dates and the group's is read."""
    rng = random.Random(seed)
    at = NOW - 30 * SECOND
    tied = [(2000 + n, at, at - rng.choice((0,) * 12 + (60 * SECOND, 90 * SECOND))) for n in range(group)]
    rng.shuffle(tied)
    rows = ordinary(60) + tied + [(5000 + n, at - n * SECOND, at - n * SECOND) for n in range(1, 120)]
    found, _ = walked(kind(rows, cap=30), NOW - 120 * SECOND)
    assert {id_ for id_, _, date in rows if date >= NOW - 120 * SECOND} - found <= {id_ for id_, _, _ in tied}


@pytest.mark.parametrize("kind", [Team, Inclusive])
@pytest.mark.parametrize("old", [[29], [28, 29], [29, 44], range(20, 30, 3)])
def test_an_old_dated_row_at_the_end_of_a_page_of_one_date_is_no_way_on(kind: type[Team], old: Iterable[int]) -> None:
    """Even where it is so little older that it could be the next row."""
    at = NOW - 30 * SECOND
    tied = [(2000 + n, at, at - 50 * SECOND * (n in old)) for n in range(45)]
    rows = [*tied, *((5000 + n, at - n * SECOND, at - n * SECOND) for n in range(1, 120))]
    found, _ = walked(kind(rows, cap=30), NOW - 120 * SECOND)
    assert {id_ for id_, _, date in rows if date >= NOW - 120 * SECOND} - found <= {id_ for id_, _, _ in tied}


def test_rows_that_print_a_later_date_than_the_one_they_are_listed_by_stop_no_walk() -> None:
    """What was scheduled, listed by its creation, and sent since: the same page may come twice, and no cursor is called ignored for it."""
    for seed in range(300):
        rng = random.Random(seed)
        places = [NOW - rng.randrange(60 * SECOND) for _ in range(rng.choice((4, 8, 40)))]
        dates = [at + (rng.random() < 0.1) * rng.choice((3, 5, 20)) * SECOND for at in places]
        rows = [(n, at, min(NOW, date) // SECOND * SECOND) for n, (at, date) in enumerate(zip(places, dates, strict=True), 1)]
        rows += [(100 + n, NOW - (70 + n) * SECOND, NOW - (70 + n) * SECOND) for n in range(40)]
        found, gaps = walked(Team(rows, cap=30), NOW - 50 * SECOND)
        assert {id_ for id_, at, _ in rows if at >= NOW - 50 * SECOND} <= found, seed
        assert not gaps, seed


@pytest.mark.parametrize("later", [1, 10, 900])
@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("kind", [Team, Inclusive])
def test_a_history_whose_oldest_row_prints_a_later_date_comes_to_its_end(kind: type[Team], count: int, later: int) -> None:
    """Its last rows listed once more, and no other, are the end of the list."""
    rows = [(n, NOW - n * SECOND, NOW - n * SECOND) for n in range(1, count)]
    rows.append((count, NOW - count * SECOND, min(NOW, NOW - count * SECOND + later * SECOND)))
    assert walked(kind(rows, cap=30), NOW - 100 * SECOND) == ({*range(1, count + 1)}, [])


@pytest.mark.parametrize(("cap", "above", "below"), [(30, 30, 45), (100, 100, 150), (30, 29, 45)])
def test_a_crowd_is_not_called_whole_by_the_count_of_the_second_above_it(cap: int, above: int, below: int) -> None:
    """Where cursors and counts include their date, and the second above holds just as many as a page lists."""
    rows = [(n, at, at) for n, at in enumerate([NOW - 30 * SECOND] * above + [NOW - 31 * SECOND] * below, 1)] + ordinary(20, SECOND, 900)
    rows += [(5000 + n, NOW - (32 + n) * SECOND, NOW - (32 + n) * SECOND) for n in range(80)]
    found, gaps = walked(Inclusive(rows, cap=cap), NOW - 60 * SECOND)
    assert {id_ for id_, at, _ in rows if at >= NOW - 60 * SECOND} - found
    assert [(gap.since, gap.until) for gap in gaps] == [(NOW - 31 * SECOND, NOW - 30 * SECOND)]


@pytest.mark.parametrize("kind", [Team, Inclusive])
def test_a_later_and_an_older_date_at_the_end_of_a_page_of_one_date_are_no_way_on(kind: type[Team]) -> None:
    """The page is of the date that most of its rows print."""
    at = NOW - 30 * SECOND
    dates = {28: at + SECOND, 29: at - 20 * SECOND}
    rows = [(2000 + n, at + 44 - n, dates.get(n, at)) for n in range(45)]
    rows += [(5000 + n, at - n * SECOND, at - n * SECOND) for n in range(1, 120)]
    found, gaps = walked(kind(rows, cap=30), NOW - 90 * SECOND)
    flagged = {id_ for id_, _, date in rows if any(gap.since <= date < gap.until for gap in gaps)}
    assert {id_ for id_, _, date in rows if date >= NOW - 90 * SECOND} - found <= flagged


def test_a_date_at_the_end_of_all_years_ends_no_walk() -> None:
    """A date that stands for never has no successor to ask before."""
    never = parse_rfc3339("9999-12-31T23:59:59Z")
    assert never is not None
    rows = [(1, NOW - SECOND, NOW - SECOND), (2, NOW - 2 * SECOND, NOW - 2 * SECOND), (3, NOW - 3 * SECOND, never.instant)]
    assert walked(Team(rows, cap=30), NOW - 60 * SECOND) == ({1, 2, 3}, [])


def test_a_count_that_lags_proves_no_group_whole() -> None:
    """Counted less than was listed already: the group is flagged."""
    rows = ordinary(60) + [(2000 + n, NOW - 20 * SECOND, NOW - 20 * SECOND) for n in range(45)]
    found, gaps = walked(Team(rows, cap=30, lag=600 * SECOND), NOW - 60 * SECOND)
    assert len(found) < len(rows)
    assert [gap.reason for gap in gaps] == ["tie_group"]


@pytest.mark.parametrize("step", [1, SECOND])
def test_an_inclusive_count_raises_no_alarm(step: Instant) -> None:
    """Where cursors and counts include their date, a group at the very beginning of its second is counted whole all the same."""
    rows = ordinary(60) + [(2000 + n, NOW - 20 * SECOND + (n % 2) * (step % SECOND), NOW - 20 * SECOND) for n in range(27)]
    found, gaps = walked(Inclusive(rows, cap=30), NOW - 60 * SECOND)
    assert ({id_ for id_, _, _ in rows} - found, gaps) == (set(), [])


def test_rows_dated_ahead_stop_no_walk() -> None:
    """A bulk schedule, listed by its creation and dated tomorrow, fills most of a page."""
    tomorrow = NOW + 86_400 * SECOND
    rows = ordinary(300) + [(2000 + n, NOW - 40 * SECOND + n, tomorrow + n * SECOND) for n in range(25)]
    found, _ = walked(Team(rows, cap=30), NOW - 120 * SECOND)
    assert {id_ for id_, _, date in rows if date >= NOW - 120 * SECOND} <= found


@pytest.mark.parametrize("imports", [1, 2])
def test_an_old_row_at_the_end_of_a_page_of_one_date_makes_no_jump(imports: int) -> None:
    """A broadcast fills the page but for its last rows, which are old-dated imports."""
    tied = [(2000 + n, NOW - 30 * SECOND, NOW - 30 * SECOND) for n in range(100 - imports)]
    old = [(5000 + n, NOW - 30 * SECOND - 1 - n, NOW - 90_000 * SECOND) for n in range(imports)]
    rows = tied + old + [(6000 + n, NOW - (31 + n) * SECOND, NOW - (31 + n) * SECOND) for n in range(300)]
    found, gaps = walked(Team(rows, cap=100), NOW - 200 * SECOND)
    lost = {id_ for id_, _, date in rows if date >= NOW - 200 * SECOND} - found
    assert not lost or (gaps and lost <= {id_ for id_, _, _ in tied})


def test_the_rows_of_one_group_prove_nothing_of_the_next() -> None:
    """Two groups in one walk, the second longer than any page."""
    rows = ordinary(20)
    for first, size, age in ((2000, 150, 20), (4000, 250, 40)):
        rows += [(first + n, NOW - age * SECOND, NOW - age * SECOND) for n in range(size)]
    found, gaps = walked(Team(rows, cap=200), NOW - 60 * SECOND)
    assert len(found) < len(rows)
    assert [gap.since for gap in gaps] == [NOW - 40 * SECOND]


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_group_ends_no_stream_where_longer_pages_and_counts_are_refused(status: int) -> None:
    """400 to a longer page, and no count at all: the group is flagged, and what lies below it is found."""
    tied = [(2000 + n, NOW - 30 * SECOND, NOW - 30 * SECOND) for n in range(45)]
    rows = ordinary(30) + tied + [(5000 + n, NOW - (31 + n) * SECOND, NOW - (31 + n) * SECOND) for n in range(40)]
    team = Team(rows, cap=30)
    answer = team.answer

    def refusing(request: Request) -> Response:
        longer = json.loads(request.body or b"{}").get("limit", 0) > 30
        if request.path.endswith("count"):
            return Response(status, {}, b"{}")
        return Response(400, {}, b"{}") if longer else answer(request)

    team.answer = refusing  # type: ignore[method-assign]
    found, gaps = walked(team, NOW - 60 * SECOND)
    assert {id_ for id_, _, date in rows if date >= NOW - 60 * SECOND} - found <= {id_ for id_, _, _ in tied}
    assert [gap.reason for gap in gaps] == ["tie_group"]


@pytest.mark.parametrize("rows", [0, 5], ids=["alone", "at the end"])
def test_a_row_without_a_date_at_the_end_of_a_history_ends_the_walk(rows: int) -> None:
    """It becomes a dead letter, and the sweep comes to its end."""
    team = Team(ordinary(rows + 1), cap=30)
    answer = team.answer

    def with_tail(request: Request) -> Response:
        found = json.loads(answer(request).body)
        return response([*found, {"id": 77, "text": "no date"}] if len(found) < 30 else found)

    team.answer = with_tail  # type: ignore[method-assign]
    found, _ = walked(team, NOW - 86_400 * SECOND)
    assert len(found) == rows


def test_a_cap_that_shrinks_is_noticed() -> None:
    """Fone Dynamics: an answer as long as a lower limit is not taken for whole because longer ones were seen before."""
    provider, rows = FoneDynamics(), [{"MessageSid": f"M{n}", "Created": NOW // SECOND - n, "Status": "Received"} for n in range(1, 180)]
    window = Window(NOW - 200 * SECOND, NOW, NOW)
    request: Request | None = provider.first_page(Stream("fonedynamics", "a", "PR1"), window, slices.Learned(most=200))
    found, requests = set[str](), 0
    while request is not None:
        asked, requests = dict(request.query), requests + 1
        inside = [row for row in rows if int(asked["Date_From"]) <= row["Created"] < int(asked["Date_To"])]
        skip = int(asked.get("Results_Skip", 0))
        page = provider.read_page(request, response({"Messages": inside[skip : skip + 50]}))
        found |= {row.id for row in page.rows if isinstance(row, Row)}
        request = page.next
    assert len(found) == len(rows)
    assert requests < 20


@pytest.mark.parametrize("longest", [50, 100, 200], ids=lambda longest: f"at most {longest}")
def test_a_paged_thread_is_read_whole(longest: int) -> None:
    """Stuut, should it page: every page has one length, whatever the first answer's was."""
    provider, rows = Stuut(), [{"id": f"m{n}", "created_at": format_rfc3339(NOW - n * SECOND)} for n in range(400)]
    request: Request | None = provider.first_page(Stream("stuut", "a", "t"), Window(0, None, NOW), {})
    found: set[str] = set()
    while request is not None:
        asked = dict(request.query)
        number, length = int(asked.get("page", 0)), min(longest, int(asked.get("limit", 50)))
        cut = rows[number * length : (number + 1) * length]
        more = number + 1 if (number + 1) * length < len(rows) else None
        page = provider.read_page(request, response({"data": cut, "total_records": len(rows), "next_page": more}))
        found |= {row.id for row in page.rows if isinstance(row, Row)}
        request = page.next
        if request is None and len(rows) < 401:  # and once more, with a new message
            rows.insert(0, {"id": "new", "created_at": format_rfc3339(NOW + SECOND)})
            request = provider.first_page(Stream("stuut", "a", "t"), Window(0, None, NOW), page.learned)
    assert len(found) == len(rows)
    assert "ids_disappeared" not in page.oddities


@pytest.mark.parametrize(("cap", "polls"), [(50, 2), (40, 3)], ids=["round", "any length"])
def test_a_capped_thread_is_flagged(cap: int, polls: int) -> None:
    """Stuut lists only its newest rows: at a round length it is told by the second poll, at another one poll later; said once."""
    provider, memo, flags = Stuut(), None, list[int]()
    for poll in range(1, 6):
        rows = [{"id": f"m{n}", "created_at": format_rfc3339(NOW + n * SECOND)} for n in range(poll, poll + cap)]
        page = provider.read_page(provider.first_page(Stream("stuut", "a", "t"), Window(0, None, NOW), memo), response(rows))
        memo = page.learned if page.learned is not None else memo
        flags += [poll] * len(page.gaps)
        assert "ids_disappeared" not in page.oddities
    assert flags == [polls]


@pytest.mark.parametrize(("gone", "told"), [((), []), ((7,), [3]), ((0, 1), [3])], ids=["nothing", "from the middle", "the oldest"])
def test_messages_of_a_thread_that_are_listed_no_more_are_noticed(gone: tuple[int, ...], told: list[int]) -> None:
    """While new ones come in: at the poll that lacks them, and not again; nothing is called a gap."""
    provider, memo, said = Stuut(), None, list[int]()
    for poll in range(1, 6):
        rows = [{"id": f"m{n}", "created_at": format_rfc3339(NOW + n * SECOND)} for n in range(10 + poll) if poll < 3 or n not in gone]
        page = provider.read_page(provider.first_page(Stream("stuut", "a", "t"), Window(0, None, NOW), memo), response(rows))
        memo = page.learned if page.learned is not None else memo
        said += [poll] * page.oddities.count("ids_disappeared")
        assert not page.gaps
    assert said == told


@pytest.mark.parametrize("provider", BUILT_IN)
def test_half_a_surrogate_pair_spoils_no_answer(provider: str) -> None:
    """An emoji that was cut in two, escaped: its row is read with a replacement, and all others as they are."""
    texts = (rb"cut \ud83d", rb"\ude00", rb"whole \uD83D\uDE00", rb"no escape: \\ud83d")
    rows = [raw_of(provider, {id_name(provider): b'"%d"' % n, text_name(provider): b'"%s"' % text}) for n, text in enumerate(texts, 1)]
    made = provider_of(provider)
    request = made.first_page(Stream(provider, "a", "s"), Window(NOW - 60 * SECOND, NOW + 60 * SECOND, NOW), None)
    page = made.read_page(request, Response(200, {}, body_of(provider, *rows)))
    read = [row.raw for row in page.rows if isinstance(row, Row)]
    assert [rb"cut \ufffd" in read[0], rb"\ufffd" in read[1], read[2:] == rows[2:]] == [True, True, True]


def test_a_number_too_large_for_one_spoils_no_row() -> None:
    """Free-form members may hold what no float can."""
    row = Row("1", NOW, b'{"id":1,"date":"2026-09-21T14:12:50Z","type":"inbound","custom":{"data":[1e400]}}')
    seen = Heymarket().read_row(row)
    assert seen.message.provider_data["custom"] == {"data": ["1e400"]}  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("provider", BUILT_IN)
def test_a_number_too_large_for_one_spoils_no_page(provider: str) -> None:
    """A page with such a row is read like any other, and so are the conversations of a group."""
    raw = raw_of(provider, {"odd": b"1e999", "phone": b'"14155550100"', "conversation": b'{"inbox":7}'})
    made = provider_of(provider)
    request = made.first_page(Stream(provider, "a", "s"), Window(NOW - 60 * SECOND, NOW + 60 * SECOND, NOW), None)
    page = made.read_page(request, Response(200, {}, body_of(provider, raw)))
    assert page.rows == [Row("1", page.rows[0].created, raw)]  # pyright: ignore[reportAttributeAccessIssue]
    assert crowd.conversations_of([Row("1", NOW, raw)]) == (("14155550100", "7"),)


AROUND = ("total_records", "next_page", "next_page_uri", "meta")
"""Members around the rows that some vendor documents."""


@pytest.mark.parametrize("provider", BUILT_IN)
@pytest.mark.parametrize("odd", [b"9" * 400, b"1e999", b"[" * 700 + b"]" * 700, b'"\\ud83d"', b'"\xff"', b"NaN"])
def test_whatever_a_member_holds_nothing_escapes_but_the_errors_that_are_named(provider: str, odd: bytes) -> None:
    """Every member of a row and of what is around the rows: numbers without end, nesting without end, bytes that are no text."""
    made, rows = provider_of(provider), 0
    request = made.first_page(Stream(provider, "a", "s"), Window(NOW - 60 * SECOND, NOW + 60 * SECOND, NOW), None)
    for name in sorted(members_of(provider)):
        row = raw_of(provider, {name: odd})
        for body in (body_of(provider, row), body_of(provider, row, around=dict.fromkeys(AROUND, odd))):
            try:
                page = made.read_page(request, Response(200, {}, body))
            except ProviderError:
                continue
            rows += len(page.rows)
            for each in page.rows:
                if isinstance(each, Row):
                    made.read_row(each)
    assert rows or odd in {b'"\xff"', b"NaN"}


@pytest.mark.parametrize("body", [b'"10', b""])
def test_a_cut_count_is_asked_again(body: bytes) -> None:
    """It is no count of another shape: the provider could not be reached whole."""
    request = Request("POST", f"{PATH}/count", continuation=Count(Crowd(Walk(0, NOW))))
    with pytest.raises(Unreachable):
        Heymarket().read_page(request, Response(200, {}, body))


def test_what_the_first_release_kept_of_a_walk_is_read() -> None:
    """Its continuation and what it had learned, as it wrote them; half of one, and one of a kind that is not known, are None, so that the sweep begins anew."""
    kept = {
        "kind": "walk",
        "since": 1,
        "now": 9,
        "limit": 60,
        "usual": 30,
        "unit": 1,
        "most": 30,
        "memo": {"limit": 30, "rate": 0.2, "dated": True},
    }
    kept |= {"cursor": 5, "live": True, "total": 4, "length": 60, "asked": True, "tail": ["1"], "group": ["1", "2"], "edge": 4, "got": 2}
    learned = Learned(30, 0.2, dated=True)
    assert recalled(Heymarket.Learned, kept["memo"]) == learned
    assert recalled(Heymarket.Continuation, kept) == Walk(
        1, 9, 5, live=True, learned=learned, usual=30, limit=60, length=60, most=30, total=4, asked=True, tail=("1",), group=("1", "2"), edge=4, got=2
    )  # fmt: skip
    assert recalled(Heymarket.Continuation, {"kind": "walk", "now": 9}) is None
    assert recalled(Heymarket.Continuation, {**kept, "kind": "drift"}) is None


def test_half_of_the_counts_and_conversations_of_a_group_may_fail() -> None:
    """What failed is asked again, not the whole chain from its page: the walk comes through, and nothing behind the group is missed."""
    story, rng = Story(5, crash_s=None, seconds=40.0, settle_s=120.0, cluster=FakeCluster(1)), random.Random(5)
    switches = Switches(limit_max=30, ties=0.5, tie_rows=60, printed="seconds", late=0.0)
    story.world = World(5, START, switches, per_second=0.3, backlog=20, backlog_s=1800.0, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 5)
    failed, answer = list[str](), story.providers.answer

    def heard(method: str, target: str, *more: Any) -> Any:
        if ("phoneNumber" in target or target.endswith("/count")) and rng.random() < 0.5:
            failed.append(target)
            return Answer(*rng.choice(((500, b"oops", "text/plain"), (200, b'[{"id":"cut', "application/json"))))
        return answer(method, target, *more)

    story.providers.answer = heard  # type: ignore[method-assign]
    verdict = story.play()
    assert len(failed) > 20
    assert verdict.good, verdict


def test_conversations_that_are_read_for_a_group_leave_no_number_in_the_state() -> None:
    """The numbers that are asked for are in no record of the state topic, and the groups are found all the same."""
    story = Story(5, crash_s=20.0, seconds=30.0, cluster=FakeCluster(1))
    switches = Switches(limit_max=30, ties=0.05, tie_rows=500, printed="seconds", late=0.0)
    story.world = World(5, START, switches, per_second=0.3, backlog=20, backlog_s=1800.0, providers=(HEYMARKET,))
    story.providers = type(story.providers)(story.world, 5)
    talks, answer = list[str](), story.providers.answer

    def heard(method: str, target: str, *more: Any) -> Any:
        talks.extend([target] * ("phoneNumber" in target))
        return answer(method, target, *more)

    story.providers.answer = heard  # type: ignore[method-assign]
    assert not story.play().duplicates
    assert len(talks) > 10
    assert not [record for record, _ in story.cluster.state[0] if b"1415555" in (record.value or b"")]


class Crowded:
    """A Fone Dynamics property with 260 messages in one second, twenty before ``NOW``, and one in two seconds before it."""

    def __init__(self) -> None:
        self.at = NOW // SECOND - 20
        stamps = [self.at if n < 260 else self.at + 20 - 2 * (n - 250) for n in range(460)]
        self.rows = [{"MessageSid": f"M{n}", "Created": stamp, "Status": "Received"} for n, stamp in enumerate(stamps)]
        self.learned = slices.Learned(most=100, cut=100, near=0.4)

    def swept(self, since: int, until: int, now: int) -> tuple[int, int]:
        """The requests of a sweep in seconds since the epoch, and how many of the crowd it listed."""
        provider, requests, found = FoneDynamics(), 0, set[str]()
        window = Window(since * SECOND, until * SECOND, now * SECOND)
        request: Request | None = provider.first_page(Stream("fonedynamics", "a", "PR1"), window, self.learned)
        while request is not None:
            page, requests = provider.read_page(request, self._answer(request, now)), requests + 1
            found |= {row.id for row in page.rows if isinstance(row, Row) and row.id}
            request, self.learned = page.next, page.learned or self.learned
        return requests, sum(f"M{n}" in found for n in range(260))

    def _answer(self, request: Request, now: int) -> Response:
        query = dict(request.query)
        inside = [row for row in self.rows if int(query["Date_From"]) <= int(row["Created"]) < min(int(query["Date_To"]), now)]
        skip = int(query.get("Results_Skip", 0))
        date = format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
        return Response(200, {"date": date}, json.dumps({"Messages": inside[skip : skip + 100]}).encode())


def test_a_crowd_is_walked_once_a_minute_and_never_while_it_may_grow() -> None:
    """Fone Dynamics: sweeps go round a second that no answer holds, once it was over when it was walked."""
    it = Crowded()
    asked = {age: it.swept(it.at + age - 600, it.at + age + 300, it.at + age) for age in (1, 2, 5, 20, 64, 66)}
    assert {age: held for age, (_, held) in asked.items()} == {1: 260, 2: 260, 5: 260, 20: 0, 64: 0, 66: 260}
    assert asked[20][0] <= asked[66][0] - 3


def test_a_crowd_at_the_begin_of_a_window_does_not_rest() -> None:
    """A part of its second may lie before what live polling publishes: a backfill that is asked for at once reads it."""
    it = Crowded()
    assert it.swept(it.at, it.at + 320, it.at + 20)[1] == 260
    assert it.swept(it.at - 300, it.at + 1, it.at + 25)[1] == 260


class Reordered(Team):
    """Rows of one date come the other way round where an order is asked for."""

    def answer(self, request: Request) -> Response:
        """In the order of that date's ids."""
        sign = 1 if "order" in json.loads(request.body or b"{}") else -1
        self.rows = sorted(self.rows, key=lambda row: (-row[1], sign * row[0]))
        return super().answer(request)


def _crowded(now: Instant, learned: Learned, kind: type[Team]) -> tuple[int, list[Gap], Learned]:
    """A walk over five minutes at ``now``, with 160 messages dated a second before ``NOW``: requests, gaps, and what is known then."""
    at = NOW - SECOND
    rows = [(2000 + n, at, at) for n in range(160)] + [(n, at - n * SECOND, at - n * SECOND) for n in range(1, 400)]
    team, provider, gaps, found = kind(rows, cap=100), Heymarket(), list[Gap](), set[int]()
    request: Request | None = walk.begin(Window(NOW - 300 * SECOND, None, now), learned)
    while request is not None:
        page = provider.read_page(request, team.answer(request))
        found |= {int(row.id) for row in page.rows if isinstance(row, Row) and row.id}
        gaps += page.gaps
        request, learned = page.next, page.learned or learned
    assert set(range(1, 290)) <= found
    return team.requests, gaps, learned


@pytest.mark.parametrize(("kind", "lacking"), [(Reordered, 0), (Team, 1)])
def test_a_heymarket_crowd_is_walked_once_a_minute_and_never_while_it_may_grow(kind: type[Team], lacking: int) -> None:
    """Sweeps go round it meanwhile, and say again that it may lack rows where that was so."""
    learned, asked = Learned(), dict[int, int]()
    for age in (1, 3, 6, 20, 64, 67, 70):
        asked[age], gaps, learned = _crowded(NOW + (age - 1) * SECOND, learned, kind)
        assert len(gaps) == lacking
    assert asked[1] == asked[3] == asked[6] == asked[67], asked
    assert asked[20] == asked[64] == asked[70] < asked[6] - 2, asked


def test_a_heymarket_crowd_that_no_walk_lists_whole_rests_for_as_long_as_it_was_old() -> None:
    """Each walk of it tries all that the vendor documents. One that is listed whole costs little, and rests for a minute while it is young."""
    walks = dict[type[Team], list[int]]()
    for kind in (Reordered, Team):
        learned, walks[kind] = Learned(), []
        for age in range(5, 3000, 15):
            _, _, learned = _crowded(NOW + (age - 1) * SECOND, learned, kind)
            walks[kind] += [age] if learned.crowds[-1].began == NOW + (age - 1) * SECOND else []
    whole, lacking = walks[Reordered], walks[Team]
    assert lacking == [5, 65, 140, 290, 590, 1190, 1790, 2390, 2990], lacking
    assert whole[:7] == [5, 65, 125, 185, 245, 305, 365], whole
    assert len(whole) > 2 * len(lacking)


def test_a_heymarket_crowd_at_the_begin_of_a_window_does_not_rest() -> None:
    """A backfill that is asked for at once may want the part of it that lies before the floor."""
    at = Walk(NOW, NOW + 9 * SECOND, edge=NOW, unit=SECOND)
    assert resting.around(resting.walked(at, whole=True)) is not None
    assert resting.around(resting.walked(replace(at, since=NOW + 1), whole=True)) is None


def _broadcast(now: Instant, learned: Learned, rows: int) -> tuple[int, int, Learned]:
    """A walk over five minutes at ``now``, with a broadcast queued 30 s before ``NOW`` and sent at 20 a second: requests, rows of it that were listed."""
    at = NOW - 30 * SECOND
    listed = [(2000 + n, at, at + n * SECOND // 20) for n in range(rows)] + [(n, NOW - n * SECOND, NOW - n * SECOND) for n in range(1, 400)]
    team, provider, found = Reordered(listed, cap=100), Heymarket(), set[int]()
    request: Request | None = walk.begin(Window(NOW - 300 * SECOND, None, now), learned)
    while request is not None:
        page = provider.read_page(request, team.answer(request))
        found |= {int(row.id) for row in page.rows if isinstance(row, Row) and row.id}
        request, learned = page.next, page.learned or learned
    assert {*range(1, 30), *range(31, 290)} <= found
    return team.requests, sum(number >= 2000 for number in found), learned


def test_a_broadcast_is_walked_once_a_minute_and_at_once_when_it_has_grown() -> None:
    """Sweeps go round it meanwhile: two counts, which are needed to find it, say whether rows came to it."""
    learned, asked, held = Learned(), dict[int, int](), dict[int, int]()
    for age, rows in ((5, 180), (20, 180), (64, 180), (66, 180), (70, 181), (75, 181)):
        asked[age], held[age], learned = _broadcast(NOW + age * SECOND, learned, rows)
    assert (held[5], held[66], held[70]) == (180, 180, 181)
    assert asked[20] == asked[64] == asked[75] < min(asked[5], asked[66], asked[70]) - 1, asked


def test_a_broadcast_that_rests_is_gone_round_by_two_counts() -> None:
    """One before its end and one before its beginning, beside the one at the cursor: that they differ shows that counts go by dates."""
    learned = _broadcast(NOW + 5 * SECOND, Learned(), 180)[2]
    assert [each.size for each in learned.crowds] == [181]  # one other row lies in its place
    asked: list[str] = []
    at = NOW - 30 * SECOND
    listed = [(2000 + n, at, at + n * SECOND // 20) for n in range(180)] + [(n, NOW - n * SECOND, NOW - n * SECOND) for n in range(1, 400)]
    team, provider = Reordered(listed, cap=100), Heymarket()
    request: Request | None = walk.begin(Window(NOW - 300 * SECOND, None, NOW + 20 * SECOND), learned)
    while request is not None:
        asked.append(request.path.rpartition("/")[2])
        request = provider.read_page(request, team.answer(request)).next
    assert asked.count("count") == 3, asked


def test_a_broadcast_rests_also_where_its_place_ends_at_another_stamp() -> None:
    """Another sweep finds another end of the same place by halving; as many rows are counted in it, from the same moment on."""
    at = Walk(NOW - DAY, NOW + 9 * SECOND, edge=NOW, width=SECOND, counted=300)
    known = resting.walked(at, whole=True)
    assert resting.around(replace(known, width=SECOND // 2)) is not None
    assert resting.around(replace(known, width=SECOND // 2, counted=301)) is None
    assert resting.around(replace(known, edge=NOW + 1)) is None
    printed = resting.walked(replace(at, unit=SECOND, width=0, counted=0), whole=True)
    assert resting.around(printed) is not None
    assert resting.around(replace(printed, unit=SECOND // 2)) is None, "rows that print one date lie in that date"


def test_rows_of_a_known_broadcast_are_not_taken_for_a_crowd_of_the_date_that_they_print() -> None:
    """A page that ends within it prints its newest date last; nothing more of that date is looked for."""
    at, asked, learned = NOW - 30 * SECOND, list[bytes](), Learned()
    rows = [(2000 + n, at, at + n * SECOND // 34) for n in range(180)] + [(n, NOW - n * SECOND, NOW - n * SECOND) for n in range(1, 400)]
    for age in (5, 20):
        team, provider = Team(rows, cap=100), Heymarket()
        request: Request | None = walk.begin(Window(NOW - 300 * SECOND, None, NOW + age * SECOND), learned)
        asked.clear()
        while request is not None:
            asked.append(request.body or b"")
            page = provider.read_page(request, team.answer(request))
            request, learned = page.next, page.learned or learned
        learned = replace(
            learned, crowds=tuple(each for each in learned.crowds if each.size)
        )  # before it was known such a date was taken for one
    assert not [body for body in asked if b"order" in body or b'"limit":1000' in body], asked
