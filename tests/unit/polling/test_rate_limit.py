"""Never over a limit: not by our own pace, and not by what the vendor says is used up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.model import SECOND
from poller.polling.client.rate_limit import Go, RateLimiter, Wait
from poller.providers.contract import Response
from poller.providers.kit.answers import exhausted, retry_after


@given(st.integers(1, 50), st.sampled_from([1.0, 60.0]), st.integers(1, 5), st.lists(st.floats(0, 2), max_size=300))
def test_no_window_holds_more_than_the_limit(count: int, seconds: float, burst: int, gaps: list[float]) -> None:
    """However requests are tried, no window of the limit's length starts more than count + burst - 1 of them."""
    limiter, now, started = RateLimiter(count, seconds, burst=burst, now=0.0), 0.0, []
    for gap in gaps:
        now += gap
        while isinstance(limiter.take(now), Go):
            started.append(now)
    for first in started:
        assert sum(first <= at < first + seconds for at in started) <= count + burst - 1


def test_a_new_owner_begins_with_an_empty_allowance() -> None:
    """Nobody knows what the last owner used up; and what is waited for comes."""
    limiter = RateLimiter(60, 60.0, now=100.0)
    wait = limiter.take(100.0)
    assert isinstance(wait, Wait)
    assert wait.seconds is not None
    assert isinstance(limiter.take(100.0 + wait.seconds), Go)


LIMITS = [
    ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30.0),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"}, 7.0),
    ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1790000060", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 60.0),
    ({"ratelimit": '"default";r=0;t=12'}, 12.0),
    ({"ratelimit": "limit=10, remaining=0, reset=5"}, 5.0),
    ({"ratelimit-remaining": "10", "ratelimit-reset": "30"}, None),
    ({"ratelimit": '"default";r=50;t=12'}, None),
    ({"ratelimit-remaining": "0"}, None),
    ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "wait"), LIMITS)
def test_an_allowance_that_is_used_up_is_waited_for(headers: dict[str, str], wait: float | None) -> None:
    """What RateLimit headers say is believed before a 429 has to say it."""
    assert exhausted(Response(200, headers, b"[]")) == wait
    assert exhausted(Response(429, {**headers, "retry-after": "2"}, b"")) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "9"}, 9.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 10.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT"}, None),
        ({"ratelimit-reset": "4"}, 4.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "99999999999999999999"}, None),
        ({"retry-after": "30.5"}, 30.5),
        ({"retry-after": ".5"}, 0.5),
        ({"retry-after": "30, 60"}, 60.0),
        ({"retry-after": "60, soon, 30"}, 60.0),
        ({"retry-after": "5, Mon, 21 Sep 2026 14:13:30 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 10.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT, Mon, 21 Sep 2026 14:13:50 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 30.0),
        ({"retry-after": "Mon Sep 21 14:13:30 2026", "date": "Mon, 21 Sep 2026 14:13:20 -0000"}, 10.0),
        ({"retry-after": "Monday, 21-Sep-26 14:13:30 GMT", "date": "Mon Sep 21 14:13:20 2026"}, 10.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:00 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 0.0),
        ({"retry-after": "86400"}, 3600.0),
        ({"retry-after": "Mon, 21 Sep 2027 14:13:00 GMT", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "\u0663"}, None),
        ({"x-ratelimit-reset": "1790000060.5", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 60.5),
        ({"x-ratelimit-reset": "1790000060000", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 60.0),
        ({"x-ratelimit-reset": "1790000060500", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 60.5),
        ({"x-ratelimit-reset": "1790000060000000", "date": "Mon, 21 Sep 2026 14:13:20 GMT"}, 60.0),
        ({"x-ratelimit-reset": "12.5"}, 12.5),
        ({"x-rate-limit-reset": "12"}, 12.0),
        ({"ratelimit": '"default";r=0;t=12.5'}, 12.5),
        ({"ratelimit": '"day";r=0;t=86400'}, 3600.0),
        ({}, None),
    ],
)
def test_retry_after_in_both_forms(headers: dict[str, str], wait: float | None) -> None:
    """Seconds, or a date against the answer's own Date; nonsense is as if nothing was said."""
    assert retry_after(Response(429, headers, b"")) == wait


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT"},
        {"retry-after": "Mon Sep 21 14:13:30 2026"},
        {"retry-after": "Mon, 21 Sep 2026 14:13:30 -0000"},
        {"retry-after": "Monday, 21-Sep-26 14:13:30 GMT"},
        {"retry-after": "Mon, 21 Sep 2026 16:13:30 +0200"},
        {"retry-after": "Mon, 21 Sep 2026 14:13:30"},
        {"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT", "date": ""},
        {"x-ratelimit-reset": "1790000010"},
        {"x-ratelimit-reset": "1790000010", "date": "nonsense"},
    ],
)
def test_a_date_to_wait_for_is_held_against_our_clock_where_the_answer_has_no_date(headers: dict[str, str]) -> None:
    """The wait is as long as the provider meant, as far as the clocks agree."""
    assert retry_after(Response(429, headers, b"", 1_790_000_000 * SECOND)) == 10.0
