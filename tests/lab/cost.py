"""What completeness costs: rows read and requests made for each message, counted by the kit, beside the bound of the ladder.

Heymarket and Fone Dynamics; a Stuut poll is the whole thread, whatever the ladder says.

Part of ``make soak``. The look-back is shorter where more is sent, so that a run takes a minute;
the ratio of its depth to its period is that of the defaults (28), and the bound says what follows
from it: overlap / interval, and for each deeper rung 28 x (1 - inner / reach). The bound speaks of rows
inside windows; what a page lists beyond its window, to know that it ends there, is counted beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import anyio

from poller.coverage import ladder
from poller.demo.simulator.profiles import FONE, HEYMARKET
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.world import World
from poller.model import SECOND, BadRow, Instant, Row
from poller.providers.contract import Page, Request, Response
from poller.providers.heymarket import recount, walk
from poller.providers.heymarket.asking import Walk
from poller.telemetry.account_facts import AccountFacts, SweepFacts
from poller.telemetry.facts import Telemetry
from tests.support.fake_kafka import FakeCluster
from tests.support.story import START, Story

PHI, INTERVAL_S, OVERLAP_S = 28, 15, 600
QUIET = Switches(late=0.0, ties=0.0, classify_later=0.0, status_s=20.0)
RUNS = ((0.01, 7 * 86_400, 4), (0.2, 86_400, 4), (2.0, 6 * 3600, 3), (10.0, 3600 + 1, 6))
"""Messages a second, depth of the look-back in seconds, and how many periods of the deepest rung are measured."""

AUTO = (FONE, 0.01, 7 * 86_400, 4, 0, "auto")
"""The look-back of the defaults where no row is late and ``overlap`` is learned."""

LEARNED_S = 2 * 86_400.0
"""Until then it has come down."""

PAGE = {HEYMARKET: 100, FONE: 200}
"""Rows of a page at most."""

OVER_MAX = 1.05
"""Rows inside windows may exceed what the windows hold by a twentieth; with the defaults that is the bound and a tenth."""

STUCK = (0, 1, 10_000)
"""So many messages in reach never become final, or all that there are."""


class Cost(NamedTuple):
    """Of one run; counts are a message or an hour."""

    provider: str
    rate: float
    stuck: int
    requests_an_hour: float
    sweeps_an_hour: float
    """Requests of sweeps."""
    inside: float
    """Rows of sweeps, inside their windows."""
    reads: float
    """All rows of sweeps."""
    hints: float
    """Rows of hints."""
    audits: float
    """Rows of audits and look-ups."""
    bound: float
    windows: float
    """The bound, with what a window overlaps the last sweep by: the time since it began, and the slack for clocks."""
    fixed: float
    overlap_s: float
    """In force while it was measured."""

    @property
    def most(self) -> float:
        """What may be read inside windows: a twentieth above what they hold, and what the pages of Heymarket repeat.

        Dates that may have lost their zeros make a cursor as coarse as a second, so each page begins with a second that was listed.
        """
        return self.windows * OVER_MAX + (self.bound * self.rate / PAGE[self.provider] if self.provider == HEYMARKET else 0)


class Swept(NamedTuple):
    """One sweep: when it began (seconds), its pages, its rows, and those of them inside its window."""

    began: float
    pages: int
    rows: int
    inside: int


class Listening(Telemetry):
    """Hears of sweeps."""

    story: Counted

    def account(self, provider: str, name: str) -> AccountFacts:
        """Its facts, listened to."""
        facts = super().account(provider, name)
        told = facts.sweep

        def swept(found: SweepFacts) -> None:
            inside = self.story.inside.pop(found.rung, 0) if provider == HEYMARKET else found.rows
            if self.story.before:
                seen = Swept(anyio.current_time() - found.seconds, found.pages, found.rows, inside)
                self.story.sweeps.setdefault((found.stream, found.rung), []).append(seen)
            told(found)

        facts.sweep = swept  # type: ignore[method-assign]
        return facts


class Ending(World):
    """Every message becomes final, but for those that are made not to."""

    def _live(self, sms: Sms) -> None:
        super()._live(sms)
        sms.receipt = sms.receipt and sms.steps[-1][1] != "Submitted"


class Counted(Story):
    """One account, measured from when its backlog is read."""

    def configured(self) -> str:
        """Where single messages are looked up, with a rate limit that bounds that."""
        return (
            super()
            .configured()
            .replace("rate_limit: 50/s, properties", f"rate_limit: {max(10, round(2 * self.world._per_second))}/s, properties")
        )

    async def _settle(self) -> None:
        """Nothing is judged here."""

    def telemetry(self) -> Telemetry:
        """That listens."""
        told = Listening(version="cost", level=self.level, form="json")
        told.story = self
        return told

    def a_second(self, what: str) -> float:
        """Of all rungs together: what was read from the begin of a rung's first sweep to that of its last, by the time between.

        So it does not matter how many sweeps of the deepest rungs happen to lie in the time that is measured.
        """
        once = [rung for rung, sweeps in self.sweeps.items() if len(sweeps) < 2]
        assert not once, f"not swept twice: {once}"
        return sum(
            sum(getattr(each, what) for each in sweeps[1:]) / (sweeps[-1].began - sweeps[0].began) for sweeps in self.sweeps.values()
        )

    async def measure(self, _: Story) -> None:
        """After the first sweeps of every rung."""
        await anyio.sleep(self.warm)
        self.before = dict(self.tally)
        shards = self.running["worker-0"][0].snapshot().shards
        [self.overlap_s] = {account.overlap_s for shard in shards for account in shard.accounts if account.provider in self.world.providers}

    overlap_s = 0.0
    before: dict[str, int] = {}


def rungs_of(overlap_s: float, depth: int) -> tuple[ladder.Rung, ...]:
    """Its rungs for a look-back of so many seconds."""
    every, back = depth * SECOND // PHI, depth * SECOND
    return ladder.build(interval=INTERVAL_S * SECOND, overlap=round(overlap_s * SECOND), status_horizon=0, every=every, back=back)


def measured(provider: str, rate: float, depth: int, periods: int, stuck: int, overlap: str = f"{OVERLAP_S}s") -> Cost:
    """``stuck``: so many of the sent messages in reach never become final."""
    seconds = periods * depth / PHI
    there = round(rate * depth)
    story = Counted(1, crash_s=None, seconds=0.0, settle_s=1.0, cluster=FakeCluster(1))
    story.world = Ending(
        1, START, replace(QUIET, limit_max=PAGE[provider]), per_second=rate, backlog=there, backlog_s=depth, providers=(provider,)
    )
    sent = [sms for sms in story.world.all() if not sms.inbound]
    for sms in sent[:: max(1, len(sent) // max(1, stuck))][:stuck]:
        del sms.steps[1:]
    story.providers = type(story.providers)(story.world, 1)
    story.start_from = f"{depth}s"
    story.defaults = (
        f"interval: {INTERVAL_S}s, overlap: {overlap}, status_horizon: {depth}s, reconcile: {{every: {depth / PHI:.3f}s, back: {depth}s}}"
    )
    story.look_s = 60.0
    story.warm = LEARNED_S if overlap == "auto" else max(600.0, there / 100 / 30)
    story.seconds = story.warm + seconds
    story.tally = dict.fromkeys(("requests", "rows", "hint rows"), 0)
    story.inside, story.sweeps = {}, {}
    rungs = rungs_of(OVERLAP_S, depth)
    answer, read, audit = story.providers.answer, walk.read, recount.read
    auditing = False

    def counted(method, target, headers, body, now):
        before = story.providers.rows.get(provider, 0)
        found = answer(method, target, headers, body, now)
        rows = story.providers.rows.get(provider, 0) - before
        story.tally["requests"] += 1
        story.tally["rows"] += rows
        story.tally["hint rows"] += rows * (b"updated_at" in body)
        return found

    def inside(at: Walk, rows: list[Row | BadRow], now: Instant | None = None) -> Page:
        if not auditing:
            since = at.since
            name = ladder.name([rung for rung in rungs if rung.reach <= at.now - since][-1])
            within = sum(isinstance(row, Row) and row.created >= since for row in rows)
            story.inside[name] = story.inside.get(name, 0) + within
        return read(at, rows, now)

    def audited(reader: recount.Reader, request: Request, response: Response) -> Page:
        nonlocal auditing
        auditing = True
        try:
            return audit(reader, request, response)
        finally:
            auditing = False

    recount.read = audited
    story.providers.answer, walk.read = counted, inside  # type: ignore[method-assign]
    story.play(story.measure)  # type: ignore[arg-type]
    spent = {name: story.tally[name] - story.before[name] for name in story.tally}
    hours, messages, reads = seconds / 3600, rate * seconds, story.a_second("rows") / rate
    live, *deep = rungs_of(story.overlap_s, depth)
    bound = sum((rung.reach - rung.inner) / rung.period for rung in (live, *deep))
    windows = bound + 1 + sum(1 + ladder.SLACK / rung.period for rung in deep)
    fixed = story.overlap_s / INTERVAL_S + PHI
    return Cost(
        provider,
        rate,
        stuck,
        spent["requests"] / hours,
        story.a_second("pages") * 3600,
        story.a_second("inside") / rate,
        reads,
        spent["hint rows"] / messages,
        (spent["rows"] - spent["hint rows"]) / messages - reads,
        bound,
        windows,
        fixed,
        story.overlap_s,
    )


def run(given: tuple[str, float, int, int, int] | tuple[str, float, int, int, int, str]) -> Cost:
    """In a process of its own."""
    return measured(*given)


def table(found: list[Cost]) -> str:
    """One line a run."""
    lines = [
        "| provider | msg/s | overlap | never final | requests an hour | of them sweeps | rows read a message | bound | fixed overlap + reconcile "
        "| with the ends of pages | rows of hints | of audits and look-ups |",
        "|" + " --- |" * 12,
    ]
    cells = (
        (
            c.provider,
            c.rate,
            f"{c.overlap_s:.0f} s",
            c.stuck,
            f"{c.requests_an_hour:.0f}",
            f"{c.sweeps_an_hour:.0f}",
            f"{c.inside:.0f}",
            f"{c.bound:.0f}",
            f"{c.fixed:.0f}",
            f"{c.reads:.0f}",
            f"{c.hints:.1f}",
            f"{c.audits:.1f}",
        )
        for c in found
    )
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in cells)])
