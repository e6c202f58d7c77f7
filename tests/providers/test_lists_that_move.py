"""Whole sweeps of lists that change, and of filters that mean another thing than they say: no row that is listed all the time is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.model import DAY, HOUR, MINUTE, SECOND, Instant, Row, Stream
from poller.providers.contract import Provider, Request, Response, Window
from poller.providers.plivo.provider import Plivo
from poller.providers.telnyx.provider import Telnyx
from poller.providers.twilio.provider import Twilio
from poller.providers.twilio.walk import Learned
from poller.times import format_rfc3339, parse_rfc3339

NOW: Instant = parse_rfc3339("2026-09-21T14:13:20Z").instant
ROWS = 300
PAGES_MAX = 200


def plivo(query: dict[str, str], rows: list[int]) -> dict[str, Any]:
    """Twenty rows from an offset on."""
    at = int(query["offset"])
    listed = [{"message_uuid": f"{row:08d}", "message_time": format_rfc3339(NOW - row * MINUTE)} for row in rows[at : at + 20]]
    following = f"/v1/Account/x/Message/?limit=20&offset={at + 20}" if at + 20 < len(rows) else None
    return {"objects": listed, "meta": {"next": following, "total_count": len(rows)}}


def telnyx(query: dict[str, str], rows: list[int], size: int = 50) -> dict[str, Any]:
    """A page of fifty rows by its number."""
    number = int(query["page[number]"])
    listed = [{"uuid": f"{row:08d}", "created_at": format_rfc3339(NOW - row * MINUTE)} for row in rows[(number - 1) * size : number * size]]
    return {"data": listed, "meta": {"total_pages": -(-len(rows) // size), "total_results": len(rows)}}


def telnyx_short(query: dict[str, str], rows: list[int]) -> dict[str, Any]:
    """The same with fewer rows a page than are asked for."""
    return telnyx(query, rows, 30)


Answer = Callable[[dict[str, str], list[int]], dict[str, Any]]


def swept(provider: Provider, answer: Callable[[Request], bytes], window: Window, learned: Any = None) -> set[int]:
    """The rows that a sweep reads; it must come to its end."""
    request, seen, pages = provider.first_page(Stream(provider.name, "a", "x"), window, learned), set[int](), 0
    while request is not None:
        pages += 1
        assert pages <= PAGES_MAX, "the sweep does not end"
        page = provider.read_page(request, Response(200, {}, answer(request)))
        seen |= {int(row.id[2:], 16) if row.id.startswith("SM") else int(row.id) for row in page.rows if isinstance(row, Row) and row.id}
        request = page.next
    return seen


@pytest.mark.parametrize(("provider", "answer"), [(Plivo(), plivo), (Telnyx(), telnyx), (Telnyx(), telnyx_short)])
@given(changes=st.dictionaries(st.integers(1, 25), st.sets(st.integers(0, ROWS - 1), max_size=60), max_size=3))
def test_a_row_that_is_listed_all_the_time_is_read_whatever_vanishes_beside_it(
    provider: Provider, answer: Answer, changes: dict[int, set[int]]
) -> None:
    """Rows move up where others vanish between two pages, and the vendor's total says by how many."""
    rows, pages = list(range(ROWS)), 0

    def shown(request: Request) -> bytes:
        nonlocal pages
        pages += 1
        rows[:] = [row for row in rows if row not in changes.get(pages, ())]
        return json.dumps(answer(dict(request.query), rows)).encode()

    seen = swept(provider, shown, Window(NOW - DAY, NOW, NOW))
    assert not set(rows) - seen


@pytest.mark.parametrize(("provider", "answer"), [(Plivo(), plivo), (Telnyx(), telnyx)])
@given(lies=st.lists(st.integers(-ROWS, ROWS), min_size=1, max_size=7))
def test_totals_that_lie_do_not_keep_a_sweep_for_ever(provider: Provider, answer: Answer, lies: list[int]) -> None:
    """A total that goes up and down at each page: the sweep ends, and every row is read."""
    rows, pages = list(range(ROWS)), 0

    def shown(request: Request) -> bytes:
        nonlocal pages
        pages += 1
        found = answer(dict(request.query), rows)
        name = "total_count" if "total_count" in found["meta"] else "total_results"
        found["meta"][name] = max(0, ROWS + lies[pages % len(lies)])
        return json.dumps(found).encode()

    assert swept(provider, shown, Window(NOW - DAY, NOW, NOW)) == set(rows)


SENT = [NOW - number * 5 * MINUTE for number in range(5 * 288)]
"""Five days of Twilio's messages, newest first."""

READINGS: dict[str, Callable[[Instant, Instant], bool]] = {
    "to the second": lambda at, value: at <= value,
    "the whole day": lambda at, value: at // DAY <= value // DAY,
    "the beginning of the day": lambda at, value: at <= value // DAY * DAY,
}
"""What ``DateSent<`` may mean by a time (the vendor's page says "at or before midnight" of a date, and gives times as examples)."""


def twilio_row(number: int) -> dict[str, Any]:
    """One message that was sent."""
    date = format_datetime(datetime.fromtimestamp(SENT[number] // SECOND, UTC))
    return {"sid": f"SM{number:032x}", "status": "delivered", "date_created": date, "date_updated": date, "date_sent": date}


@pytest.mark.parametrize("learned", [Learned(), Learned(unsent_pass=True)], ids=["nothing learned", "unsent rows pass"])
@pytest.mark.parametrize(("since", "until"), [(4 * DAY, 6 * HOUR), (4 * DAY, None), (3 * DAY, 2 * DAY), (9 * HOUR, None)])
@pytest.mark.parametrize("reading", READINGS)
def test_a_twilio_window_is_read_whole_whatever_its_upper_filter_means(
    reading: str, since: Instant, until: Instant | None, learned: Learned
) -> None:
    """Windows of several days, in pages of a hundred: also where a walk goes on by a filter from day to day."""

    def shown(request: Request) -> bytes:
        query = dict(parse_qsl(urlsplit(request.link).query)) if request.link else dict(request.query)
        low, high = (parse_rfc3339(query[name]).instant if name in query else None for name in ("DateSent>", "DateSent<"))
        found = [
            number
            for number, at in enumerate(SENT)
            if (low is None or at // DAY >= low // DAY) and (high is None or READINGS[reading](at, high))
        ]
        begin = int(query.get("PageToken", 0))
        link = (
            f"/2010-04-01/Accounts/x/Messages.json?{urlencode({**query, 'PageToken': begin + 100})}" if begin + 100 < len(found) else None
        )
        return json.dumps({"messages": [twilio_row(number) for number in found[begin : begin + 100]], "next_page_uri": link}).encode()

    window = Window(NOW - since, None if until is None else NOW - until, NOW)
    seen = swept(Twilio(), shown, window, learned)
    assert not {number for number, at in enumerate(SENT) if window.since <= at < (window.until or NOW + 1)} - seen
