"""Walks over a list that goes by another stamp than its rows print: a broadcast is queued in one moment, and printed as it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poller.errors import CursorIgnored
from poller.model import SECOND, Instant
from poller.providers.contract import Request, Response
from poller.providers.heymarket.asking import Learned, Walked
from tests.providers.test_walks import NOW, Listed, Team, ordinary, response, walked

SINCE: Instant = NOW - 900 * SECOND
HISTORY: list[Listed] = [(90_000 + n, NOW - (600 + n) * SECOND, NOW - (600 + n) * SECOND) for n in range(299)]
"""What lies below everything else: it is read whatever the walk meets above it."""


def broadcast(rows: int, per_second: float, ago_s: float = 300.0, first: int = 2000) -> list[Listed]:
    """Queued in one moment, printed as each row is sent."""
    queued = NOW - round(ago_s * SECOND)
    return [(first + n, queued, queued + round(n / per_second * SECOND)) for n in range(rows)]


@pytest.mark.parametrize(
    ("rows", "per_second", "cap"),
    [
        (300, 5.0, 1000),
        (300, 5.0, 100),
        (600, 20.0, 50),
        (40, 1.0, 30),
        (31, 0.2, 30),
        (99, 1000.0, 100),
        (250, 3.0, 250),
        (1000, 50.0, 100),
    ],
)
def test_a_broadcast_hides_no_history_and_is_whole_or_flagged(rows: int, per_second: float, cap: int) -> None:
    """However many rows it has and however fast it is sent: nothing below it is jumped, and what no page lists of it is a possible gap."""
    sent = broadcast(rows, per_second)
    listed = [*ordinary(200, SECOND), *sent, *HISTORY]
    found, gaps = walked(Team(listed, cap=cap), SINCE)
    lost = {id_ for id_, _, _ in listed} - found
    assert lost <= {id_ for id_, _, _ in sent}
    assert not lost or any(gap.since <= NOW - 300 * SECOND < gap.until for gap in gaps)
    assert bool(lost) == bool(gaps)
    assert not lost or rows > cap


@pytest.mark.parametrize("apart_s", [0.4, 3.0, 45.0])
def test_several_broadcasts_are_passed_one_after_another(apart_s: float) -> None:
    """Also where they are so near that their dates lie over each other."""
    sent = [row for number in range(3) for row in broadcast(120, 2.0, 300 + number * apart_s, 2000 + 1000 * number)]
    found, gaps = walked(Team([*ordinary(100), *sent, *HISTORY], cap=100), SINCE)
    assert {id_ for id_, _, _ in HISTORY} <= found
    lost = {id_ for id_, _, _ in sent} - found
    assert all(any(gap.since <= at < gap.until for gap in gaps) for id_, at, _ in sent if id_ in lost)


class Deaf(Team):
    """Lists the newest rows whatever the cursor is, and counts by it."""

    def answer(self, request: Request) -> Response:
        """The list as if no cursor was given."""
        asked: dict[str, Any] = json.loads(request.body or b"{}")
        if not request.path.endswith("count"):
            asked.pop("created_at", None)
        return super().answer(Request(request.method, request.path, request.query, json.dumps(asked).encode()))


class Uncounting(Team):
    """Counts all there is, whatever date is given."""

    def answer(self, request: Request) -> Response:
        """As above, but for counts."""
        if request.path.endswith("count"):
            return response(len(self.rows))
        return super().answer(request)


class Refusing(Team):
    """Counts nothing."""

    def answer(self, request: Request) -> Response:
        """404 to every count."""
        return Response(404, {}, b"{}") if request.path.endswith("count") else super().answer(request)


class DeafAndRefusing(Deaf, Refusing):
    """Neither lists nor counts by the cursor."""


class DeafAndUncounting(Deaf, Uncounting):
    """The same, with a count of all there is."""


class DeafAndBusy(Deaf):
    """The same, while a tenth of a page comes to be between two requests."""

    def answer(self, request: Request) -> Response:
        """Ten newer rows."""
        newest = self.rows[0][1]
        self.rows[:0] = [(500_000 + 10 * self.requests + n, newest + n + 1, newest + n + 1) for n in reversed(range(10))]
        return super().answer(request)


@pytest.mark.parametrize("kind", [Deaf, DeafAndRefusing, DeafAndUncounting, DeafAndBusy])
def test_a_list_that_ignores_its_cursor_is_no_way_on(kind: type[Team]) -> None:
    """With counts that go by dates, that do not, and without any: the walk stops, and says why."""
    with pytest.raises(CursorIgnored):
        walked(kind([*ordinary(200, SECOND), *broadcast(300, 5.0), *HISTORY], cap=100), SINCE)


@pytest.mark.parametrize("kind", [Uncounting, Refusing])
@pytest.mark.parametrize(
    ("rows", "per_second", "cap"),
    [(300, 5.0, 1000), (300, 5.0, 100), (600, 20.0, 50), (40, 1.0, 30), (31, 0.2, 30), (99, 1000.0, 100), (1000, 50.0, 100), (0, 1.0, 30)],
)
def test_where_nothing_is_counted_pages_that_share_rows_prove_that_nothing_was_jumped(
    kind: type[Team], rows: int, per_second: float, cap: int
) -> None:
    """A broadcast hides no history and does not end the walk; what no page may have listed of it is a possible gap."""
    sent = broadcast(rows, per_second)
    listed = [*ordinary(200, SECOND), *sent, *HISTORY]
    found, gaps = walked(kind(listed, cap=cap), SINCE)
    lost = {id_ for id_, _, _ in listed} - found
    assert lost <= {id_ for id_, _, _ in sent}
    assert not lost or any(gap.since <= NOW - 300 * SECOND < gap.until for gap in gaps)
    assert not lost or rows > cap
    assert not gaps or rows + 1 >= cap, "a page that ends just where the broadcast does shares nothing with the one below"


@pytest.mark.parametrize("rows", [300, 1000])
@pytest.mark.parametrize("kind", [Uncounting, Refusing, Deaf, DeafAndUncounting])
def test_counts_that_went_by_dates_a_moment_ago_are_not_believed_blindly(kind: type[Team], rows: int) -> None:
    """Where a broadcast rests that was found by them: the walk stops and says why, or what is jumped is told."""
    listed = [*ordinary(200, SECOND), *broadcast(rows, 20.0), *HISTORY]
    known = Walked(NOW - 300 * SECOND, NOW - 299 * SECOND, NOW - 60 * SECOND, False, rows + 1)
    try:
        found, gaps = walked(kind(listed, cap=100), SINCE, Learned(crowds=(known,)))
    except CursorIgnored:
        assert issubclass(kind, Deaf)
        return
    lost = [at for id_, at, _ in listed if id_ not in found]
    assert all(any(gap.since <= at < gap.until for gap in gaps) for at in lost)
    assert set(lost) <= {NOW - 300 * SECOND}, "what is not of the broadcast is listed"


@pytest.mark.parametrize("kind", [Team, Refusing])
@pytest.mark.parametrize("cap", [30, 50, 100, 1000])
@pytest.mark.parametrize("late_s", [(5, 20), (1, 3), (60, 240), (0, 20)])
def test_rows_that_all_print_later_dates_are_read_one_by_one(kind: type[Team], cap: int, late_s: tuple[int, int]) -> None:
    """Ten a second, each sent some seconds after it was queued; half an hour of history below, with counts and without: nothing is jumped, and nothing is called a gap."""
    least, most = late_s
    steady = [
        (n, NOW - n * SECOND // 10, min(NOW, NOW - n * SECOND // 10 + (least + n * 7 % (most - least)) * SECOND)) for n in range(1, 3000)
    ]
    listed = [*steady, *HISTORY]
    found, gaps = walked(kind(listed, cap=cap), SINCE)
    assert {id_ for id_, _, _ in listed} <= found
    assert [gap for gap in gaps if gap.until < NOW - most * SECOND] == []


@pytest.mark.parametrize("per_second", [1, 3])
@pytest.mark.parametrize("clump", [10, 30, 40])
def test_rows_that_are_counted_and_not_shown_end_no_walk(per_second: int, clump: int) -> None:
    """A clump of them among rows that print later dates: fewer rows are lacking on the page below than counts say, and that proves nothing."""
    late = [(20_000 + n, NOW - 100 * SECOND - n * SECOND // per_second) for n in range(500)]
    hidden = [(70_000 + n, NOW - 186 * SECOND - n * SECOND // 20) for n in range(clump)]
    listed = [*ordinary(100, SECOND), *((n, at, at + 60 * SECOND) for n, at in (*late, *hidden)), *HISTORY]
    found, gaps = walked(Team(listed, cap=100, hidden=frozenset(n for n, _ in hidden)), SINCE)
    assert {n for n, _, _ in listed} - found == {n for n, _ in hidden}
    assert not gaps


def test_a_broadcast_that_is_under_way_jumps_nothing() -> None:
    """Rows that show themselves between the counts are for the next walk; what was there is read."""
    sent = broadcast(400, 5.0, 70.0)

    class Growing(Team):
        def answer(self, request: Request) -> Response:
            self.rows = sorted([*self.rows, *sent[: 4 * self.requests]], key=lambda row: -row[1])
            self.rows = list(dict.fromkeys(self.rows))
            return super().answer(request)

    team = Growing([*ordinary(60, SECOND), *HISTORY], cap=100)
    found, _ = walked(team, SINCE)
    assert {id_ for id_, _, _ in [*ordinary(60, SECOND), *HISTORY]} <= found


@pytest.mark.parametrize("lag_s", [5, 20, 100, 299, 600])
def test_counts_that_lag_hide_nothing_in_silence(lag_s: int) -> None:
    """A step that they call empty is held against the page below it: what that lacks is a possible gap."""
    sent = broadcast(300, 50.0, 120.0)
    listed = [*ordinary(60, SECOND), *((7_000 + n, NOW - (60 + n) * SECOND, NOW - (60 + n) * SECOND) for n in range(200)), *sent, *HISTORY]
    found, gaps = walked(Team(listed, cap=100, lag=lag_s * SECOND), SINCE)
    lost = {(id_, at) for id_, at, _ in listed if id_ not in found}
    assert lost
    assert all(any(gap.since <= at < gap.until for gap in gaps) for _, at in lost)


@pytest.mark.parametrize("kind", [Team, Refusing])
@pytest.mark.parametrize(("crowd", "cap"), [(90, 100), (150, 100), (400, 100), (40, 30), (1200, 1000)])
def test_dates_that_are_rounded_up_end_no_walk(kind: type[Team], crowd: int, cap: int) -> None:
    """More messages in a second than a page lists, each printed with the next whole second: read or flagged, and history below is read."""
    second = NOW - 300 * SECOND
    many = [(2000 + n, second + n * SECOND // (crowd + 1), second + SECOND) for n in range(1, crowd)]
    listed = [*ordinary(200, SECOND), *many, *HISTORY]
    found, gaps = walked(kind(listed, cap=cap), SINCE)
    lost = {id_ for id_, _, _ in listed} - found
    assert lost <= {id_ for id_, _, _ in many}
    assert not lost or any(gap.since <= second + SECOND and second < gap.until for gap in gaps)
