"""Pacing: never over a limit, never without end, and the provider's clock never loses time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import BadPage, ProviderError, RateLimited, StreamGone, Unauthorized, Unreachable
from poller.model import HOUR, MINUTE, SECOND
from poller.polling.backoff import wait_after
from poller.polling.client.provider_clock import ProviderClock
from poller.polling.client.rate_limit import Go, RateLimiter, Wait
from poller.polling.demand import QUOTA_SHARE, Demand
from poller.providers.contract import Response
from poller.providers.kit.answers import accept, exhausted, retry_after


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


@given(st.integers(1, 60), st.floats(0, 0.999), st.floats(0.1, 3600))
def test_troubles_end(failures: int, fraction: float, interval: float) -> None:
    """Each kind of trouble is tried again within its cap."""
    cap = min(300.0, max(10.0, 10 * interval))
    assert 0 < wait_after(Unreachable(), failures, interval_s=interval, fraction=fraction) <= cap
    for error in (Unauthorized(), StreamGone(), BadPage()):
        assert 0 < wait_after(error, failures, interval_s=interval, fraction=fraction) <= 3600
    assert wait_after(RateLimited(17.0), failures, interval_s=interval, fraction=fraction) == 17.0
    assert wait_after(RateLimited(1e9), failures, interval_s=interval, fraction=fraction) == 3600


@given(st.integers(-HOUR, HOUR), st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=20))
def test_a_steady_clock_is_read_between_its_bounds(skew: int, delays: list[int]) -> None:
    """Whatever the skew and the latency, the true provider time lies between the two readings, give or take the latency."""
    clock, now = ProviderClock(), 1_790_000_000 * SECOND
    for delay in delays:
        now += MINUTE
        sent, received = now, now + delay
        clock.observe((received + skew) // SECOND * SECOND, received)
        assert clock.earliest(sent) <= sent + skew
        assert clock.latest(received) >= received + skew - SECOND


def test_a_jump_is_doubted_until_it_stays() -> None:
    """After a jump windows begin by the earlier and end by the later reading, until three answers over two minutes agree."""
    clock, now = ProviderClock(), 1_790_000_000 * SECOND
    clock.observe(now, now)
    clock.observe(now + HOUR, now)
    assert clock.earliest(now) <= now
    assert clock.latest(now) >= now + HOUR
    for minute in range(1, 4):
        at = now + minute * MINUTE
        clock.observe(at + HOUR, at)
    assert clock.earliest(at) >= at + HOUR - 2 * SECOND


def test_deep_periods_stretch_alike_when_the_planned_share_is_short() -> None:
    """What the live rung leaves of 80 % of the limit, and at least 30 % of that, is for the deep ones."""
    demand = Demand(1.0)
    demand.swept("s", 0, 0.2, deep=False)
    demand.swept("s", 1, 0.6, deep=True)
    assert demand.stretch == pytest.approx(1.0)
    demand.swept("s", 1, 1.2, deep=True)
    assert demand.stretch == pytest.approx(2.0)
    demand.swept("s", 0, 5.0, deep=False)
    assert demand.stretch == pytest.approx(1.2 / 0.24)
    assert demand.live_stretch == pytest.approx(5.0 / 0.56)


def test_a_stream_that_is_gone_asks_for_nothing() -> None:
    """Its share is free again."""
    demand = Demand(1.0)
    demand.swept("s", 1, 3.0, deep=True)
    demand.forget("s")
    assert demand.stretch == 1.0


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


def test_a_date_to_wait_for_is_held_against_our_clock_where_the_answer_has_no_date() -> None:
    """The wait is as long as the provider meant, as far as the clocks agree."""
    ours = 1_790_000_000 * SECOND
    for said in ("Mon, 21 Sep 2026 14:13:30 GMT", "Mon Sep 21 14:13:30 2026", "Mon, 21 Sep 2026 14:13:30 -0000"):
        assert retry_after(Response(429, {"retry-after": said}, b"", ours)) == 10.0
    assert retry_after(Response(429, {"x-ratelimit-reset": "1790000010"}, b"", ours)) == 10.0
    assert retry_after(Response(429, {"x-ratelimit-reset": "1790000010", "date": "nonsense"}, b"", ours)) == 10.0


@pytest.mark.parametrize(
    ("status", "headers", "error", "wait"),
    [
        (503, {"retry-after": "30"}, RateLimited, 30.0),
        (503, {"retry-after": "30, 60.5"}, RateLimited, 60.5),
        (403, {"retry-after": "30"}, RateLimited, 30.0),
        (420, {"retry-after": "30"}, RateLimited, 30.0),
        (500, {"retry-after": "30"}, Unreachable, 30.0),
        (502, {"retry-after": "30"}, Unreachable, 30.0),
        (599, {"x-ratelimit-reset": "30"}, Unreachable, 30.0),
        (503, {}, Unreachable, None),
        (408, {"retry-after": "7"}, Unreachable, 7.0),
        (403, {"x-ratelimit-reset": "30"}, StreamGone, None),
        (404, {"retry-after": "30"}, StreamGone, None),
        (429, {}, RateLimited, None),
    ],
)
def test_who_waits_for_what_a_provider_says(status: int, headers: dict[str, str], error: type[ProviderError], wait: float | None) -> None:
    """A service that asks for time makes its account wait, a request that failed its stream; both at least as long as was said."""
    with pytest.raises(error) as caught:
        accept(Response(status, headers, b""))
    assert caught.value.wait_s == wait
    if wait is not None:
        assert wait_after(caught.value, 1, interval_s=1.0, fraction=0.0) >= wait


def test_a_wait_of_nothing_is_no_haste() -> None:
    """Where a provider says 0, or a time that is over, the usual pause counts: failures in a row are never a busy loop."""
    assert wait_after(RateLimited(0.0), 8, interval_s=15.0, fraction=0.5) > 1
    assert wait_after(RateLimited(0.0), 1, interval_s=15.0, fraction=0.0) > 0


BODIES = [
    (200, "text/html; charset=utf-8", b"[]", b"[]"),
    (200, "text/html", b" [1]", b" [1]"),
    (200, "text/plain", b"[]", b"[]"),
    (200, "", b"[]", b"[]"),
    (201, "application/problem+json", b"{}", b"{}"),
    (204, "", b"", b"null"),
    (204, "text/html", b"ignored", b"null"),
]


@pytest.mark.parametrize(("status", "kind", "body", "read"), BODIES)
def test_what_an_answer_is_matters_more_than_what_it_is_called(status: int, kind: str, body: bytes, read: bytes) -> None:
    """JSON as a web page's type is JSON, and no content is an empty list."""
    assert accept(Response(status, {"content-type": kind}, body)) == read


