"""``make soak``: many seeded histories of the whole engine against the hostile kit, on virtual time, and an independent judge.

Every switch is thrown at random; four outages of 10 minutes to 20 hours lie in every history; the
look-back is short, so that rows are late and statuses change throughout its depth. A message that
is missing must have been flagged: its range was called a possible gap, or its stream is known to
be in trouble. ``--seed N`` plays one history again, exactly, and tells more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import subprocess
import sys
from collections import Counter
from functools import partial
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from poller.coverage import lateness
from poller.coverage.backfill import BackfillRequest
from poller.demo.accounts import ACCOUNTS
from poller.demo.simulator.judge import Flag, Verdict, judge
from poller.demo.simulator.profiles import EVERY_PROVIDER, FIRST_THREE, FONE, HEYMARKET, THREADS
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import Switches, named, wild
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.world import NEVER, World
from poller.errors import PollerError
from poller.kafka.port import Stored
from poller.model import DAY, HOUR, SECOND, Gap, Instant
from poller.providers import registry
from poller.providers.kit import suspects
from poller.publishing import shard_state as shard_state
from poller.publishing.cache import CacheDirectory
from poller.publishing.state_records import encode_state, request_key
from poller.telemetry.account_facts import AccountFacts, SweepFacts
from poller.telemetry.facts import Telemetry
from poller.worker.worker import Worker
from tests.lab import cost, holes, promises
from tests.lab.soak_mutants import LAWS, MUTANTS
from tests.support.fake_kafka import FakeCluster
from tests.support.first_seen import Held, Span, Terms, Wait, waits
from tests.support.story import SETTLE_TIMES, START, Story
from tests.support.straight import Sent, Straight
from tests.support.trial import faults

BACK_H, EVERY_H, HOURS = 6, 1.5, 12.0
DEFAULTS = f"interval: {{interval}}, overlap: {{overlap}}, status_horizon: {BACK_H * 50}m, reconcile: {{{{every: {EVERY_H * 60:.0f}m, back: {BACK_H}h}}}}, timeout: 5s"
OUTAGES = 4
TOLD: Instant = round(2 * EVERY_H * HOUR)
"""A hole is told within two periods."""
CAUSES = {
    "list_may_be_capped": ("cap",),
    "cursor_not_honoured": ("cursor=ignored", "cursor=after"),
    "counted_not_listed": ("holes", "crowd", "cursor=ignored", "cursor=after"),
    "tilings_disagree": (),
    "tie_group": ("crowd", "others", "count_lag", "late", "very_late", "vanish", "between", "cursor=ignored", "cursor=after"),
    "full_second": ("crowd", "late", "very_late", "vanish", "between", "order=random", "order=shuffled"),
}
"""What may be said of a provider only where it misbehaves so; a crowd has more rows with one timestamp than a page lists."""
CAPPED = "list_may_be_capped"
"""Said of a whole stream: from then on nothing of it can be proved."""
LOSSES = ("cap", "cursor=ignored", "cursor=after", "holes", "crowd")
"""Only where a provider misbehaves so may anything be missing that was flagged."""
MUTANT_SEEDS = (1000, 1001, 1002, 1003, 1004, 1005, 1007)
"""Histories that are green without a broken rule. In 1006 a new message waits a minute too long, for a crowd that rests."""
MUTANT_SETTLE_TIMES = 3
"""Quiet times after which a history with a broken rule is judged; those without one are right by then."""
MUTANT_REQUESTS = 15_000
"""Requests after which such a history is ended: some broken rules ask without end. Those without one send at most some ten thousand."""
QUIETLY = ("-qx", "-W", "ignore::pytest.PytestAssertRewriteWarning")
BESIDE = {"backfill", *(query.name for name in registry.BUILT_IN for query in registry.provider_of(name).side_queries)}
"""Jobs of which no message's completeness is said."""

STUCK_KINDS = {"cursor_not_honoured"}


