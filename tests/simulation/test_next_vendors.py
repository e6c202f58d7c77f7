"""Twilio, Telnyx and Plivo: every message and status is published once, whichever way their documents are read."""

from __future__ import annotations

from typing import Any

import pytest

from poller.demo.simulator.profiles import PLIVO, TELNYX, TWILIO
from poller.demo.simulator.switches import HOSTILE, Switches
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from tests.support.story import START, Story

NEWS = {"scheduled": 0.3, "scheduled_s": 30.0, "edits": 0.2, "channels": 0.3, "media": 0.2, "price_s": 5.0, "late": 0.3}
"""What happens to a message beside its statuses."""


def played(provider: str, switches: Switches, *, crash_s: float | None = None, seed: int = 1, seconds: float = 40.0) -> Story:
    """A history of one vendor, which must be right."""
    story = Story(seed, switches=switches, crash_s=crash_s, seconds=seconds)
    story.world = World(seed, START, switches, per_second=2.0, providers=(provider,))
    story.providers = Providers(story.world, seed)
    verdict = story.play()
    assert verdict.good, verdict
    assert verdict.messages_expected > 100
    return story


@pytest.mark.parametrize("granularity", ["second", "day"])
@pytest.mark.parametrize("unsent", ["first", "last", "hidden"])
def test_twilio_is_complete_under_each_reading_of_its_filters(unsent: Any, granularity: Any) -> None:
    """Wherever messages without a time of sending are listed, and whatever filters are cut off to (A, B); texts are redacted, prices come later."""
    played(TWILIO, Switches(unsent=unsent, granularity=granularity, **NEWS))


def test_twilio_is_complete_over_links_that_break() -> None:
    """Refused tokens, empty pages with links, and many small pages (E)."""
    played(TWILIO, Switches(forgotten=0.05, empty_pages=0.2, limit_max=20, **NEWS), crash_s=15.0)


@pytest.mark.parametrize("unfinished", ["null", "hidden"])
def test_telnyx_is_complete_with_and_without_unfinished_records(unfinished: Any) -> None:
    """A record may be listed before it has a status, or only then (B)."""
    played(TELNYX, Switches(unfinished=unfinished, shouted=True, late=0.3, limit_max=20))


@pytest.mark.parametrize("links", ["offset", "cursor"])
def test_plivo_is_complete_over_either_kind_of_link(links: Any) -> None:
    """Rows vanish and return while pages of twenty are read; cursors are refused (A, D)."""
    played(PLIVO, Switches(links=links, forgotten=0.1, late=0.3, vanish=0.05, vanish_s=5.0), crash_s=15.0)


@pytest.mark.parametrize("provider", [TWILIO, TELNYX, PLIVO])
def test_a_hostile_vendor_loses_and_doubles_nothing(provider: str) -> None:
    """Everything at once, with crashes."""
    played(provider, HOSTILE, crash_s=8.0, seed=2, seconds=60.0)
