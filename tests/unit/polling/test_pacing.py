"""Pacing: never over a limit, never without end, and the provider's clock never loses time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import BadPage, RateLimited, StreamGone, Unauthorized, Unreachable
from poller.model import HOUR, MINUTE, SECOND
from poller.polling.backoff import wait_after
from poller.polling.client.provider_clock import ProviderClock
from poller.polling.client.rate_limit import Go, RateLimiter, Wait
from poller.polling.demand import QUOTA_SHARE, Demand
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
        ({}, None),
    ],
)
def test_retry_after_in_both_forms(headers: dict[str, str], wait: float | None) -> None:
    """Seconds, or a date against the answer's own Date; nonsense is as if nothing was said."""
    assert retry_after(Response(429, headers, b"")) == wait


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
