"""Paging by token, link and number: every row of a window, whatever expires, vanishes or is cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from poller.model import DAY, HOUR, Instant, Stream
from poller.providers.contract import ByTime, Request, Response, Whole, Window
from poller.providers.kit import paging
from poller.providers.kit.windows import newest_piece, reachable

NOW: Instant = 1_790_000_000_000_000
STREAM = Stream("invented", "a", "s")


def pieces(window: Window, listing: ByTime) -> list[tuple[Instant, Instant | None]]:
    """All pieces of a window, in the order in which they are read."""
    found, place = [], paging.begin(STREAM, window, listing)
    while place is not None:
        found.append((place.since, place.until))
        place = paging.token(place, None, listing)
    return found


@given(
    st.integers(1, 400 * DAY), st.none() | st.integers(1, 30 * DAY), st.integers(HOUR, 60 * DAY), st.none() | st.integers(DAY, 500 * DAY)
)
def test_pieces_touch_and_cover_the_window(back: int, ago: int | None, longest: int, retention: int | None) -> None:
    """No piece is longer than the vendor allows; together they are the window, within what the vendor still has."""
    until = None if ago is None else NOW - ago
    window = Window((NOW if until is None else until) - back, until, NOW)
    listing = ByTime(retention=retention, longest_window=longest)
    found = pieces(window, listing)
    assert found[0][1] == window.until
    assert found[-1][0] == reachable(window, listing) >= window.since
    assert all(newer[0] == older[1] for newer, older in zip(found, found[1:], strict=False))
    assert all((NOW if end is None else end) - begin <= longest for begin, end in found if begin > found[-1][0])


def test_without_limits_a_window_is_one_piece() -> None:
    """A vendor that takes any window is asked once."""
    for listing in (ByTime(), Whole()):
        assert newest_piece(5, None, NOW, listing) == 5
    assert pieces(Window(5, None, NOW), ByTime()) == [(5, None)]


@given(st.lists(st.integers(0, 5)), st.integers(1, 4), st.integers(0, 3))
def test_every_row_is_read_although_tokens_expire(sizes: list[int], every: int, times: int) -> None:
    """A server that forgets its tokens up to three times: each time the piece begins anew, and all rows are read."""
    pages = [[f"{page}-{n}" for n in range(size)] for page, size in enumerate(sizes)] or [[]]
    found, asked, left = set[str](), 0, times
    place: paging.Place | None = paging.begin(STREAM, Window(0, NOW, NOW), ByTime())
    while place is not None:
        request = paging.asked(place, Request("GET", "/x"))
        assert request.resumable == (place.page is None)
        asked += 1
        token = paging.token_of(place)
        forgets = token is not None and left > 0 and asked % every == 0
        left -= forgets
        anew = paging.expired(place, Response(410 if forgets else 200, {}, b""))
        if anew is not None:
            place = anew
            continue
        number = int(token or 0)
        found |= set(pages[number])
        place = paging.token(place, str(number + 1) if number + 1 < len(pages) else "", ByTime())
    assert found == {row for page in pages for row in page}


def test_tokens_that_always_expire_are_an_error_in_the_end() -> None:
    """The fourth time in a row the status is what it says, and the stream waits."""
    place = paging.Place("s", 0, 0, NOW, NOW, paging.AtToken("x"), begun=paging.BEGUN_MAX)
    assert paging.expired(place, Response(400, {}, b"")) is None
    assert paging.expired(paging.begin(STREAM, Window(0, NOW, NOW), ByTime()), Response(400, {}, b"")) is None


def test_only_numbers_go_into_state() -> None:
    """A token or a link may be anything, and is worth nothing after an hour; a number says nothing and stays valid."""
    first = paging.begin(STREAM, Window(0, NOW, NOW), ByTime())
    places = [paging.token(first, "t", ByTime()), paging.link(first, "/next", ByTime()), paging.number(first, 2, ByTime())]
    requests = [paging.asked(place, Request("GET", "/x")) for place in places if place is not None]
    assert [request.resumable for request in requests] == [False, False, True]
    assert [request.link for request in requests] == [None, "/next", None]
    assert places[2] is not None and paging.number_of(places[2], 0) == 2


@given(st.none() | st.booleans() | st.integers() | st.lists(st.text()) | st.text(max_size=3).filter(lambda text: not text))
def test_what_is_no_token_ends_the_piece(value: object) -> None:
    """null, an empty text, a number or a list is no next page."""
    first = paging.begin(STREAM, Window(0, NOW, NOW), ByTime())
    assert paging.token(first, value, ByTime()) is None
    assert paging.link(first, value, ByTime()) is None
