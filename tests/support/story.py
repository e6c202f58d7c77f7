"""Whole workers on virtual time: the unchanged engine, fake Kafka, simulated providers without sockets; a seed decides everything."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
import trio
import trio.testing

from poller.config import load as configuration
from poller.demo.accounts import ACCOUNTS, account_lines, write_secrets
from poller.demo.simulator.judge import Verdict, judge
from poller.demo.simulator.profiles import HEYMARKET
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.truth import Published
from poller.demo.simulator.vendors.answers import HANG, RESET, Answer
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.errors import CommitUncertain, Unavailable
from poller.model import DAY, SECOND
from poller.polling import account
from poller.publishing.cache import CacheDirectory
from poller.telemetry.facts import Telemetry
from poller.worker.worker import Worker
from tests.support.fake_kafka import FakeCluster, FakeLog
from tests.support.newest import split
from tests.support.seeded import Chance
from tests.support.straight import Sent, Straight
from tests.support.virtual_clock import VirtualClock

START = 1_790_000_000 * SECOND
SETTLE_TIMES = 40
"""Quiet times that a story may take, at most, until all is right."""

CONFIG = """\
kafka: {{bootstrap_servers: ["127.0.0.1:1"], shards: {shards}, partitions: 4, session_timeout: 2s{latest}}}
defaults: {{start_from: {start_from}, {defaults}}}
accounts:
{accounts}{more}"""


@dataclass
class Story:
    """One history. ``faults`` are probabilities by point; ``workers`` run side by side."""

    seed: int
    switches: Switches = field(default_factory=Switches)
    workers: int = 1
    crash_s: float | None = 8.0
    """Mean time between two crashes of a worker; None = none."""
    faults: dict[str, float] = field(default_factory=dict)
    seconds: float = 60.0
    settle_s: float = 10.0
    settle_times: int = SETTLE_TIMES
    cluster: FakeCluster = field(default_factory=lambda: FakeCluster(4))
    crashes: int = 0
    log: type[FakeLog] = FakeLog
    latest: bool = False
    """Whether there is a topic for latest messages."""

    def __post_init__(self) -> None:
        """Everything comes from the seed."""
        self.random, self.chance = random.Random(self.seed), Chance(self.seed)
        self.world = World(self.seed, START, self.switches, per_second=4.0)
        self.providers = Providers(self.world, self.seed)
        self.quiet, self.settled, self.plain = False, 0, True
        self.start, self.start_from = START, "24h"
        self.more, self.level, self.rate = "", "critical", "50/s"
        self.defaults = "interval: 1s, overlap: 1m, reconcile: {every: 6h, back: 24h}, timeout: 5s"
        self.look_s = account.LOOK_S
        self.running: dict[str, tuple[Worker, Telemetry]] = {}
        self.folder = Path()
        self.end: Callable[[], object] = bool
        """Ends the history at once, whatever is still to come; it is judged as it is then."""

    def play(self, script: Callable[[Story], object] | None = None) -> Verdict:
        """The history, and its verdict. ``script`` runs beside it; a story that is played again goes on, with new workers."""
        clock = trio.testing.MockClock(autojump_threshold=0)
        with self.chance.decided(self.look_s):
            return anyio.run(self._main, script, backend="trio", backend_options={"clock": clock})

    async def _main(self, script: Callable[[Story], object] | None) -> Verdict:
        self.clock = VirtualClock(self.start - round(anyio.current_time() * SECOND))
        with tempfile.TemporaryDirectory() as folder:
            write_secrets(Path(folder))
            path = Path(folder) / "poller.yaml"
            self.folder = Path(folder)
            path.write_text(self.configured())
            config = configuration.load(path)
            async with anyio.create_task_group() as tasks:
                self.end = tasks.cancel_scope.cancel
                for number in range(self.workers):
                    tasks.start_soon(self._worker, config, Path(folder), f"worker-{number}")
                if script is not None:
                    tasks.start_soon(script, self)
                await anyio.sleep(self.seconds)
                self.quiet = True
                self.world.freeze(self.clock.now())
                await self._settle()
                self.end()
        self.start = self.clock.now()
        return self.judge()

    def configured(self) -> str:
        """One account for each provider of the world."""
        rates = {provider: "50/s" for provider in self.world.providers if provider != HEYMARKET}
        accounts = account_lines(self.world.providers, "http://127.0.0.1", rates, self.rate)
        latest = ", topics: {latest: sms.messages-latest.v1}" if self.latest else ""
        given = {
            "latest": latest,
            "start_from": self.start_from,
            "shards": self.cluster.shards,
            "defaults": self.defaults,
            "more": self.more,
        }
        return CONFIG.format(accounts=accounts, **given)

    async def _settle(self) -> None:
        """Some quiet time, and more of it while something is still to come, which faults and back-off may delay."""
        self.settled = 0
        while self.settled < self.settle_times:
            self.settled += 1
            await anyio.sleep(self.settle_s)
            verdict = self.judge()
            if verdict.good or verdict.duplicates or verdict.out_of_order:
                return  # what came twice or in disorder is never right again

    def judge(self) -> Verdict:
        """What is right and wrong now."""
        return judge(self.world, self.published(), accounts=ACCOUNTS, now=self.clock.now(), plain=self.plain)

    async def _worker(self, config: configuration.Config, folder: Path, name: str) -> None:
        """One worker that crashes and comes back, with its cache or without."""
        while True:
            directory = folder / (name if self.random.random() < 0.5 else f"{name}-{self.random.random()}")
            with anyio.CancelScope() as life:
                if self.crash_s is not None and not self.quiet:
                    life.deadline = anyio.current_time() + self.random.expovariate(1 / self.crash_s)
                with CacheDirectory(directory) as store:
                    log = self.log(self.cluster, name, partial(self.fault, name=name))
                    telemetry = self.telemetry()
                    transport = Straight(partial(self._answer, name=name))
                    worker = Worker(config, log, store, clock=self.clock, telemetry=telemetry, retention=7 * DAY, transport=transport)
                    self.running[name] = worker, telemetry
                    await worker.run(anyio.Event())
            self.crashes += 1
            await anyio.sleep(self.random.random() * 3)

    def telemetry(self) -> Telemetry:
        """What a worker tells."""
        return Telemetry(version="story", level=self.level, clock=self.clock)

    async def fault(self, point: str, shard: int, name: str = "") -> None:
        """Whatever may go wrong at a point of the port."""
        await anyio.sleep(self.random.random() * 0.02)
        if self.quiet or self.random.random() >= self.faults.get(point, 0.0):
            return
        if point == "reply":
            raise CommitUncertain("the reply was lost")
        if point == "slow":
            await anyio.sleep(30)
        raise Unavailable("a fault of the story")

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        await anyio.sleep(max(self.world.switches.latency_s, self.random.random() * 0.2))
        found = self.providers.answer(*asked, self.clock.now())
        if found.status == HANG:
            await anyio.sleep_forever()
        if found.status == RESET:
            raise ConnectionResetError("reset")
        return found

    def published(self) -> list[Published]:
        """The events that a reader of committed records got."""
        return split(self.records())[0]

    def records(self) -> list[Published]:
        """Everything that a reader of committed records got: events, and latest messages."""
        events = []
        for _, record in self.cluster.public:
            headers = {name: value.decode() for name, value in record.headers}
            value = {} if record.topic == "dead_letters" else json.loads(record.value or b"null")
            key = (record.key or b"").decode()
            revision = value.get("revision", 0)
            events.append(Published(record.topic, key, headers["ce_id"], headers["ce_type"], revision, value, headers))
        return events
