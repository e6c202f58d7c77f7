"""The provider's clock: believed when readings agree, and never so that a message is hidden or a window misses time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.model import DAY, HOUR, MINUTE, SECOND, Instant
from poller.polling.client.provider_clock import DOUBTED_MAX, JUMP, READINGS_MAX, RESOLUTION, SETTLED, SETTLED_OVER, ProviderClock
from poller.polling.client.vendor import tells_time
from poller.providers.contract import Response

NOW = 1_790_000_000 * SECOND
LIES = {"a day and two hours ahead": 26 * HOUR, "400 days ahead": 400 * DAY, "year 9999": 253_402_300_799 * SECOND - NOW, "1970": -NOW,
        "a day and two hours behind": -26 * HOUR, "400 days behind": -400 * DAY, "three minutes ahead": 3 * MINUTE}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_only_the_first_date_is_wrong(lie: Instant) -> None:
    """A floor is reckoned by our clock, windows by the earlier one, and the next right answer ends the doubt."""
    clock = ProviderClock()
    clock.observe(NOW + lie, NOW)
    assert (clock.origin(NOW), clock.known, clock.undecided) == (NOW - RESOLUTION, False, True)
    assert clock.earliest(NOW) <= min(NOW, NOW + lie)
    clock.observe(NOW + SECOND, NOW + SECOND)
    assert (clock.origin(NOW), clock.known, clock.undecided, clock.offset) == (NOW - RESOLUTION, True, False, 0)
    assert clock.earliest(NOW) == NOW - RESOLUTION


@pytest.mark.parametrize("offset", LIES.values(), ids=list(LIES))
def test_a_clock_that_differs_from_the_first_answer_on_is_believed_when_answers_agree(offset: Instant) -> None:
    """For a floor after three of them, and then only where it is behind ours; for windows after two minutes more."""
    clock = ProviderClock()
    for second in range(SETTLED):
        assert not clock.known
        assert clock.origin(NOW) == NOW - RESOLUTION
        clock.observe(NOW + second * SECOND + offset, NOW + second * SECOND)
    assert not clock.undecided
    assert clock.origin(NOW) == NOW + min(0, offset) - RESOLUTION
    assert clock.earliest(NOW) <= min(NOW, NOW + offset)
    clock.observe(NOW + SETTLED_OVER + offset, NOW + SETTLED_OVER)
    assert (clock.known, clock.offset) == (True, offset)
    assert clock.origin(NOW) == NOW + min(0, offset) - RESOLUTION


def test_clocks_that_never_agree_keep_a_stream_from_beginning_only_so_long() -> None:
    """Then ours counts."""
    clock = ProviderClock()
    for number in range(READINGS_MAX):
        assert clock.undecided == (number > 0)
        clock.observe(NOW + (number + 1) * HOUR, NOW)
    assert not clock.undecided
    assert clock.origin(NOW) == NOW - RESOLUTION


READINGS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 90, -90, 300, -300, 7200, -7200, -NOW // SECOND, 400 * 86400]) | st.integers(-(10**9), 10**9),
        st.integers(0, 90),
    ),
    max_size=40,
)


@given(READINGS)
def test_whatever_a_clock_says_a_floor_is_not_ahead_of_ours_and_windows_are_in_order(readings: list[tuple[int, int]]) -> None:
    """Clocks that jump, run fast, lie at first or at last: the floor, the earliest and the latest reading keep their order."""
    clock, at = ProviderClock(), NOW
    for offset_s, later_s in readings:
        at += later_s * SECOND
        clock.observe(at + offset_s * SECOND, at)
        assert clock.origin(at) <= at
        assert clock.earliest(at) < clock.latest(at)
        assert clock.earliest(at) <= at + offset_s * SECOND + RESOLUTION or abs(offset_s * SECOND - clock.offset) <= JUMP
        assert clock.error >= 0


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.tuples(*[st.integers(-600, 600)] * 3))
def test_hosts_behind_a_balancer_never_hide_time(order: list[int], hosts: tuple[int, int, int]) -> None:
    """The earliest reading is never later than what the host that answered last, or every host that agrees with ours, says."""
    clock, at = ProviderClock(), NOW
    for host in order:
        at += 15 * SECOND
        clock.observe(at + hosts[host] * SECOND, at)
        assert clock.earliest(at) <= at + hosts[host] * SECOND


@given(st.integers(0, 100), st.integers(1, 500))
def test_a_clock_that_runs_fast_is_followed(fast_percent: int, answers: int) -> None:
    """However fast it runs, an answer every few seconds keeps the reading within one jump of it."""
    clock = ProviderClock()
    for number in range(answers):
        at = NOW + number * 10 * SECOND
        theirs = at + number * 10 * SECOND * fast_percent // 100
        clock.observe(theirs, at)
        assert abs(clock.earliest(at) - theirs) <= JUMP + RESOLUTION


def test_a_new_stream_floor_follows_readings_that_agree_behind_ours() -> None:
    """A provider five hours behind ours does not hide the last hour of a stream that begins an hour ago."""
    clock = ProviderClock()
    for second in range(SETTLED):
        clock.observe(NOW - 5 * HOUR + second * SECOND, NOW + second * SECOND)
    assert clock.origin(NOW) - HOUR <= NOW - 6 * HOUR


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (200, {}, b"[]", True),
        (204, {}, b"", True),
        (401, {}, b"{}", True),
        (200, {"age": "0"}, b"[]", True),
        (200, {"age": "3600"}, b"[]", False),
        (200, {}, b"<html>", False),
        (401, {}, b" <html>", False),
        (500, {}, b"{}", False),
        (503, {}, b"", False),
        (429, {}, b"{}", False),
        (302, {}, b"", False),
        (407, {}, b"", False),
    ],
)
def test_only_usable_answers_tell_the_time(status: int, headers: dict[str, str], body: bytes, told: bool) -> None:
    """An error page's or a cache's date teaches nothing."""
    assert tells_time(Response(status, headers, body)) == told


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_signature_that_was_refused_is_made_again_by_the_time_that_the_refusal_said(lie: Instant) -> None:
    """Long before a clock is believed: a token that is signed by ours would be refused for minutes."""
    clock = ProviderClock()
    clock.observe(NOW + lie, NOW)
    assert abs(clock.heard(NOW + SECOND) - (NOW + lie)) <= 2 * SECOND


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


DATES = ["Mon, 21 Sep 2026 14:13:20 GMT", "Mon Sep 21 14:13:20 2026", "Mon, 21 Sep 2026 14:13:20 -0000", "Monday, 21-Sep-26 14:13:20 GMT",
         "Mon, 21 Sep 2026 14:13:20", "Mon, 21 Sep 2026 14:13:20 UTC", "Mon, 21 Sep 2026 23:13:20 +0900", "21 Sep 2026 14:13:20 Z"]  # fmt: skip


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Tokyo", "Pacific/Chatham", "UTC", "Pacific/Kiritimati", "Asia/Kathmandu", "<-0330>3:30", "no/zone"]
)
def test_dates_are_utc_whatever_zone_the_host_keeps(zone: str) -> None:
    """All forms of one date are one instant."""
    script = "import sys; from poller.times import http_date; print({http_date(text) for text in sys.argv[1:]})"
    told = subprocess.run(
        [sys.executable, "-c", script, *DATES], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str({1_790_000_000 * SECOND})


@pytest.mark.parametrize("per_second", [0.01, 0.1, 0.9, 2, 10, 50, 1_000])
def test_a_clock_that_was_set_is_believed_however_often_it_is_read(per_second: float) -> None:
    """After two minutes of agreement, be there three readings in them or a hundred thousand; and few are remembered."""
    clock, step = ProviderClock(), round(SECOND / per_second)
    clock.observe(NOW, NOW)
    at = NOW
    for _ in range(2 + SETTLED + SETTLED_OVER // step):
        at += step
        clock.observe(at + 5 * MINUTE, at)
    assert clock.offset == 5 * MINUTE
    assert clock.earliest(at) == at + 5 * MINUTE - RESOLUTION


def test_readings_that_never_agree_are_remembered_within_a_bound() -> None:
    """A clock that says anything is doubted for ever, and what is remembered of it stays small."""
    clock = ProviderClock()
    for number in range(1, 5_000):
        clock.observe(NOW + number * HOUR, NOW + number * SECOND)
    assert not clock.known
    assert len(clock._doubted) <= DOUBTED_MAX
