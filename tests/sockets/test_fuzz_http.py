"""Mutated HTTP answers over real sockets: only errors of ours, dead letters and messages, and the client goes on."""

from __future__ import annotations

import pytest

from poller.providers.registry import BUILT_IN
from tests.lab.fuzz_http import fuzz_http


@pytest.mark.parametrize("provider", list(BUILT_IN))
def test_two_hundred_mutated_answers(provider: str) -> None:
    """Whatever a server sends, it is a page, a dead letter or a typed error, and each kind does occur."""
    found = fuzz_http(provider, 200, 7)
    assert found["errors"] > 20
    assert found["pages"] > 20
    assert found["rows"] > 20
