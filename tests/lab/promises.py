"""How soon rows are seen, whatever ``overlap`` is: thirty simulated days, and a start with a backlog. Part of ``make soak``."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

import anyio

from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import DAY, HOUR, MINUTE, SECOND, Instant
from poller.telemetry.account_facts import AccountFacts, PageFacts
from poller.telemetry.facts import Telemetry
from poller.times import parse_rfc3339
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

LATE = Switches(late=0.1, late_s=1800.0, very_late=0.02, very_late_s=6.5 * 86_400, ties=0.05, status_s=120.0, classify_later=0.0)
BIT_LATE = replace(LATE, late_s=400.0, very_late=0.0)
"""So late that a learned overlap stands between its shortest and its longest."""

INTERVAL: Instant = 5 * MINUTE
SWEEP: Instant = 3 * MINUTE
"""What a sweep, its queueing and its commit take at most here."""

OVERLAPS = ("2m", "1h", "auto")
IMPORT_ROWS = 5_000
WAIT_MAX_S = 15.0 + 2.0
"""An interval, and a page with its place in the rate limit and its commit."""


class MessageState(NamedTuple):
    """One run: rows that were due, unseen ones, and those seen later than promised."""

    overlap: str
    rows: int
    unseen: int
    over: int
    worst: float
    """Delay / promise, at most."""


class Days(Story):
    """One Heymarket account with the default look-back."""

    def setup(self, overlap: str, *, days: float, rate: float, switches: Switches = LATE) -> None:
        """Its world and its configuration."""
        self.look_s = 60.0
        self.world = World(self.seed, START, switches, per_second=rate, backlog=200, providers=(HEYMARKET,))
        self.providers = type(self.providers)(self.world, self.seed)
        self.defaults = f"interval: 5m, overlap: {overlap}, reconcile: {{every: 6h, back: 7d}}"
        self.seconds, self.settle_s, self.overlaps = days * 86_400, 7 * 3600.0, (0.0, 0.0)

    def overlap(self) -> float:
        """In force, in seconds."""
        worker = self.running["worker-0"][0]
        accounts = [account for shard in worker.snapshot().shards for account in shard.accounts if account.provider == HEYMARKET]
        return accounts[0].overlap_s

    async def bring(self, _: Story) -> None:
        """Five thousand old rows in one moment, near the end."""
        await anyio.sleep(self.seconds * 0.8)
        before, now = self.overlap(), self.clock.now()
        for number in range(IMPORT_ROWS):
            self.world._message(HEYMARKET, now - HOUR - number * (2 * DAY // IMPORT_ROWS), now, backlog=True).visible = now
        await anyio.sleep(12 * 3600)
        self.overlaps = (before, self.overlap())


def measured(overlap: str, *, days: float = 30.0, rate: float = 0.02) -> MessageState:
    """Every row that showed itself a while before the end, against A/7 (or one interval) and one sweep."""
    story = Days(1, crash_s=None, cluster=FakeCluster(1))
    story.setup(overlap, days=days, rate=rate)
    story.play()
    observed = {
        event.key.rpartition("/")[2]: time.instant
        for event in story.published()
        if event.type.startswith("sms.message.created") and (time := parse_rfc3339(event.value["observed_at"]))
    }
    reach = HOUR if overlap == "1h" else 2 * MINUTE if overlap == "2m" else 10 * MINUTE
    due = [sms for sms in story.world.all() if START + HOUR < sms.visible < START + round(days * DAY) - DAY]
    delays = [(observed[sms.id] - sms.visible, max(sms.visible - sms.created, 0)) for sms in due if sms.id in observed]
    ratios = [delay / ((INTERVAL if age < reach else max(INTERVAL, age // 7)) + SWEEP) for delay, age in delays]
    return MessageState(overlap, len(due), len(due) - len(delays), sum(r > 1 for r in ratios), max(ratios))


def imported(*, days: float = 2.5, rate: float = 0.2) -> tuple[float, float]:
    """The learned overlap before and half a day after an import of five thousand old rows, in seconds."""
    story = Days(1, crash_s=None, cluster=FakeCluster(1))
    story.setup("auto", days=days, rate=rate, switches=BIT_LATE)
    story.play(story.bring)  # type: ignore[arg-type]
    return story.overlaps


class StoredBackoff(Telemetry):
    """Hears how long each new message waited."""

    story: Start

    def account(self, provider: str, name: str) -> AccountFacts:
        """Its facts, listened to."""
        facts, story = super().account(provider, name), self.story
        told = facts.page

        def page(found: PageFacts) -> None:
            age = (story.clock.now() - START) / SECOND
            story.new += [delay for delay in found.delays_s if delay < age]
            story.old += sum(delay >= age for delay in found.delays_s)
            story.read_s = age if story.old < story.there else story.read_s
            told(found)

        facts.page = page  # type: ignore[method-assign]
        return facts


class Start(Days):
    """A start with a backlog; nothing of what is published is kept."""

    def begin(self, *, rate: float, backlog_h: float, seconds: float) -> None:
        """Heymarket's own limit; ``overlap`` as short as keeps live polling within a quarter of it."""
        self.there, self.old, self.read_s = round(backlog_h * 3600 * rate), 0, 0.0
        self.new: list[float] = []
        quiet = Switches(late=0.0, ties=0.0)
        self.world = World(2, START, quiet, per_second=rate, backlog=self.there, backlog_s=backlog_h * 3600, providers=(HEYMARKET,))
        self.providers = type(self.providers)(self.world, 2)
        self.defaults, self.start_from = "interval: 15s, overlap: 4m", f"{round(backlog_h * 60)}m"
        self.rate, self.seconds, self.settle_s = "400/min", seconds, 0.0
        self.cluster.public = deque(maxlen=0)  # type: ignore[assignment]

    def telemetry(self) -> Telemetry:
        """That listens."""
        told = StoredBackoff(version="start", level=self.level, form="json")
        told.story = self
        return told

    async def _settle(self) -> None:
        """Nothing is judged here."""


def backlog(*, rate: float = 10.0, hours: float = 24.0, seconds: float = 7200.0) -> tuple[int, float, float, int, int]:
    """New messages and the longest that one waited (seconds); when the last of the backlog was read (seconds), how much of it, of how much."""
    story = Start(2, crash_s=None, cluster=FakeCluster(1))
    story.look_s = 60.0
    story.begin(rate=rate, backlog_h=hours, seconds=seconds)
    story.play()
    return len(story.new), max(story.new), story.read_s, story.old, story.there


def run(overlap: str) -> MessageState:
    """In a process of its own."""
    return measured(overlap)
