"""``make bench``: what poller costs beside two floors and a hand-written loop, as ratios of one run, medians of three with the spread.

Every figure is CPU of the client process alone, from a mark after its start to an end, so that imports, TLS and idling are in none. A
run that lists or publishes another number of rows than expected is refused. See ``peers.py`` for what the rows mean. Rows that mostly
wait for time to pass (steady, idle, memory) are played beside each other; those that keep a core busy, one after another.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count as numbers
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from poller.demo.kafka.broker import Cluster, die_with_parent
from poller.demo.kafka.jars import fetch
from tests.lab.bench.memory import weigh
from tests.lab.bench.product import Product, Watched

PAGES = (100, 200, 1000)
IDS = (0, 300_000, 1_000_000)
"""Messages in state when the worker is weighed."""

FLOW, REACH_S, FOLLOW_S = 40.0, 25.0, 15.0
"""Steady: messages a second, how far each poll reaches back (25 re-listed rows a new one), and how long it is followed."""

QUIET_INTERVAL_S, QUIET_S = 0.2, 20.0
"""Idle: how often a stream is polled on which nothing happens, and for how long."""


T = TypeVar("T")


class Refused(Exception):
    """The run did other work than it should have."""


class Measured(Struct, frozen=True):
    """One process over one task."""

    cpu: float
    wall: float
    rows: int
    fresh: int
    requests: int


class Child:
    """A process that obeys lines."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
        )
        self.said = self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise Refused(f"a child ended: {self._process.wait(10)}")
        return line

    def ask(self, line: str) -> str:
        """A command and its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def measure(self, line: str) -> Measured:
        """A command and what it cost."""
        cpu, wall, rows, fresh, requests = self.ask(line).split()
        return Measured(float(cpu), float(wall), int(rows), int(fresh), int(requests))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@contextmanager
def child(*command: str) -> Iterator[Child]:
    """A child for as long as the block lasts."""
    process = Child(*command)
    try:
        yield process
    finally:
        process.close()


class Bench:
    """One Kafka, and fresh providers, topics and processes for each task."""

    def __init__(self, kafka: Cluster, folder: Path) -> None:
        self.bootstrap, self._folder, self._numbers = kafka.bootstrap, folder, numbers(1)

    def topic(self) -> str:
        """A fresh topic with sixteen partitions."""
        from confluent_kafka.admin import AdminClient, NewTopic

        name = f"bench-{next(self._numbers)}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(name, 16, 1)])[name].result(30)
        return name

    def peer(self, name: str, page: int, tasks: list[tuple[str, str]]) -> dict[str, Measured]:
        """A peer over tasks, each with commands to the provider before it: ``(provider commands, peer command)``."""
        with ExitStack() as stack:
            provider = stack.enter_context(child("tests.lab.bench.provider", str(page)))
            url = f"http://127.0.0.1:{provider.said}/v1/messages/all"
            peer = stack.enter_context(child("tests.lab.bench.peers", name, url, self.bootstrap, self.topic(), str(page)))
            found = {}
            for commands, task in tasks:
                for command in filter(None, commands.split(";")):
                    provider.ask(command)
                found[task.split()[0] + str(len(found))] = peer.measure(task)
            return found

    def product(self, page: int, *, interval: str, overlap: str, before: int = 0) -> Product:
        """poller beside a provider that lists ``before`` old messages from the start."""
        number = next(self._numbers)
        folder = self._folder / f"product-{number}"
        folder.mkdir()
        provider = Child("tests.lab.bench.provider", str(page))
        if before:
            provider.ask(f"past {before}")
        return Product(folder, self.bootstrap, provider, f"bench{number}", interval=interval, overlap=overlap)


def together(tasks: list[Callable[[], T]]) -> list[T]:
    """What each of them gives, played beside each other."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [done.result() for done in [pool.submit(task) for task in tasks]]


def new_and_again(bench: Bench, page: int, count: int) -> dict[str, tuple[float, ...]]:
    """CPU microseconds per new message, per re-listed row of a restless page, per row of an identical page; requests' rows are checked."""
    found: dict[str, tuple[float, ...]] = {}
    for name in ("fetch", "bare", "transactional", "loop"):
        done = bench.peer(
            name, page, [(f"reveal {count}", f"walk {count} 1"), ("restless 1", f"walk {count} 3"), ("restless 0", f"walk {count} 3")]
        )
        new, again, same = done.values()
        if (new.rows, again.rows, same.rows) != (count, 3 * count, 3 * count) or (name == "loop" and new.fresh != count):
            raise Refused(f"{name}: {done}")
        found[name] = (new.cpu / count * 1e6, again.cpu / again.rows * 1e6, same.cpu / same.rows * 1e6)
    with bench.product(page, interval="100ms", overlap="1h") as poller:
        new = poller.until_published(count, reveal=count)
        again = poller.over_rows(3 * count, restless=True)
        same = poller.over_rows(3 * count, restless=False)
    found["poller"] = (new.cpu / count * 1e6, again.cpu / again.rows * 1e6, same.cpu / same.rows * 1e6)
    found["listed"] = (new.rows / count,)
    return found


def ours_steady(bench: Bench) -> Watched:
    """poller, where 25 rows are listed for each new one."""
    with bench.product(100, interval="1s", overlap=f"{REACH_S:.0f}s") as poller:
        return poller.over_time(FOLLOW_S, flow=FLOW, warm_s=REACH_S)