class Played(NamedTuple):
    """One history and what became of it."""

    seed: int
    switches: list[str]
    verdict: Verdict
    wrong: list[str]
    gaps: Counter[str]
    requests: int
    plain: int
    """Messages that were expected."""
    beyond: int
    """Messages beyond the promise, see :meth:`Soak.beyond_reach`."""
    backfills: int
    """How many came to their end."""
    settled: int
    """After how many quiet times all was right, once nothing new happened; see ``Story.settle_s``."""
    new: int
    """Messages that turned up while somebody polled, and so had to be read within an interval and two pages."""
    slowest: Wait | None
    """The new message that waited longest, in parts of what it may."""


class Listening(Held):
    """Hears of gaps and of streams in trouble."""

    story: Soak

    def account(self, provider: str, name: str) -> AccountFacts:
        """Its facts, listened to."""
        facts, story = super().account(provider, name), self.story
        told, trouble, sweep = facts.gap, facts.trouble, facts.sweep

        def gap(stream: str, found: Gap) -> None:
            story.gaps[found.reason] += 1
            story.flags.add(Flag(provider, stream.rpartition("/")[2], *((found.since, found.until) if found.reason != CAPPED else ())))
            told(stream, found)

        def in_trouble(stream: str, error: PollerError, wait_s: float, job: str = "") -> None:
            if error.kind in STUCK_KINDS and job not in BESIDE:
                story.gaps[error.kind] += 1
                story.flags.add(Flag(provider, stream.rpartition("/")[2]))
            trouble(stream, error, wait_s, job)

        def swept(found: SweepFacts) -> None:
            story.backfilled += found.rung == "backfill" and found.outcome in ("ok", "empty")
            sweep(found)

        facts.gap, facts.trouble, facts.sweep = gap, in_trouble, swept  # type: ignore[method-assign]
        return facts


