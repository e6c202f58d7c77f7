"""``make chaos``: workers killed and frozen at random, caches deleted, brokers killed, for minutes; judged by an independent reader.

``--minutes M`` ends it by time; otherwise it goes on to ``--kills`` counted kills and ``--pauses``.
A kill counts only if the worker had committed since its start. ``--all-vendors`` (``VENDORS=all``): all six are polled.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import anyio
import anyio.to_thread

from poller.demo.kafka.broker import Cluster, Node
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.profiles import EVERY_PROVIDER, FIRST_THREE
from tests.lab.brokers import OVERRIDES, up
from tests.lab.failover import Fleet
from tests.support.trial import KAFKA, faults

WORKERS = ("w0", "w1", "w2")
SESSION_S = 2.0
BROKER_EVERY_S = 45.0


class Chaos:
    """A fleet to which things happen."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet, self.random = fleet, random.Random(seed)
        self.kills = self.pauses = self.brokers = self.caches = 0
        self.frozen: set[str] = set()

    def up(self, name: str) -> None:
        """Start a worker that counts its own commits."""
        counter = self.fleet.folder / f"commits-{name}"
        counter.unlink(missing_ok=True)
        self.fleet.workers[name] = self.fleet.start(name, COMMITS=str(counter))

    def committed(self, name: str) -> bool:
        """Whether the worker has committed since its start."""
        return (self.fleet.folder / f"commits-{name}").exists()

    async def kill(self, name: str) -> None:
        """SIGKILL, the cache gone in half of the cases, and a new process of the same name."""
        counted = self.committed(name)
        await self.fleet.down(name, signal.SIGKILL)
        self.kills += counted
        if self.random.random() < 0.5:
            self.caches += 1
            shutil.rmtree(self.fleet.folder / name, ignore_errors=True)
        self.up(name)

    async def freeze(self, name: str) -> None:
        """SIGSTOP beyond the session, while the others take over, and SIGCONT: a zombie."""
        process = self.fleet.workers[name]
        self.frozen.add(name)
        counted = self.committed(name)
        process.send_signal(signal.SIGSTOP)
        await anyio.sleep(SESSION_S * self.random.uniform(1.2, 3))
        process.send_signal(signal.SIGCONT)
        self.pauses += counted
        await anyio.sleep(1)
        self.frozen.discard(name)

    async def strike(self, tasks: anyio.abc.TaskGroup, *, pauses: bool) -> None:
        """One thing that happens to one worker that is not frozen and has done something."""
        await anyio.sleep(self.random.uniform(0.2, 1.0))
        ready = [name for name in WORKERS if name not in self.frozen and self.committed(name)]
        if not ready:
            return
        name = self.random.choice(ready)
        if pauses and len(self.frozen) < len(WORKERS) - 1 and self.random.random() < 0.25:
            tasks.start_soon(self.freeze, name)
        else:
            await self.kill(name)

    async def trouble_brokers(self, nodes: list[Node]) -> None:
        """From time to time one of three brokers dies and comes back."""
        while len(nodes) > 1:
            await anyio.sleep(BROKER_EVERY_S)
            node = self.random.choice(nodes)
            node.kill()
            self.brokers += 1
            await anyio.sleep(10)
            await anyio.to_thread.run_sync(up, node)

    async def play(self, nodes: list[Node], *, kills: int, pauses: int, minutes: float) -> None:
        """Until there was enough of everything, or the time is over."""
        end, said = time.monotonic() + minutes * 60 if minutes else float("inf"), 0
        for name in WORKERS:
            self.up(name)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.trouble_brokers, nodes)
            while time.monotonic() < end and (minutes or self.kills < kills or self.pauses < pauses):
                await self.strike(tasks, pauses=bool(minutes) or self.pauses < pauses)
                if self.kills // 10 > said:
                    said = self.kills // 10
                    print(f"{self.kills} kills, {self.pauses} pauses, {self.brokers} brokers killed", flush=True)
            while self.frozen:
                await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
        for node in nodes:
            if node.pid is None:
                await anyio.to_thread.run_sync(up, node)
        for name in WORKERS:
            await self.fleet.down(name, signal.SIGTERM)


async def main() -> int:
    """Print progress and the verdict; 0 when it is good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pauses", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--all-vendors", action="store_true")
    given = parser.parse_args()
    topics = {"messages": "messages", "status": "status", "dead_letters": "dead", "state": "state"}
    vendors = EVERY_PROVIDER if given.all_vendors else FIRST_THREE
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(fetch(KAFKA, progress=print), Path(folder) / "kafka", nodes=3, overrides=OVERRIDES) as cluster,
    ):
        work = Path(folder) / "work"
        work.mkdir()
        fleet = Fleet(work, cluster.bootstrap, topics, seed=given.seed, session="2s", static=False, vendors=vendors)
        chaos = Chaos(fleet, given.seed)
        async with fleet.providers():
            await chaos.play(cluster.nodes, kills=given.kills, pauses=given.pauses, minutes=given.minutes)
            verdict = await fleet.settle("last", seconds=300)
    print(
        f"Kafka {KAFKA}, seed {given.seed}, {len(vendors)} vendors: {chaos.kills} counted kills, {chaos.pauses} pauses beyond the session,",
        end=" ",
    )
    print(f"{chaos.brokers} brokers killed, {chaos.caches} caches deleted")
    wrong = faults(fleet.events)
    print(verdict.line)
    print("audit: " + ("; ".join(wrong) or "nothing wrong"))
    return 0 if verdict.good and not wrong else 1


if __name__ == "__main__":
    raise SystemExit(anyio.run(main))
