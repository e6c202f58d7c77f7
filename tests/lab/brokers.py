"""Three brokers in trouble under a running worker: ``make brokers``. What was lost or doubled, how long a stream was left alone, what memory did."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import psutil

from poller.demo.kafka.broker import START_TIMEOUT_S, Cluster, Node, _free_ports
from poller.demo.kafka.jars import fetch
from tests.lab.failover import Logged
from tests.support.trial import KAFKA, Trial, faults

FROZEN_S, DOWN_S = 20.0, 60.0
OVERRIDES = {"transaction.state.log.num.partitions": 3, "offsets.topic.num.partitions": 3}


def up(node: Node) -> None:
    """Start a broker and wait until it listens."""
    node.start()
    node.wait(time.monotonic() + START_TIMEOUT_S)


async def killed(cluster: Cluster, rng: random.Random) -> None:
    """Each broker once, in the middle of commits: leaders and coordinators among them."""
    for node in rng.sample(cluster.nodes, len(cluster.nodes)):
        node.kill()
        await anyio.sleep(12)
        await anyio.to_thread.run_sync(up, node)
        await anyio.sleep(12)


async def frozen(cluster: Cluster, rng: random.Random) -> None:
    """One broker stands still, as behind a partition."""
    node = rng.choice(cluster.nodes)
    node.pause()
    await anyio.sleep(FROZEN_S)
    node.resume()
    await anyio.sleep(10)


async def rolled(cluster: Cluster, rng: random.Random) -> None:
    """One broker after the other is restarted cleanly."""
    for node in cluster.nodes:
        await anyio.to_thread.run_sync(node.stop)
        await anyio.to_thread.run_sync(up, node)
        await anyio.sleep(10)


async def all_down(cluster: Cluster, rng: random.Random) -> None:
    """Every broker is gone for a minute."""
    for node in cluster.nodes:
        node.kill()
    await anyio.sleep(DOWN_S)
    for node in cluster.nodes:
        node.start()
    began = time.monotonic()
    for node in cluster.nodes:
        await anyio.to_thread.run_sync(node.wait, time.monotonic() + START_TIMEOUT_S)
    print(f"(down for {DOWN_S:.0f} s, and {time.monotonic() - began:.1f} s until all listened)", flush=True)
    await anyio.sleep(20)


Scenario = Callable[[Cluster, random.Random], Awaitable[None]]
SCENARIOS: tuple[tuple[str, Scenario], ...] = (
    ("each broker killed", killed),
    ("one broker frozen for 20 s", frozen),
    ("rolling restart", rolled),
    ("all down for a minute", all_down),
)


class Watch:
    """Looks at a worker twice a second: memory, readiness."""

    def __init__(self, port: int, pid: int) -> None:
        self.url, self.process = f"http://127.0.0.1:{port}/readyz", psutil.Process(pid)
        self.rss = 0.0
        self.first_rss = self.process.memory_info().rss / (1 << 20)
        self.unready = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await anyio.sleep(0.5)
            self.rss = max(self.rss, self.process.memory_info().rss / (1 << 20))
            self.unready += not await anyio.to_thread.run_sync(self._ready)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


async def play(cluster: Cluster, scenario: Scenario, seed: int) -> str:
    """One scenario: a line of the table."""
    names = {role: f"{role}-{uuid.uuid4().hex[:8]}" for role in ("messages", "status", "dead_letters", "state")}
    [port] = _free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), cluster.bootstrap, names, seed=seed, session="6s", admin=port)
        async with trial.providers(Logged) as providers:
            process = trial.start()
            while trial.commits() < 30:
                await anyio.sleep(0.1)
            since = time.monotonic()
            watch = Watch(port, process.pid)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch.run)
                await scenario(cluster, random.Random(seed))
                tasks.cancel_scope.cancel()
            pause = providers.pause(since)
            process.send_signal(signal.SIGTERM)
            ended = await anyio.to_thread.run_sync(process.wait, 30)
            verdict = await trial.settle("last", seconds=120)
    wrong = "; ".join([*([] if verdict.good else [verdict.line]), *faults(trial.events), *([f"exit {ended}"] if ended else [])])
    return (
        f"{pause:8.1f} {watch.unready / 2:9.1f} {watch.first_rss:6.0f} {watch.rss:6.0f}  {verdict.messages_published:8}  {wrong or '0, 0'}"
    )


async def main(only: str = "") -> int:
    """The table; 1 when something was lost or doubled."""
    bad = False
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(fetch(KAFKA, progress=print), Path(folder) / "kafka", nodes=3, overrides=OVERRIDES)
        with cluster:
            print(f"{'what happens':28} {'pause s':>8} {'unready s':>9} {'MiB':>6} {'peak':>6}  messages  lost, doubled", flush=True)
            for seed, (name, scenario) in enumerate(SCENARIOS):
                if only in name:
                    line = await play(cluster, scenario, seed)
                    bad = bad or not line.endswith("0, 0")
                    print(f"{name:28} {line}", flush=True)
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(anyio.run(main, *sys.argv[1:]))