class Soak(Story):
    """A history of half a day and more, and of outages."""

    def __init__(
        self,
        seed: int,
        switches: Switches | None = None,
        *,
        hours: float = HOURS,
        rate: float = 0.012,
        providers: tuple[str, ...] = FIRST_THREE,
    ) -> None:
        rng = random.Random(seed)
        self.hours = hours
        chosen = switches or wild(rng, depth_s=BACK_H * 3600, hours=hours)
        super().__init__(seed, chosen, crash_s=None, seconds=hours * 3600, settle_s=1.3 * EVERY_H * 3600, cluster=FakeCluster(2))
        self.world = World(seed, START, chosen, per_second=rate, backlog=60, providers=providers)
        self.providers = type(self.providers)(self.world, seed)
        minutes = rng.choice((5, 10, 15))
        per_min = chosen.allowed_per_min or 3000
        self.rate = f"{per_min}/min"
        self.terms = Terms(60.0 * minutes, max(60 / per_min, chosen.latency_s, 0.2), BACK_H / EVERY_H)
        self.defaults = DEFAULTS.format(interval=f"{minutes}m", overlap=rng.choice(("5m", "20m", "1h", "auto")))
        self.gaps: Counter[str] = Counter()
        self.flags: set[Flag] = set()
        self.held: dict[str, list[Span]] = {}
        self.beyond = self.backfilled = 0
        self.most_requests: int | None = None
        self.endless: list[str] = []
        self.outages: list[tuple[float, float]] = []
        for _ in range(OUTAGES):
            begin = (self.outages[-1][1] if self.outages else 0.0) + rng.uniform(0.2, 1.5) * EVERY_H * 3600
            self.outages.append((begin, begin + 600 * 120 ** rng.random()))
        self.seconds = max(self.seconds, self.outages[-1][1]) + HOURS / 10 * 3600

    def telemetry(self) -> Telemetry:
        """That listens."""
        told = Listening(version="soak", level=self.level, form="json")
        told.story, told.held = self, self.held
        return told

    async def _worker(self, config: Any, folder: Path, name: str) -> None:
        """Outages end and begin lives; half of the time the cache is lost as well."""
        for number, (begin, _) in enumerate([*self.outages, (float("inf"), float("inf"))]):
            if number and anyio.current_time() < self.outages[number - 1][1]:
                await anyio.sleep_until(self.outages[number - 1][1])
            directory = folder / (name if self.random.random() < 0.5 else f"{name}-{number}")
            with anyio.CancelScope() as life, CacheDirectory(directory) as store:
                life.deadline = begin
                log = self.log(self.cluster, name, partial(self.fault, name=name))
                transport, telemetry = Straight(partial(self._answer, name=name)), self.telemetry()
                worker = Worker(config, log, store, clock=self.clock, telemetry=telemetry, retention=7 * DAY, transport=transport)
                self.running[name] = worker, telemetry
                await worker.run(anyio.Event())
            self.crashes += 1

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        """As any, unless there are too many of them."""
        if self.most_requests is not None and sum(self.providers.requests.values()) >= self.most_requests:
            self.endless = [f"more than {self.most_requests} requests"]
            self.end()
        return await super()._answer(asked, name)

    def judged(self) -> Played:
        """Play it, and say all that is wrong."""
        self.look_s = 60.0  # nothing is configured anew here, and every second of days would be looked at
        verdict = self.play(self.backfills)  # type: ignore[arg-type]
        wrong = self.endless + [f"{len(each)} {what}: {each[:3]}" for what, each in self.by_kind(verdict).items() if each]
        wrong += faults(self.published())
        thrown, switches = named(self.world.switches), self.world.switches
        crowds = (switches.ties > 0) * switches.tie_rows, (switches.broadcasts > 0) * switches.broadcast_rows
        causes = thrown + ["crowd"] * (max(crowds) > switches.limit_max)
        wrong += [f"false alarm: {reason}" for reason in self.gaps if not any(cause in causes for cause in CAUSES.get(reason, causes))]
        if verdict.flagged and not any(cause in causes for cause in LOSSES):
            wrong.append(f"{len(verdict.flagged)} flagged without a cause: {verdict.flagged[:3]}")
        asked = sum(self.providers.requests.values())
        if switches.allowed_per_min and (refused := sum(self.providers.refused.values())):
            wrong.append(f"{refused} requests over the rate limit")
        found = waits(self.world, self.published(), self.terms, lives=self.lives(), held=self.held)
        slowest = max(found, key=attrgetter("ratio"), default=None)
        if slowest is not None and slowest.ratio > 1:
            late = sum(each.ratio > 1 for each in found)
            wrong.append(
                f"{late} of {len(found)} new messages read too late, the latest after {slowest.seconds:.0f} s of {slowest.bound:.0f} s: {slowest.id}"
            )
        figures = verdict.messages_expected, self.beyond, self.backfilled, self.settled, len(found), slowest
        return Played(self.seed, thrown, verdict, wrong, self.gaps, asked, *figures)

    async def backfills(self, _: Story) -> None:
        """Past ranges of every stream, that live polling covers as well, asked for now and then."""
        rng = random.Random(f"backfills of {self.seed}")
        streams = sorted({f"{sms.provider}/{ACCOUNTS[sms.provider]}/{sms.stream}" for sms in self.world.all()})
        for number in range(rng.choice((0, 3))):
            await anyio.sleep(rng.random() * self.seconds / 3)
            while not self.cluster.members:  # everybody is away
                await anyio.sleep(600)
            since, until = sorted(START + round(rng.uniform(-24, self.hours) * HOUR) for _ in range(2))
            for stream in streams:
                record = Stored(request_key(stream), encode_state(BackfillRequest(f"request-{number}", since, until)))
                self.cluster.add_request(record)

    def configured(self) -> str:
        """With the provider's limit, where it has one, for every account."""
        return super().configured().replace("50/s", self.rate)

    def lives(self) -> list[Span]:
        """While a worker was there, until the providers fell silent."""
        ends = [(0.0, 0.0), *self.outages, (self.seconds, self.seconds)]
        return [(START + round(end * SECOND), START + round(begin * SECOND)) for (_, end), (begin, _) in pairwise(ends)]

    def judge(self) -> Verdict:
        """Without what is beyond the promise."""
        verdict, known = self._told(), {sms.id: sms for sms in self.world.all()}
        missing = [key for key in verdict.missing if not self.beyond_reach(known[key.rpartition("/")[2]])]
        flagged = [key for key in verdict.flagged if not self.beyond_reach(known[key.rpartition("/")[2]])]
        self.beyond = len(verdict.missing) - len(missing)
        return verdict._replace(missing=missing, flagged=flagged)

    def _told(self) -> Verdict:
        return judge(self.world, self.published(), accounts=ACCOUNTS, now=self.clock.now(), flags=self.flags)

    def beyond_reach(self, sms: Sms) -> bool:
        """What no promise speaks of.

        A message that is counted and never listed, beside a crowd that no page holds and of which rows print other dates.

        A message that had vanished when polling began, or began again after an outage, and came back older than the look-back; one
        that is counted and never listed, and was not within the look-back for two periods of audits while anybody polled.
        """
        back = round(BACK_H * 3600 * SECOND)
        begins, ends = ([START + round(at * SECOND) for at in each] for each in zip(*self.outages, strict=True))
        thrown = self.world.switches
        if sms.hole and thrown.misdated and thrown.ties and thrown.tie_rows > thrown.limit_max:
            return True
        if sms.hole:
            known = max(sms.created, sms.visible) + suspects.CLOSED
            lives = zip([START, *ends], [*begins, NEVER], strict=True)  # the last one goes on until all is told
            return all(min(end, sms.created + back) - max(begin, known) < TOLD for begin, end in lives)
        silent = zip([0, *begins], [START, *ends], strict=True)  # nobody polled before the start either
        gone = [(begin, end) for begin, end in silent if sms.away[0] <= end < sms.away[1]]
        return sms.away[1] - sms.created > back and any(sms.created >= begin or end - sms.created > back for begin, end in gone)

    @staticmethod
    def by_kind(verdict: Verdict) -> dict[str, list[str]]:
        """By kind."""
        return {"missing": verdict.missing, "stale": verdict.stale, "duplicate": verdict.duplicates, "out of order": verdict.out_of_order}


