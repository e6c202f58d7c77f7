"""How late new messages are, case by case: ``python -m tests.lab.freshness`` prints the table of docs/trials.md.

Whole workers on virtual time against one simulated provider each; a message's freshness is the time from when it could be
listed to when the answer that listed it had arrived. A case that breaks the law (a new message is read within one
interval and two pages of the time its request could be sent; docs/laws.md) is marked, and the exit code says how many there were.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from dataclasses import replace
from typing import NamedTuple

from poller.demo.simulator.profiles import FONE, HEYMARKET, PROPERTIES
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import World
from poller.model import SECOND, Instant
from tests.support.fake_kafka import FakeCluster
from tests.support.first_seen import Held, Span, Terms, new, observed, waits
from tests.support.story import START, Story
from tests.support.straight import Sent

QUIET = Switches(late=0.0, ties=0.0, classify_later=0.0, status_s=60.0)
CASES: dict[str, Switches] = {
    "quiet": QUIET,
    "faults 10 %": replace(QUIET, **dict.fromkeys(("errors", "resets", "cut"), 0.03)),
    "latency 400 ms": replace(QUIET, latency_s=0.4),
    "cap 30": replace(QUIET, limit_max=30),
    "crowds of 160": replace(QUIET, ties=0.01, tie_rows=160),
    "crowds of 160, shuffled, faults": replace(QUIET, ties=0.01, tie_rows=160, order="shuffled", **dict.fromkeys(("errors", "cut"), 0.05)),
    "crowds in 5 seconds": replace(QUIET, ties=0.004, tie_rows=160, crowd_seconds=5),
    "late rows": replace(QUIET, late=0.3, late_s=60.0),
    "broadcast of 300": replace(QUIET, broadcasts=0.004),
    "broadcast of 2000": replace(QUIET, broadcasts=0.002, broadcast_rows=2000, broadcast_per_s=20.0),
    "backlog of a day": QUIET,
}
LIMITS = {HEYMARKET: ("120/min", "400/min"), FONE: ("60/min", "300/min")}
INTERVALS = (1, 15)
SECONDS = 900.0
QUIETNESS = 28.0
"""Look-back over its period, as the defaults have it."""
RATE = 0.5
"""New messages a second, of the one stream that is polled."""


class Run(NamedTuple):
    """One case of one provider."""

    case: str
    provider: str
    interval_s: int
    limit: str

    @property
    def spacing_s(self) -> float:
        """Seconds between two requests of the limit."""
        return 60.0 / int(self.limit.partition("/")[0])


class Found(NamedTuple):
    """What became of it; seconds, but for the numbers of messages, requests, and those that came later than the law says."""

    run: Run
    messages: int
    unseen: int
    p50: float
    p95: float
    worst: float
    over: int
    requests: int


class Fresh(Story):
    """One provider, one stream that is asked; nothing of it is judged but when it was seen."""

    def set_up(self, run: Run) -> None:
        """Its world and its configuration."""
        switches = CASES[run.case]
        day = run.case.startswith("backlog")
        self.world = World(
            self.seed, START, switches, per_second=RATE * (2 if run.provider == FONE else 1), backlog=20_000 if day else 300, backlog_s=86_000.0 if day else 3000.0,
            providers=(run.provider,),
        )  # fmt: skip
        self.providers = type(self.providers)(self.world, self.seed)
        self.defaults, self.rate = f"interval: {run.interval_s}s, overlap: 10m", run.limit
        self.start_from, self.seconds = "24h", SECONDS
        self.sent: list[Instant] = []
        self.held: dict[str, list[Span]] = {}

    def telemetry(self) -> Held:
        """That hears what waits."""
        told = Held(version="story", level=self.level, clock=self.clock)
        told.story, told.held = self, self.held
        return told

    def configured(self) -> str:
        """One property, and the run's limit for every account."""
        return super().configured().replace(", ".join(PROPERTIES), PROPERTIES[0]).replace("50/s", self.rate)

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        self.sent.append(self.clock.now())
        return await super()._answer(asked, name)

    async def _settle(self) -> None:
        """Nothing is waited for."""


def fresh(run: Run) -> Found:
    """Play it; how late each message was that could be listed between the first minute and the last."""
    story = Fresh(7, CASES[run.case], crash_s=None, cluster=FakeCluster(1))
    story.set_up(run)
    story.look_s = 60.0
    story.play()
    return judged(story, run, story.held)


