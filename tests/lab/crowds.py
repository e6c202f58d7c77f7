"""What a crowd costs: ``python -m tests.lab.crowds`` prints the requests after more messages came in one second than a page holds.

The same messages over a few minutes, no two in one second, show what their ordinary re-readings, look-ups and hints cost: that is taken off. What is left is
what the crowd itself costs, beside the requests of the same time without it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
from dataclasses import replace
from typing import NamedTuple

import anyio

from poller.demo.simulator.profiles import FONE, HEYMARKET, PROPERTIES
from poller.demo.simulator.world import World
from poller.model import SECOND
from tests.lab.freshness import QUIET, RATE, Fresh, Run
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

MOST = 1.4
"""Requests after a crowd beside those without it, what its rows cost in any case taken off."""

AT_S, AFTER_S = 300.0, 1800.0
"""Seconds until the crowd comes, and for how long requests are counted from then on: three times the overlap."""

APART = SECOND
"""Between two of the same messages where they are no crowd."""


class Case(NamedTuple):
    """So many messages in one second, of one stream; or queued in one moment, and printed as they are sent, twenty a second."""

    provider: str
    rows: int
    interval_s: int
    broadcast: bool = False


class Cost(NamedTuple):
    """Requests after the crowd."""

    case: Case
    quiet: int
    """Without it."""
    apart: int
    """With its messages, but no two in one second."""
    crowd: int

    @property
    def ratio(self) -> float:
        """What the crowd adds by being one, and what is asked in any case, beside that."""
        return (self.quiet + self.crowd - self.apart) / self.quiet


class Crowded(Fresh):
    """One stream, to which a crowd comes once."""

    rows = 0
    apart = 0
    broadcast = False

    async def crowd(self, _: Story) -> None:
        """Its messages, drawn by chance of their own: the others are the same with them and without."""
        await anyio.sleep(AT_S)
        world, now = self.world, self.clock.now()
        world.advance(now)
        drawn, world._random = world._random, random.Random(1)
        [provider] = world.providers
        stream = PROPERTIES[0] if provider == FONE else "team"
        if self.broadcast:
            world.switches = replace(world.switches, broadcast_rows=self.rows, broadcast_per_s=20.0)
            world._broadcast(now, now)
        for number in range(0 if self.broadcast else self.rows):
            at = now + number * self.apart
            world._message(provider, at, at, backlog=False, stream=stream)
        world._random = drawn


def requests(case: Case, rows: int, apart: int) -> int:
    """After the crowd came, or would have come."""
    run = Run("quiet", case.provider, case.interval_s, "50/s" if case.interval_s < 15 else "300/min")
    story = Crowded(7, QUIET, crash_s=None, cluster=FakeCluster(1))
    story.set_up(run)
    story.world = World(
        7, START, QUIET, per_second=RATE * (2 if case.provider == FONE else 1), backlog=300, backlog_s=3000.0, providers=(case.provider,)
    )
    story.providers = type(story.providers)(story.world, 7)
    story.broadcast = case.broadcast and not apart
    story.rate, story.rows, story.apart, story.seconds, story.look_s = run.limit, rows, apart, AT_S + AFTER_S, 60.0
    story.play(story.crowd)  # type: ignore[arg-type]
    return sum(at >= START + AT_S * SECOND for at in story.sent)


def cost(case: Case) -> Cost:
    """All three."""
    return Cost(case, requests(case, 0, 0), requests(case, case.rows, APART), requests(case, case.rows, 0))


CASES = [
    *(Case(provider, rows, 15) for provider in (HEYMARKET, FONE) for rows in (160, 400, 1000)),
    *(Case(HEYMARKET, rows, 15, broadcast=True) for rows in (160, 400, 1000)),
]


def main() -> int:
    """Print the table; how many cost too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", default="")
    given = parser.parse_args()
    os.environ["PYTHONHASHSEED"] = "0"
    print("| provider | messages in one second | interval | requests without | apart | in one second | ratio |\n|" + " --- |" * 7)
    over = 0
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for each in pool.imap(cost, [case for case in CASES if given.provider in case.provider]):
            provider, rows, interval_s, broadcast = each.case
            print(
                f"| {provider} | {rows}{' in a broadcast' * broadcast} | {interval_s} s | {each.quiet} | {each.apart} | {each.crowd} | {each.ratio:.2f} |",
                flush=True,
            )
            over += each.ratio > MOST
    return over


if __name__ == "__main__":
    raise SystemExit(main())