def played_by_six(seed: int) -> Played:
    """One history of every vendor, at twice the rate."""
    return Soak(seed, rate=0.024, providers=EVERY_PROVIDER).judged()


def played(seed: int) -> Played:
    """One history of the first three vendors."""
    return Soak(seed).judged()


def mutated(given: tuple[int, str]) -> Played:
    """One history, with a rule broken where a mutant is named; such a process plays no other."""
    seed, mutant = given
    if mutant:
        MUTANTS[mutant]()
    story = Soak(seed)
    story.settle_times, story.most_requests = MUTANT_SETTLE_TIMES, MUTANT_REQUESTS
    return story.judged()


def table(found: list[Played]) -> str:
    """Switch by switch: how many histories had it, what was missing, flagged, and asked more than in the others."""
    usual = sum(each.requests for each in found) / max(1, len(found))
    lines = [
        "| switch | histories | expected | silently missing | flagged | stale | doubled or disordered | requests |",
        "|" + " --- |" * 8,
    ]
    for switch in sorted({"(all)" for _ in found} | {name for each in found for name in each.switches}):
        mine = [each for each in found if switch == "(all)" or switch in each.switches]
        sums = [sum(len(getattr(each.verdict, name)) for each in mine) for name in ("missing", "flagged", "stale")]
        disorder = sum(len(each.verdict.duplicates) + len(each.verdict.out_of_order) for each in mine)
        asked = sum(each.requests for each in mine) / len(mine) / usual
        counts = [len(mine), sum(each.plain for each in mine), *sums, disorder]
        lines.append(f"| {switch} | " + " | ".join(map(str, counts)) + f" | {asked - 1:+.0%} |")
    return "\n".join(lines)


