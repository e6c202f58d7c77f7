"""Who stops for what: the table of the errors, and what the waits make of it."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.coverage import ladder
from poller.errors import (
    AccountTrouble,
    BadPage,
    CursorIgnored,
    PollerError,
    ProviderError,
    RateLimited,
    StreamGone,
    Unauthorized,
    Unreachable,
)
from poller.model import DAY, HOUR, MINUTE, SECOND, Stream
from poller.polling.backoff import Backoffs, wait_of_walk
from poller.polling.client.credentials import Credentials
from poller.polling.failures import Failures
from poller.polling.jobs import Edge, Job
from poller.polling.page import page_of
from poller.polling.streams import Progress, StreamPoll
from poller.providers.contract import Request, Response, Window
from poller.providers.registry import BUILT_IN, provider_of

NOW = 1_790_000_000 * SECOND
LADDER = ladder.build(interval=15 * MINUTE, overlap=HOUR, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY)


def every(root: type[PollerError]) -> list[type[PollerError]]:
    """An error and all below it."""
    return [root, *(found for each in root.__subclasses__() if each.__module__ == "poller.errors" for found in every(each))]


@pytest.mark.parametrize("error", every(PollerError), ids=lambda each: each.__name__)
def test_every_error_says_who_stops(error: type[PollerError]) -> None:
    """In its own words, not in those of the error above it."""
    assert "stops" in vars(error)
    assert error.stops.split()[0] in ("the", "one", "nobody:", "as")


@pytest.mark.parametrize("error", every(ProviderError), ids=lambda each: each.__name__)
def test_a_provider_stops_a_stream_or_its_account_as_the_table_says(error: type[ProviderError]) -> None:
    """And the wait is bounded by an hour."""
    kept: list[str] = []
    state: Any = SimpleNamespace(waits=lambda _: None, keep_waits=lambda *_: kept.append("account"), cursor=lambda _: None)
    clock: Any = SimpleNamespace(now=lambda: 0, monotonic=lambda: 0.0)
    backoffs = Backoffs(state, "stuut/a", clock, 15.0)
    made = error(1e9) if error is RateLimited else error()  # type: ignore[arg-type]
    _, wait = backoffs.failed("stuut/a/s", made)
    assert 0 < wait <= 3600
    assert (backoffs.account is not None) == issubclass(error, AccountTrouble) == error.stops.startswith("the account")
    assert (backoffs.of("stuut/a/s") is not None) == (not issubclass(error, AccountTrouble))


THROWN: list[BaseException] = [
    KeyError("x"), IndexError("x"), TypeError("x"), ValueError("x"), AttributeError("x"), AssertionError("x"), RecursionError("x"), ZeroDivisionError("x"),
    OverflowError("x"), MemoryError("x"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
    json.JSONDecodeError("x", "y", 0), msgspec.DecodeError("x"), msgspec.ValidationError("x"), StopIteration("x"), re.error("x"), NotImplementedError("x"),
]  # fmt: skip


@pytest.mark.parametrize("thrown", THROWN, ids=lambda each: type(each).__name__)
def test_a_page_that_a_providers_code_falls_over_waits_with_its_stream(thrown: BaseException) -> None:
    """Whatever it throws, and nothing of the page is in the error."""

    def read(*_: object) -> Any:
        raise thrown

    request, response = Request("GET", "/x"), Response(200, {}, b"[]")
    with pytest.raises(BadPage, match=type(thrown).__name__):
        page_of(read, request, response)
    provider: Any = SimpleNamespace(read_token=read, authenticate=read)
    with pytest.raises(Unauthorized, match=type(thrown).__name__):
        Credentials(provider, {}).issued(response, 0)
    with pytest.raises(Unauthorized, match=type(thrown).__name__):
        Credentials(provider, {}).current(0)


@pytest.mark.parametrize("error", every(ProviderError), ids=lambda each: each.__name__)
def test_what_a_provider_says_is_believed(error: type[ProviderError]) -> None:
    """A typed error goes through as it is."""

    def read(*_: object) -> Any:
        raise error()

    with pytest.raises(error) as caught:
        page_of(read, Request("GET", "/x"), Response(200, {}, b"[]"))
    assert type(caught.value) is error


ODD = (b"", b"<html>", b"[", b"1", b'"text"')
"""Bodies that are no page of any vendor."""


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_answer_that_cannot_be_read_says_its_http_status(name: str) -> None:
    """Also where it came with a 200: the page and the log then say that the vendor said yes with something that is none."""
    provider = provider_of(name)
    request = provider.first_page(Stream(name, "a", "s"), Window(0, SECOND, SECOND), None)
    for body in ODD:
        with pytest.raises(ProviderError) as caught:
            page_of(provider.read_page, request, Response(200, {}, body))
        assert caught.value.code == 200, body
    with pytest.raises(ProviderError) as caught:
        page_of(provider.read_page, request, Response(503, {}, b""))
    assert caught.value.code == 503


def test_a_token_that_cannot_be_read_says_its_http_status() -> None:
    """A request for a token is answered like any other."""

    def read(*_: object) -> Any:
        raise Unauthorized("no token is issued for these credentials")

    provider: Any = SimpleNamespace(read_token=read)
    with pytest.raises(Unauthorized) as caught:
        Credentials(provider, {}).issued(Response(400, {}, b"{}"), 0)
    assert caught.value.code == 400


@given(bad=st.integers(0, 9), error=st.sampled_from([BadPage, StreamGone, CursorIgnored]))
def test_a_walk_that_comes_to_the_same_bad_page_waits_ever_longer(bad: int, error: type[ProviderError]) -> None:
    """Also where it begins anew, and the pages before that one are answered well; once it came past that one, it is tried again at once."""
    progress, waits = Progress(), list[float]()
    for _ in range(8):
        for page in range(bad):
            progress.gets_on(page, ended=False)
        progress.answered_badly(error(), bad, NOW, None)
        waits.append(wait_of_walk(error(), progress.failures, interval_s=15.0))
    assert all(later > earlier for earlier, later in pairwise(waits))
    progress.gets_on(bad, ended=False)
    assert progress.failures == 0
    assert wait_of_walk(BadPage(), 1, interval_s=15.0) < 1


@pytest.mark.parametrize(("error", "most"), [(BadPage, 3), (StreamGone, 3), (Unreachable, 6)])
def test_an_outage_ends_no_sweep(error: type[ProviderError], most: int) -> None:
    """What is not answered counts only where the stream was answered meanwhile; a page that is refused is begun anew soon."""
    out, well = Progress(), Progress()
    ended = [out.answered_badly(error(), 7, NOW + number, NOW - 1) for number in range(20)]
    assert any(ended) == (error is not Unreachable)
    ended = [well.answered_badly(error(), 7, NOW + 2 * number, NOW + 2 * number - 1) for number in range(most)]
    assert ended == [False] * (most - 1) + [True]
    assert not Progress().answered_badly(RateLimited(5.0), 7, NOW, NOW + 1)


def test_a_page_that_failed_before_does_not_forget_a_later_one() -> None:
    """One 503 at the beginning of a sweep says nothing of the page at which it stands."""
    progress = Progress()
    for _ in range(5):
        progress.answered_badly(BadPage(), 7, NOW, NOW)
    progress.answered_badly(Unreachable(), 0, NOW, NOW)
    assert progress.failures == 1
    progress.gets_on(0, ended=False)
    progress.answered_badly(BadPage(), 7, NOW, NOW)
    assert progress.failures == 6


def test_a_walk_that_fails_here_and_there_does_not_wait_longer_and_longer() -> None:
    """By chance, at another page each time, as a cursor that is not honoured now and then: it would never come to its end."""
    progress, rng = Progress(), random.Random(1)
    for _ in range(200):
        bad = rng.randrange(50)
        for page in range(bad):
            progress.gets_on(page, ended=False)
        progress.answered_badly(CursorIgnored(), bad, NOW, NOW)
        assert progress.failures < 20
    progress.gets_on(3, ended=True)
    assert (progress.failures, progress.bad_pages) == (0, {})


def test_a_look_at_the_newest_begins_anew_only_where_it_fails_twice() -> None:
    """Most of what fails once fails by chance: a look that began anew each time would seldom come to its second page."""
    begun: list[Job] = []
    told: Any = SimpleNamespace(trouble=lambda *_: None)
    clock: Any = SimpleNamespace(now=lambda: NOW, monotonic=lambda: 0.0)
    sweeps: Any = SimpleNamespace(begin_anew=lambda _, job: begun.append(job))
    client: Any = SimpleNamespace(by_time=True)
    settings: Any = SimpleNamespace(interval_s=900.0)
    backoffs: Any = None
    failures = Failures(settings, client, sweeps, backoffs, told, clock)
    poll, waits = StreamPoll(Stream("stuut", "c", "t"), LADDER), list[float]()
    for _ in range(2):
        poll.of(Edge()).failed(3)
        waits.append(failures.of_walk(poll, Edge(), Unreachable()))
        assert len(begun) == len(waits) - 1
    assert waits == [0.1, 2.0]


def test_a_walk_waits_as_long_as_its_provider_says() -> None:
    """At least, and within an hour; what is soon over is tried within ten intervals, however often it failed."""
    told = Unreachable("the provider answered 502", wait_s=120.0)
    assert wait_of_walk(told, 1, interval_s=15.0) == 120.0
    assert wait_of_walk(told, 3, interval_s=15.0, most_s=15.0) == 120.0
    assert wait_of_walk(Unreachable("x", wait_s=1e9), 1, interval_s=15.0) == 3600.0
    assert wait_of_walk(Unreachable(), 30, interval_s=15.0) == 150.0
    assert wait_of_walk(BadPage(), 30, interval_s=15.0) == 3600.0
    assert wait_of_walk(BadPage(), 30, interval_s=15.0, most_s=15.0) == 15.0


def test_a_walk_that_ends_before_its_bad_page_owes_nothing() -> None:
    """Its list became shorter."""
    progress = Progress(failures=3, bad_pages={7: 3})
    progress.gets_on(2, ended=True)
    assert (progress.failures, progress.bad_pages) == (0, {})
