"""Who stops for what: the table of the errors, and what the waits make of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from poller.errors import AccountTrouble, PollerError, ProviderError, RateLimited
from poller.polling.backoff import Backoffs


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