def mutants() -> int:
    """Each must be found: by the test of its law, or by one of a few histories, which are green without it."""
    tests = sorted({test for _, test in LAWS.values()})
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        alive = [f"seed {each.seed} without a mutant" for each in pool.imap(mutated, [(seed, "") for seed in MUTANT_SEEDS]) if each.wrong]
    if subprocess.run([sys.executable, "-m", "pytest", *QUIETLY, *tests], capture_output=True, check=False).returncode:
        alive.append("the tests without a mutant")
    print(f"without a mutant: {len(MUTANT_SEEDS)} histories and {len(tests)} files of tests, {len(alive)} not green", flush=True)
    for name, (_, test) in LAWS.items():
        script = f"import pytest; from tests.lab.soak_mutants import LAWS; LAWS[{name!r}][0](); raise SystemExit(pytest.main({[*QUIETLY, test]!r}))"
        red = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == pytest.ExitCode.TESTS_FAILED
        print(f"{name}: {'' if red else 'not '}found by {test}", flush=True)
        alive += [] if red else [name]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for name in MUTANTS:
            for tried, each in enumerate(pool.imap_unordered(mutated, [(seed, name) for seed in MUTANT_SEEDS]), 1):
                if each.wrong:
                    print(f"{name}: found by seed {each.seed}, history {tried}: {each.wrong[0][:150]}", flush=True)
                    break
            else:
                alive.append(name)
                print(f"{name}: not found by {len(MUTANT_SEEDS)} histories", flush=True)
    print(f"{len(MUTANTS) + len(LAWS)} mutants: {len(alive)} not as they must be {alive or ''}")
    return int(bool(alive))


def main() -> int:
    """Play, show progress, and print the table; the seeds that failed can be played again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--all-vendors", action="store_true", help="Twilio, Telnyx and Plivo as well")
    parser.add_argument("--audits", action="store_true", help="and thirty simulated days of the audits, with holes and without")
    parser.add_argument("--promises", action="store_true", help="and how soon rows are seen in thirty days, whatever overlap is")
    parser.add_argument("--costs", action="store_true", help="and the table of what completeness costs")
    parser.add_argument("--mutants", action="store_true", help="break each rule on purpose, and play until a history finds it")
    given = parser.parse_args()
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that play: the order of sets is part of a history
    seeds = range(given.first, given.first + given.count) if given.seed is None else [given.seed]
    if given.mutants:
        return mutants()
    found: list[Played] = []
    histories = (played_by_six if given.all_vendors else played, seeds)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=20) as pool:
        for number, each in enumerate(pool.imap_unordered(*histories), 1):
            found.append(each)
            if each.wrong:
                print(f"seed {each.seed}: {'; '.join(each.wrong)[:400]} [{' '.join(each.switches)}]", flush=True)
            if number % 50 == 0:
                print(f"{number} of {len(seeds)} histories", file=sys.stderr, flush=True)
    print(table(found))
    gaps = sum((each.gaps for each in found), Counter[str]())
    print("flags:", ", ".join(f"{reason} {count}" for reason, count in sorted(gaps.items())) or "none")
    failed = [each.seed for each in found if each.wrong]
    print(f"{len(found)} histories, {sum(each.plain for each in found)} messages: {len(failed)} failed {failed[:20] if failed else ''}")
    rounds = Counter(each.settled for each in found)
    said = ", ".join(f"{rounds[n]} within {n * 1.3 * EVERY_H:.1f} h" for n in sorted(rounds))
    print(
        f"after the providers fell silent these were left alone until all was right, at most {1.3 * EVERY_H * SETTLE_TIMES:.1f} h: {said}"
    )
    slowest = max((each.slowest for each in found if each.slowest), key=attrgetter("ratio"), default=None)
    if slowest is not None:
        print(
            f"{sum(each.new for each in found)} new messages turned up while somebody polled: "
            f"the latest was read {slowest.seconds:.1f} s after it could be, of {slowest.bound:.1f} s that it may take"
        )
    print(f"{sum(each.backfills for each in found)} backfills beside them were played to their end")
    print(f"{sum(each.beyond for each in found)} more were beyond the promise: away or hidden until they were older than the look-back")
    if given.seed is not None:
        print(found[0])
    missed = audits() if given.audits else 0
    if given.promises:
        missed += promised()
    if given.costs:
        missed += costs()
    return int(bool(failed or missed))


def audits() -> int:
    """Thirty days of twelve accounts; how many holes were missed, told twice, too late, or falsely; Fone Dynamics' readings; Stuut's lists."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        whole, torn = pool.map_async(holes.whole, range(4), chunksize=1), pool.map_async(holes.torn, range(4), chunksize=1)
        uncut, cut = pool.map_async(holes.uncut, range(4), chunksize=1), pool.map_async(holes.cut, range(4), chunksize=1)
        found = pool.map(holes.counts, range(12), chunksize=1)
        untrue, told, capped, unsaid = sum(whole.get()), sum(map(bool, torn.get())), sum(uncut.get()), 4 * len(THREADS) - sum(cut.get())
    hours = sorted(hour for each in found for hour in each.hours)
    there, raised, twice, false = (sum(getattr(each, name) for each in found) for name in ("holes", "raised", "twice", "false"))
    print(f"audits: {len(found)} accounts x 30 days: {raised} of {there} holes told, {twice} twice, {false} false alarms")
    print(
        f"hours from hole to alarm: median {hours[len(hours) // 2]:.1f}, longest {hours[-1]:.1f} (two periods are {holes.PROMISED_H:.0f})"
    )
    print(f"tilings: 4 properties x 30 days: {untrue} false alarms; a filter that loses rows was told of {told} of 4")
    many = 4 * len(THREADS)
    print(f"threads: {many} threads x 30 days: {capped} false alarms; a list of the newest fifty was told of {many - unsaid} of {many}")
    late = sum(hour > holes.PROMISED_H for hour in hours)
    return there - raised + twice + false + late + untrue + (4 - told) + capped + unsaid


