"""What filters by the time of sending may hide at Twilio: it is re-read unfiltered, however long nobody polled."""

from __future__ import annotations

import pytest

from poller.model import DAY, HOUR, Instant, Stream
from poller.providers.contract import View
from poller.providers.twilio.provider import Reread, Twilio
from poller.providers.twilio.walk import Learned, Walk

STREAM = Stream("twilio", "us", "account")
NOW: Instant = 1_790_000_000_000_000
DEPTH: Instant = 7 * DAY


@pytest.mark.parametrize(
    ("floor", "last", "since"),
    [
        (NOW - 30 * DAY, None, NOW - 30 * DAY),
        (NOW - 30 * DAY, NOW - HOUR, NOW - HOUR - DEPTH),
        (NOW - 30 * DAY, NOW - 9 * DAY, NOW - 16 * DAY),
        (NOW - 5 * DAY, NOW - HOUR, NOW - 5 * DAY),
        (NOW - 30 * DAY, NOW + DAY, NOW - DEPTH),
    ],
    ids=[
        "the first time all of it",
        "the look-back",
        "an outage before the look-back",
        "no deeper than the floor",
        "clocks that went back",
    ],
)
def test_what_filters_may_hide_is_read_back_to_a_look_back_before_the_last_time(
    floor: Instant, last: Instant | None, since: Instant
) -> None:
    """A message that failed in an outage without being sent is listed by no filter, and only then."""
    remembered = None if last is None else Reread(last)
    request = Twilio().side_queries[1].begin(STREAM, View(NOW, floor, DEPTH, 6 * HOUR, remembered, Learned()))
    assert request is not None
    assert isinstance(request.continuation, Walk)
    assert (request.continuation.since, request.query) == (since, (("PageSize", "1000"),))
