"""A trial: simulated providers over HTTP, real Kafka, real daemons that are killed, and an independent judge at the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from poller.commands.audit_rules import Audit
from poller.demo.accounts import ACCOUNTS, account_lines, write_secrets
from poller.demo.kafka.broker import die_with_parent
from poller.demo.kafka.jars import VERSION
from poller.demo.kafka.reader import Reader
from poller.demo.simulator.judge import Verdict, judge
from poller.demo.simulator.profiles import FIRST_THREE
from poller.demo.simulator.server import serving
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.truth import Published
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.kafka.port import PUBLIC
from tests.support.newest import split

P = TypeVar("P", bound=Providers)
KAFKA = os.environ.get("KAFKA_VERSION", VERSION)
"""The release of Kafka that longer trials run on."""

POINTS = ("mid_send", "before_commit", "in_commit", "after_commit")
KILL_WITHIN_S = 60.0

CONFIG = """\
kafka:
  bootstrap_servers: ["{bootstrap}"]
  topics: {{{topics}}}{kafka}
  session_timeout: {session}
  instance_id: {instance}
  partitions: 4
  shards: {shards}
  group: group-{state}
state: {{directory: {instance}}}
admin: {{listen: "127.0.0.1:{admin}"}}
log: {{level: error}}
defaults: {{interval: 200ms, overlap: 1m, start_from: {start_from}, reconcile: {{every: 6h, back: 24h}}, timeout: 5s}}
accounts:
{accounts}"""


def now() -> int:
    """Wall time in microseconds."""
    return time.time_ns() // 1000


class Trial:
    """One world, one set of topics, any number of daemons, one verdict."""

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        names: dict[str, str],
        *,
        seed: int,
        switches: Switches | None = None,
        session: str = "2s",
        admin: int = 0,
        vendors: tuple[str, ...] = FIRST_THREE,
    ) -> None:
        self.folder, self.bootstrap, self.names = folder, bootstrap, names
        self.random = random.Random(seed)
        self.world = World(seed, now(), switches, per_second=15.0, providers=vendors)
        self.url = ""
        self.kills, self.start_from = 0, "24h"
        self.shards, self.session, self.admin = 4, session, admin
        self.events: list[Published] = []
        self.kafka: tuple[str, ...] = ()
        """More lines of the configuration of Kafka."""
        self.latest: list[Published] = []
        """Latest messages, where a topic is named for them."""

    @asynccontextmanager
    async def providers(self, kind: type[P] = Providers) -> AsyncIterator[P]:
        """The providers answer for as long as the block lasts."""
        write_secrets(self.folder)
        providers = kind(self.world)
        async with serving(providers) as self.url:
            yield providers

    def config(self, instance: str = "worker") -> Path:
        """A configuration file of one worker."""
        path = self.folder / f"{instance}.yaml"
        path.write_text(
            CONFIG.format(
                bootstrap=self.bootstrap.replace(",", '", "'),
                accounts=account_lines(self.world.providers, self.url, {}, "100/s"),
                instance=instance,
                shards=self.shards,
                session=self.session,
                start_from=self.start_from,
                admin=self.admin,
                state=self.names["state"],
                kafka="".join(f"\n  {line}" for line in self.kafka),
                topics=", ".join(f"{role}: {name}" for role, name in self.names.items()),
            )
        )
        return path

    def start(self, instance: str = "worker", **environment: str) -> subprocess.Popen[bytes]:
        """A daemon, with the crash that the environment asks for."""
        command = [sys.executable, "-m", "tests.support.crash_worker", "run", "--config", str(self.config(instance))]
        environment = {**os.environ, "COMMITS": str(self.folder / "commits"), **environment}
        return subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)

    def commits(self) -> int:
        """Transactions that daemons have committed so far."""
        path = self.folder / "commits"
        return path.stat().st_size if path.exists() else 0

    async def kill_at(self, point: str, **environment: str) -> bool:
        """Start a daemon that kills itself at a point; whether it had committed before (only then it counts)."""
        before = self.commits()
        process = self.start(CRASH=point, SEED=str(self.random.randrange(1 << 30)), **environment)
        with anyio.move_on_after(KILL_WITHIN_S):
            while process.poll() is None:
                await anyio.sleep(0.05)
        ended = process.poll()
        if ended is None:
            process.kill()
        await anyio.to_thread.run_sync(process.wait)
        if self.random.random() < 0.5:
            shutil.rmtree(self.folder / "worker", ignore_errors=True)
        counted = ended == -signal.SIGKILL and self.commits() > before
        self.kills += counted
        return counted

    async def settle(
        self, instance: str = "worker", seconds: float = 60.0, *, enough: Callable[[Verdict], bool] = attrgetter("good"), **environment: str
    ) -> Verdict:
        """The providers fall silent; one undisturbed daemon catches up, until it is enough; what was published is judged."""
        before = self.commits()
        process = self.start(instance, **environment)
        self.world.freeze(now())
        try:
            with anyio.move_on_after(seconds):
                while self.commits() == before and process.poll() is None:
                    await anyio.sleep(0.05)
            return await anyio.to_thread.run_sync(self._read, seconds, enough)
        finally:
            process.send_signal(signal.SIGTERM)
            with anyio.CancelScope(shield=True):
                assert await anyio.to_thread.run_sync(process.wait, 25) == 0

    def _read(self, seconds: float, enough: Callable[[Verdict], bool]) -> Verdict:
        end = time.monotonic() + seconds
        with Reader(self.bootstrap, [self.names[role] for role in PUBLIC if role in self.names]) as reader:
            while True:
                found = reader.poll(0.5)
                events, latest = split(found)
                self.events += events
                self.latest += latest
                if found and time.monotonic() <= end:
                    continue  # what is still to come may be wrong
                verdict = judge(self.world, self.events, accounts=ACCOUNTS, now=now())
                if enough(verdict) or verdict.duplicates or time.monotonic() > end:
                    return verdict


def faults(events: list[Published]) -> list[str]:
    """What the product's own judge finds: duplicates, gaps, disorder, torn and lost transactions, latest messages that are behind."""
    audit = Audit()
    events, latest = split(events)
    for each in latest:
        audit.latest(each.key, each.headers, each.revision)
    for topic in dict.fromkeys(event.topic for event in events):
        for event in events:
            if event.topic == topic:
                dead = "dead-letter" in event.type
                audit.feed(topic, event.key, event.headers, None if dead else event.revision, 0)
    return [f"{finding.kind}: {finding.examples}" for finding in audit.findings()]
