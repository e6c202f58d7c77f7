"""Hostile bytes: only typed errors, dead letters or messages, never another exception."""

from __future__ import annotations

import pytest

from poller.providers.registry import BUILT_IN
from tests.lab.fuzz import fuzz
from tests.lab.fuzz_rows import fuzz_rows


@pytest.mark.parametrize("provider", BUILT_IN)
def test_four_thousand_mutated_pages(provider: str) -> None:
    """Whatever the bytes, the provider answers with values or with a typed error, and both kinds do occur."""
    found = fuzz(provider, 4000, 7)
    assert found["errors"] > 100
    assert found["messages"] > 100
    assert found["dead letters"] > 10


@pytest.mark.parametrize("provider", BUILT_IN)
def test_both_readers_see_the_same_message(provider: str) -> None:
    """A row that is read as a usual one is what the tolerant reader sees in it, to the byte; most are usual ones, and many are not."""
    found = fuzz_rows(provider, 2000, 7)
    assert 400 < found["usual"] < 1600
    assert found["messages"] > found["usual"]