@pytest.mark.parametrize("kind", ["text/html", "application/json", ""])
@pytest.mark.parametrize("body", [b"<html>", b" \n<!DOCTYPE html>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_no_answer(kind: str, body: bytes) -> None:
    """Whatever it is called."""
    with pytest.raises(Unreachable, match="web page"):
        accept(Response(200, {"content-type": kind}, body))


DATES = ["Mon, 21 Sep 2026 14:13:20 GMT", "Mon Sep 21 14:13:20 2026", "Mon, 21 Sep 2026 14:13:20 -0000", "Monday, 21-Sep-26 14:13:20 GMT",
         "Mon, 21 Sep 2026 14:13:20", "Mon, 21 Sep 2026 14:13:20 UTC", "Mon, 21 Sep 2026 23:13:20 +0900", "21 Sep 2026 14:13:20 Z"]  # fmt: skip


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Pacific/Chatham", "UTC"])
def test_dates_are_utc_whatever_zone_the_host_keeps(zone: str) -> None:
    """All forms of one date are one instant."""
    script = "import sys; from poller.times import http_date; print({http_date(text) for text in sys.argv[1:]})"
    told = subprocess.run(
        [sys.executable, "-c", script, *DATES], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str({1_790_000_000 * SECOND})


def test_deep_rungs_that_were_never_swept_are_reckoned_with() -> None:
    """Or the shallower ones would be read as often as planned, and a long first look-back would starve behind them."""
    demand = Demand(10.0)
    demand.swept("a", 1, 3.0, deep=True)
    assert demand.stretch == 1.0
    demand.expect("a", range(2, 5), 3.0)
    stretched = demand.stretch
    assert stretched == pytest.approx(12.0 / (10.0 * QUOTA_SHARE))
    demand.swept("a", 4, 1.0, deep=True)
    demand.expect("a", range(3, 5), 9.0)
    assert demand.stretch == pytest.approx(10.0 / (10.0 * QUOTA_SHARE))
    demand.forget("a")
    assert demand.stretch == 1.0