def promised() -> int:
    """Thirty days with three overlaps, and a start with a backlog; how many rows were unseen or seen too late."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.map(promises.run, promises.OVERLAPS, chunksize=1)
        new, longest, took, read, there = pool.apply(promises.backlog)
        before, after = pool.apply(promises.imported)
    for each in found:
        print(
            f"30 days, overlap {each.overlap}: {each.rows - each.unseen} of {each.rows} rows seen, {each.over} later than promised "
            f"(the latest at {each.worst:.2f} of its promise)"
        )
    print(f"0.2 msg/s, overlap auto: an import of {promises.IMPORT_ROWS} old rows moved it from {before:.0f} s to {after:.0f} s")
    print(f"start with a day's backlog at 10 msg/s: {new} new rows, the longest wait {longest:.1f} s (interval 15 s);")
    print(f"{read} of {there} rows of the backlog read within {took / 60:.0f} minutes")
    return (
        sum(each.unseen + each.over for each in found)
        + (longest > promises.WAIT_MAX_S)
        + (read < there)
        + (before >= lateness.LONGEST / SECOND or abs(after / before - 1) >= 0.25)
    )


def costs() -> int:
    """Every rate, with no message, one, and ten thousand that never become final; for how many of them that made a difference or exceeded the bound."""
    runs = [(provider, *run, stuck) for provider in (HEYMARKET, FONE) for run in cost.RUNS for stuck in cost.STUCK] + [cost.AUTO]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = []
        for each in pool.imap(cost.run, runs):
            found.append(each)
            print(f"{len(found)} of {len(runs)} costs: {cost.table([each]).splitlines()[-1]}", file=sys.stderr, flush=True)
    print(cost.table(found))
    over = [each for each in found if not each.bound * 0.9 < each.inside < each.most]
    fixed = [each for each in found if each.overlap_s == cost.OVERLAP_S]
    same = [[each.reads for each in fixed if each[:2] == kind] for kind in {each[:2] for each in fixed}]
    return len(over) + sum(max(reads) > 1.1 * min(reads) for reads in same)


if __name__ == "__main__":
    raise SystemExit(main())
