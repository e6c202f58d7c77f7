"""Requests that a message costs, for each vendor and page size: ``python -m tests.lab.requests_per_message``. On virtual time.

An account sends a message a second for ten minutes, with the defaults but for what shortens a history: interval 15 s, overlap two minutes,
a look-back of an hour. What is counted is all that the simulated vendor was asked: sweeps, look-ups, side queries.
"""

from __future__ import annotations

import sys

from poller.demo.simulator.profiles import EVERY_PROVIDER, PLIVO, STUUT, TELNYX, TWILIO
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from tests.support.story import START, Story

SIZES = (20, 50, 200, 1000)
LARGEST = {PLIVO: 20, TELNYX: 50, TWILIO: 1000}
"""The longest page that a vendor allows, where it is one of these; others are asked for what the simulated limit is."""
DEFAULTS = "interval: 15s, overlap: 2m, reconcile: {every: 15m, back: 1h}, status_horizon: 1h, timeout: 5s"


def cost(provider: str, size: int, seconds: float) -> tuple[float, float]:
    """Requests a message, and rows listed a message."""
    switches = Switches(limit_max=size, late=0.0)
    story = Story(1, switches=switches, crash_s=None, seconds=seconds, settle_s=60.0)
    story.defaults = DEFAULTS
    story.world = World(1, START, switches, per_second=1.0, backlog=0, providers=(provider,))
    story.providers = Providers(story.world, 1)
    verdict = story.play()
    assert verdict.good, verdict
    return story.providers.requests[provider] / verdict.messages_expected, story.providers.rows[provider] / verdict.messages_expected


def main() -> None:
    """The table, as docs/trials.md has it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    print("| provider | " + " | ".join(f"pages of {size}" for size in SIZES) + " |")
    print("|" + " --- |" * (len(SIZES) + 1))
    for provider in EVERY_PROVIDER:
        sizes = [size for size in SIZES if size <= LARGEST.get(provider, 1000)]
        told = ["{:.2f} ({:.0f} rows)".format(*cost(provider, size, seconds)) for size in (sizes[:1] if provider == STUUT else sizes)]
        print(f"| {provider} | " + " | ".join([*told, *[""] * (len(SIZES) - len(told))]) + " |", flush=True)


if __name__ == "__main__":
    main()
