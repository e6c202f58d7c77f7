"""Hostile bytes: only typed errors, dead letters or messages, never another exception."""

from __future__ import annotations

import pytest

from poller.providers.registry import BUILT_IN
from tests.lab.fuzz import fuzz


@pytest.mark.parametrize("provider", BUILT_IN)
def test_four_thousand_mutated_pages(provider: str) -> None:
    """Whatever the bytes, the provider answers with values or with a typed error, and both kinds do occur."""
    found = fuzz(provider, 4000, 7)
    assert found["errors"] > 100
    assert found["messages"] > 100
    assert found["dead letters"] > 10