def loop_steady(bench: Bench) -> Measured:
    """The hand-written loop on the same."""
    found = bench.peer("loop", 100, [(f"flow {FLOW}", f"follow {REACH_S} {REACH_S}"), ("", f"follow {FOLLOW_S} {REACH_S}")])
    return list(found.values())[-1]


def quiet(bench: Bench) -> Watched:
    """A stream of which nothing is heard.

    Nothing happened for longer than the overlap, and for so many intervals that hints are asked for as seldom as they ever are.
    """
    with bench.product(100, interval=f"{QUIET_INTERVAL_S * 1000:.0f}ms", overlap="1m", before=50) as poller:
        return poller.over_time(QUIET_S, flow=0.0, warm_s=50.0)


def call(bench: Bench) -> Measured:
    """Five hundred bare calls for its page."""
    return bench.peer("bare", 100, [("reveal 50", "walk 50 500")])["walk0"]


def backlog(bench: Bench, count: int) -> tuple[float, float]:
    """Wall seconds for a backlog of one stream: the loop, and poller from its readiness."""
    loop = bench.peer("loop", 100, [(f"reveal {count}", f"walk {count} 1")])["walk0"]
    with bench.product(100, interval="1s", overlap="1h") as poller:
        ours = poller.until_published(count, reveal=count)
    return loop.wall, ours.wall


def spread(values: list[float]) -> str:
    """The median, with the smallest and the largest."""
    return f"{statistics.median(values):7.2f} ({min(values):.2f} - {max(values):.2f})"


def report(runs: list[dict[int, dict[str, tuple[float, ...]]]], pages: tuple[int, ...]) -> None:
    """Ratios, each of one run."""
    kinds = ("new message", "re-listed row", "row of an identical page")
    rivals = (("transactional", "loop"), ("fetch", "loop"), ("bare", "loop"))
    for page in pages:
        for index, kind in enumerate(kinds):
            ours = [run[page]["poller"][index] for run in runs]
            line = f"pages of {page:<5}{kind:26}{statistics.median(ours):8.1f} us"
            for rival in rivals[index]:
                line += f"   x {rival} {spread([run[page]['poller'][index] / run[page][rival][index] for run in runs])}"
            print(line)
        print(f"pages of {page:<5}{'rows listed a new message':26}{spread([run[page]['listed'][0] for run in runs])}")


def of_pages(bench: Bench, asked: argparse.Namespace) -> None:
    """New, re-listed and identical rows, by length of page."""
    pages = tuple(asked.pages)
    report([{page: new_and_again(bench, page, asked.count) for page in pages} for _ in range(asked.runs)], pages)


def of_steady(bench: Bench, asked: argparse.Namespace) -> None:
    """A stream on which a little is new in every interval: CPU of a new message."""
    runs = asked.runs
    ours, loops = (together([partial(each, bench)] * runs) for each in (ours_steady, loop_steady))
    costs = [each.cpu / each.fresh * 1e6 for each in ours]
    ratios = [cost / (loop.cpu / loop.fresh * 1e6) for cost, loop in zip(costs, loops, strict=True)]
    listed = statistics.median(each.rows / each.fresh for each in ours)
    print(f"steady, {listed:.0f} rows listed a new one: {statistics.median(costs):.0f} us   x loop {spread(ratios)}")


def of_idle(bench: Bench, asked: argparse.Namespace) -> None:
    """A quiet stream: requests an interval, and CPU of each beside a bare call."""
    quiets, calls = together([partial(quiet, bench)] * asked.runs), [call(bench) for _ in range(asked.runs)]
    requests = [each.requests / (QUIET_S / QUIET_INTERVAL_S) for each in quiets]
    ratios = [(each.cpu / each.requests) / (bare.cpu / bare.requests) for each, bare in zip(quiets, calls, strict=True)]
    print(f"idle: {spread(requests)} requests an interval, each x bare call {spread(ratios)}")


def of_backlog(bench: Bench, asked: argparse.Namespace) -> None:
    """How long a backlog takes."""
    walls = [backlog(bench, asked.backlog) for _ in range(asked.runs)]
    print(f"backlog of {asked.backlog}: {walls[0][1]:.1f} s   x loop {spread([ours / loop for loop, ours in walls])}")


def weighed(bench: Bench, count: int) -> float:
    """MiB of a worker with so many ids in state."""
    return weigh(bench.bootstrap, bench.product(100, interval="1s", overlap="10m", before=50), count)


def of_memory(bench: Bench, asked: argparse.Namespace) -> None:
    """What a worker weighs."""
    for count, mib in zip(asked.ids, together([partial(weighed, bench, count) for count in asked.ids]), strict=True):
        print(f"memory after a start with {count} ids in state: {mib:.0f} MiB")


PARTS = {"pages": of_pages, "steady": of_steady, "idle": of_idle, "backlog": of_backlog, "memory": of_memory}


def main() -> None:
    """Measure, print, refuse what is not comparable."""
    given = argparse.ArgumentParser()
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--count", type=int, default=20_000)
    given.add_argument("--backlog", type=int, default=50_000)
    given.add_argument("--pages", type=int, nargs="*", default=list(PAGES))
    given.add_argument("--ids", type=int, nargs="*", default=list(IDS))
    given.add_argument("--parts", choices=PARTS, nargs="*", default=list(PARTS))
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as name, Cluster(fetch(progress=print), Path(name) / "kafka") as kafka:
        bench = Bench(kafka, Path(name))
        began = time.monotonic()
        for part in asked.parts:
            PARTS[part](bench, asked)
            sys.stdout.flush()
            print(f"{part}: done after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
