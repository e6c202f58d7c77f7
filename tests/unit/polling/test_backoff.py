"""Trouble is waited for, never without end, and each kind by the one who has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import BadPage, ProviderError, RateLimited, StreamGone, Unauthorized, Unreachable
from poller.polling.backoff import wait_after
from poller.providers.contract import Response
from poller.providers.kit.answers import accept


@given(st.integers(1, 60), st.floats(0, 0.999), st.floats(0.1, 3600))
def test_troubles_end(failures: int, fraction: float, interval: float) -> None:
    """Each kind of trouble is tried again within its cap."""
    cap = min(300.0, max(10.0, 10 * interval))
    assert 0 < wait_after(Unreachable(), failures, interval_s=interval, fraction=fraction) <= cap
    for error in (Unauthorized(), StreamGone(), BadPage()):
        assert 0 < wait_after(error, failures, interval_s=interval, fraction=fraction) <= 3600
    assert wait_after(RateLimited(17.0), failures, interval_s=interval, fraction=fraction) == 17.0
    assert wait_after(RateLimited(1e9), failures, interval_s=interval, fraction=fraction) == 3600


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
