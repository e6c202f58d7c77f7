"""What ``poller check --online`` asks is what polling asks: a call that polling does not make proves nothing, or fails by itself."""

from __future__ import annotations

import pytest

from poller.model import DAY, SECOND, Instant, Stream
from poller.providers.contract import Window
from poller.providers.registry import BUILT_IN, provider_of

NOW: Instant = 1_790_000_000 * SECOND


@pytest.mark.parametrize("stream", ["s1", "a b", "\u00e4/1"])
@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_check_asks_what_polling_asks(name: str, stream: str) -> None:
    """The same call of the same stream, with the same filters and no other, and less of it."""
    provider, of = provider_of(name), Stream(name, "a", stream)
    asked, polled = provider.probe(of, NOW), provider.first_page(of, Window(NOW - DAY, NOW, NOW), None)
    assert (asked.method, asked.path, asked.link) == (polled.method, polled.path, polled.link)
    assert {key.lower() for key, _ in asked.query} <= {key.lower() for key, _ in polled.query}
