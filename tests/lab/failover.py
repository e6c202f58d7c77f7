"""How long streams are left alone when workers come, go, die and freeze: ``make failover``. Measured by the providers' own log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch
from poller.demo.simulator.vendors.answers import Answer
from poller.demo.simulator.vendors.routes import Providers
from tests.support.trial import KAFKA, Trial, faults

RUNS = int(os.environ.get("RUNS", "5"))
SETTLED_S = 3.0
END_S = 60.0
"""A worker that is told to end has ended by then."""
STREAM = re.compile(r"/(?:sms-threads|Properties)/([^/]+)/|/(heymarket)/")


class Logged(Providers):
    """Providers that note when each stream is asked."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.asked: dict[str, list[float]] = {}

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Answer:
        """The time, by stream."""
        found = STREAM.search(target)
        if found is not None:
            self.asked.setdefault(found[1] or found[2], []).append(time.monotonic())
        return super().answer(method, target, headers, body, now)

    def pause(self, since: float) -> float:
        """The longest time that any stream was left alone since then, up to now."""
        longest = 0.0
        for times in self.asked.values():
            seen = [max([t for t in times if t <= since], default=since), *(t for t in times if t > since), time.monotonic()]
            longest = max(longest, *(later - max(earlier, since) for earlier, later in zip(seen, seen[1:], strict=False)))
        return longest


class Fleet(Trial):
    """Workers by name."""

    def __init__(self, *given: object, static: bool, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self.static = static
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    def config(self, instance: str = "worker") -> Path:
        """The scenario's kind of membership."""
        path = super().config(instance)
        if not self.static:
            path.write_text(path.read_text().replace(f"  instance_id: {instance}\n", ""))
        return path

    def up(self, *names: str) -> None:
        """Start workers."""
        for name in names:
            self.workers[name] = self.start(name)

    async def down(self, name: str, number: int) -> None:
        """End one and wait for its end."""
        process = self.workers.pop(name)
        process.send_signal(number)
        await anyio.to_thread.run_sync(partial(process.wait, timeout=END_S))

    async def steady(self, providers: Logged) -> None:
        """Until every stream has been asked all the time for some seconds."""
        quiet_since = time.monotonic()
        while True:
            await anyio.sleep(0.2)
            if len(providers.asked) < 6 or any(time.monotonic() - times[-1] > 1 for times in providers.asked.values()):
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > SETTLED_S:
                return


async def stopped(fleet: Fleet) -> None:
    """One of two workers gets SIGTERM and does not come back."""
    await fleet.down("w0", signal.SIGTERM)


async def rolled(fleet: Fleet) -> None:
    """Three workers are replaced one after the other, each by a new process of the same name."""
    for name in ("w0", "w1", "w2"):
        await fleet.down(name, signal.SIGTERM)
        fleet.up(name)
        await anyio.sleep(4)


async def restarted(fleet: Fleet) -> None:
    """A worker gets SIGTERM and starts again at once under the same name."""
    await fleet.down("w0", signal.SIGTERM)
    fleet.up("w0")


async def killed(fleet: Fleet) -> None:
    """One of two workers gets SIGKILL and does not come back."""
    await fleet.down("w0", signal.SIGKILL)


async def frozen(fleet: Fleet) -> None:
    """One of two workers is frozen for longer than its session, and wakes up."""
    fleet.workers["w0"].send_signal(signal.SIGSTOP)
    await anyio.sleep(10)
    fleet.workers["w0"].send_signal(signal.SIGCONT)


Scenario = Callable[[Fleet], Awaitable[None]]
SCENARIOS: tuple[tuple[str, Scenario, int, str, bool, float], ...] = (
    ("clean stop (SIGTERM)", stopped, 2, "6s", False, 1.0),
    ("rolling restart of three", rolled, 3, "6s", False, 3.0),
    ("restarted, static membership", restarted, 2, "6s", True, 3.0),
    ("SIGKILL, session 6 s", killed, 2, "6s", False, 9.0),
    ("SIGKILL, session 2 s", killed, 2, "2s", False, 4.0),
    ("frozen for 10 s, session 2 s", frozen, 2, "2s", False, 4.0),
)


async def play(cluster: Cluster, scenario: Scenario, workers: int, session: str, *, static: bool, seed: int) -> tuple[float, str]:
    """One run: the longest pause of any stream, and what the judge says."""
    names = {role: f"{role}-{uuid.uuid4().hex[:8]}" for role in ("messages", "status", "dead_letters", "state")}
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder), cluster.bootstrap, names, seed=seed, session=session, static=static)
        async with fleet.providers(Logged) as providers:
            fleet.up(*(f"w{number}" for number in range(workers)))
            await fleet.steady(providers)
            since = time.monotonic()
            await scenario(fleet)
            await fleet.steady(providers)
            pause = providers.pause(since)
            for name in list(fleet.workers):
                await fleet.down(name, signal.SIGTERM)
            verdict = await fleet.settle("last")
        return pause, verdict.line + "".join(f"; {fault}" for fault in faults(fleet.events))


async def main(only: str = "") -> int:
    """The table; 1 when something was lost or doubled."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder, Cluster(fetch(KAFKA, progress=print), Path(folder) / "kafka") as cluster:
        print(f"{'what happens':32} {'runs':>4} {'p50 s':>6} {'max s':>6} {'goal s':>6}  lost, doubled", flush=True)
        for name, scenario, workers, session, static, goal in SCENARIOS:
            if only not in name:
                continue
            pauses, lines = [], []
            for run in range(RUNS):
                pause, line = await play(cluster, scenario, workers, session, static=static, seed=run)
                pauses.append(pause)
                lines.append(line)
            wrong = [line for line in lines if not line.endswith("0 missing, 0 duplicates")]
            bad += len(wrong)
            middle = sorted(pauses)[len(pauses) // 2]
            print(f"{name:32} {RUNS:4} {middle:6.1f} {max(pauses):6.1f} {goal:6.1f}  {'; '.join(wrong) or '0, 0'}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(anyio.run(main, *sys.argv[1:]))