def judged(story: Story, run: Run, held: dict[str, list[Span]]) -> Found:
    """What became of a case that was played. ``held``: see :func:`tests.support.first_seen.waits`."""
    terms = Terms(run.interval_s, max(run.spacing_s, CASES[run.case].latency_s, 0.2), QUIETNESS)
    ends = START + round((SECONDS - 60) * SECOND)
    found = waits(story.world, story.published(), terms, lives=[(START + 60 * SECOND, ends)], held=held)
    polled = {
        sms.id
        for sms in new(story.world, START + 60 * SECOND, ends - round(2 * terms.interval_s) * SECOND)
        if sms.stream in ("team", PROPERTIES[0])
    }
    unseen = len(polled - observed(story.published()).keys())
    delays = sorted(wait.unexcused for wait in found)
    part = [delays[min(len(delays) - 1, int(len(delays) * q))] for q in (0.5, 0.95)] if delays else [float("inf")] * 2
    worst = delays[-1] if delays else float("inf")
    return Found(
        run, len(delays), unseen, *part, worst, sum(wait.ratio > 1 for wait in found) + unseen, sum(story.providers.requests.values())
    )


class Reading(NamedTuple):
    """How a backlog was read."""

    messages: int
    read: int
    seconds: float
    """Until all of it was."""
    requests: int
    """Until then."""
    refused: int
    late: int
    """New messages that waited longer than the law says, meanwhile and after."""
    worst: float
    """The longest that one waited, seconds."""

    @property
    def share(self) -> float:
        """Of what the limit allows."""
        return self.requests / self.seconds * 60 / PER_MIN


PER_MIN, BACKLOG_ROWS = 400, 60_000
"""The limit of an account whose backlog is read, requests a minute, above which the vendor refuses; and how long the backlog is."""


def reading(rows: int = BACKLOG_ROWS, *, seconds: float = SECONDS) -> Reading:
    """A backlog of a day at Heymarket, whose answers take 400 ms: how near to the limit it is read, and what new messages wait."""
    run = Run("latency 400 ms", HEYMARKET, 15, f"{PER_MIN}/min")
    switches = replace(CASES[run.case], allowed_per_min=PER_MIN)
    story = Fresh(7, switches, crash_s=None, cluster=FakeCluster(1))
    story.set_up(run)
    story.world = World(7, START, switches, per_second=RATE, backlog=rows, backlog_s=86_000.0, providers=(HEYMARKET,))
    story.providers, story.look_s, story.seconds = type(story.providers)(story.world, 7), 60.0, seconds
    story.play()
    events = story.published()
    seen, old = observed(events), [sms.id for sms in story.world.all() if sms.created < START]
    read = [seen[id_] for id_ in old if id_ in seen]
    terms, ends = Terms(run.interval_s, 0.4, QUIETNESS), START + round((seconds - 1) * SECOND)
    found = waits(story.world, events, terms, lives=[(START + 10 * SECOND, ends)], held=story.held)
    took, asked = (max(read) - START) / SECOND, sum(at <= max(read) for at in story.sent)
    refused, late = sum(story.providers.refused.values()), sum(wait.ratio > 1 for wait in found)
    return Reading(len(old), len(read), took, asked, refused, late, max(wait.unexcused for wait in found))


def read_backlog() -> int:
    """Print how it went; how much of it is not as it must be."""
    found = reading()
    print(
        f"{found.read} of {found.messages} messages of a backlog read within {found.seconds:.0f} s: {found.share:.0%} of {PER_MIN} requests a minute, "
        f"{found.refused} refused; a new message waited {found.worst:.1f} s at most, {found.late} too long"
    )
    return found.messages - found.read + found.refused + found.late + (found.share < 0.8)


def table(found: list[Found]) -> str:
    """As docs/trials.md has it."""
    lines = ["| case | provider | interval | limit | new | unseen | p50 | p95 | max | too late | requests/min |", "|" + " --- |" * 11]
    for each in found:
        run = each.run
        lines.append(
            f"| {run.case} | {run.provider} | {run.interval_s} s | {run.limit} | {each.messages} | {each.unseen} | {each.p50:.1f} | {each.p95:.1f} "
            f"| {each.worst:.1f} | {each.over} | {each.requests / SECONDS * 60:.0f} |"
        )
    return "\n".join(lines)


def runs(word: str = "", provider: str = "", interval: int | None = None) -> list[Run]:
    """All that are played, or those of a case, a provider, an interval. Only Heymarket has broadcasts."""
    return [
        Run(case, name, interval_s, limit)
        for case in CASES
        for name in (HEYMARKET, FONE)
        for interval_s in INTERVALS
        for limit in LIMITS[name]
        if word in case and provider in name and interval in (None, interval_s)
        if name == HEYMARKET or not case.startswith("broadcast")
    ]


def main() -> int:
    """Play all cases, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="")
    parser.add_argument("--provider", default="")
    parser.add_argument("--interval", type=int)
    parser.add_argument("--backlog", action="store_true", help="only how fast a long backlog is read where answers take 400 ms")
    given = parser.parse_args()
    if given.backlog:
        return read_backlog()
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that play: the order of sets is part of a history
    found: list[Found] = []
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=4) as pool:
        for each in pool.imap(fresh, runs(given.case, given.provider, given.interval)):
            found.append(each)
            print(table([each]).splitlines()[-1], flush=True)
    print(table(found))
    return sum(bool(each.over) for each in found)


if __name__ == "__main__":
    raise SystemExit(main())
