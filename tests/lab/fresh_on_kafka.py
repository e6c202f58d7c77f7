"""``make fresh``: the worst four cases of :mod:`tests.lab.freshness` on real Kafka and real time, with kills; all of it judged.

Two workers poll one simulated vendor each time; one of them is killed or frozen twice a minute, and now and then one of three brokers
dies. Nothing may be lost or doubled. How long new messages waited is told twice: of all of them, failovers within, and of those that
turned up while nothing had happened for some seconds, beside the law of docs/laws.md. Fone Dynamics is polled for its two properties
here, at twice the limit of the table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import anyio
import anyio.to_thread

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.profiles import FONE, HEYMARKET
from poller.demo.simulator.world import World
from poller.model import SECOND, Instant
from tests.lab.brokers import OVERRIDES, up
from tests.lab.chaos import Chaos
from tests.lab.failover import Fleet
from tests.lab.freshness import CASES, QUIETNESS, RATE, Run
from tests.support.first_seen import Span, Terms, waits
from tests.support.trial import KAFKA, faults, now

WORST = (
    Run("crowds of 160, shuffled, faults", FONE, 1, "120/min"),
    Run("crowds in 5 seconds", FONE, 1, "120/min"),
    Run("crowds of 160, shuffled, faults", HEYMARKET, 1, "120/min"),
    Run("broadcast of 2000", HEYMARKET, 1, "120/min"),
)
WORKERS = ("w0", "w1")
SESSION, STRIKE_S, AFTER_S = "6s", 30.0, 15.0
"""A session, how often something happens, and after how many seconds nothing is left of it: the session and a rebalance are over."""
BROKER_EACH = 4
"""Of so many strikes one is a broker's."""


class FreshFleet(Fleet):
    """Workers that poll one vendor as a case has it."""

    def __init__(self, run: Run, folder: Path, bootstrap: str, *, seed: int) -> None:
        topics = {role: f"{role}-{run.provider}-{seed}" for role in ("messages", "status", "dead_letters", "state")}
        super().__init__(folder, bootstrap, topics, seed=seed, session=SESSION, static=False, vendors=(run.provider,))
        self.run = run
        rate = RATE * (2 if run.provider == FONE else 1)
        self.world = World(seed, now(), CASES[run.case], per_second=rate, backlog=300, backlog_s=3000.0, providers=(run.provider,))

    def config(self, instance: str = "worker") -> Path:
        """With the interval and the limit of the case."""
        path = super().config(instance)
        text = path.read_text().replace("interval: 200ms, overlap: 1m", f"interval: {self.run.interval_s}s, overlap: 10m")
        path.write_text(text.replace("100/s", self.run.limit))
        return path


async def strike(chaos: Chaos, cluster: Cluster, number: int) -> None:
    """Something happens: to a broker, or to one of the workers."""
    name = chaos.random.choice(WORKERS)
    if number % BROKER_EACH == BROKER_EACH - 1:
        node = chaos.random.choice(cluster.nodes)
        node.kill()
        chaos.brokers += 1
        await anyio.sleep(8)
        await anyio.to_thread.run_sync(up, node)
    elif number % 2:
        await chaos.freeze(name)
    else:
        await chaos.kill(name)


async def trial(run: Run, cluster: Cluster, folder: Path, *, minutes: float, seed: int) -> bool:
    """Play one case, and say how it went; whether all of it is right."""
    fleet = FreshFleet(run, folder, cluster.bootstrap, seed=seed)
    chaos = Chaos(fleet, seed)
    calm: list[Span] = []
    async with fleet.providers() as providers:
        for name in WORKERS:
            chaos.up(name)
        began, end, number = now(), time.monotonic() + minutes * 60, 0
        await anyio.sleep(AFTER_S)
        while time.monotonic() < end:
            since = now()
            await anyio.sleep(STRIKE_S - AFTER_S)
            calm.append((since, now()))
            await strike(chaos, cluster, number)
            number += 1
            await anyio.sleep(AFTER_S)
        ended = now()
        for name in WORKERS:
            await fleet.down(name, 15)
        verdict = await fleet.settle("last", seconds=300)
        asked = sum(providers.requests.values())
    wrong = faults(fleet.events)
    print(f"{run.case}, {run.provider}, interval {run.interval_s} s, {run.limit}, {minutes:g} minutes, seed {seed}:", end=" ")
    print(f"{chaos.kills} counted kills, {chaos.pauses} pauses, {chaos.brokers} brokers killed, {asked} requests")
    print(f"  {verdict.line}; audit: {'; '.join(wrong) or 'nothing wrong'}")
    delays(fleet, run, "all", [(began + round(AFTER_S * SECOND), ended)])
    delays(fleet, run, "calm", calm)
    return verdict.good and not wrong


def delays(fleet: FreshFleet, run: Run, what: str, lives: list[tuple[Instant, Instant]]) -> None:
    """Say how long new messages waited that turned up in some times."""
    terms = Terms(run.interval_s, max(run.spacing_s, CASES[run.case].latency_s, 0.2), QUIETNESS)
    found = waits(fleet.world, fleet.events, terms, lives=lives, held={})
    times = sorted(wait.unexcused for wait in found) or [float("inf")]
    p50, p95 = (times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.95))
    print(
        f"  {what}: {len(found)} new, p50 {p50:.1f} s, p95 {p95:.1f} s, max {times[-1]:.1f} s, {sum(wait.ratio > 1 for wait in found)} later than the law"
    )


async def main() -> int:
    """Play all four; the number of those that are not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long each case is played")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--case", default="", help="only those whose name holds it")
    given = parser.parse_args()
    wrong = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(fetch(KAFKA, progress=print), Path(folder) / "kafka", nodes=3, overrides=OVERRIDES) as cluster,
    ):
        for number, run in enumerate(run for run in WORST if given.case in run.case):
            work = Path(folder) / f"case-{number}"
            work.mkdir()
            wrong += not await trial(run, cluster, work, minutes=given.minutes, seed=given.seed + number)
    return wrong


if __name__ == "__main__":
    raise SystemExit(anyio.run(main))
