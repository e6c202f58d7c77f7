"""``make chaos-sim N=10000``: thousands of short histories of whole workers that crash, freeze and take over, on virtual time.

A seed decides everything, interleavings included; ``--seed K`` plays one again and says more.
``--mutant NAME`` breaks one law on purpose: the histories must find it (``make mutants``).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
from collections.abc import Sequence

import anyio
from msgspec.structs import replace

from poller.demo.simulator.switches import HOSTILE, Switches
from poller.demo.simulator.vendors.answers import Answer
from poller.errors import CommitUncertain, Unavailable
from poller.kafka.port import STATE, Record
from poller.model import SECOND
from poller.publishing import shard_state as shard_state
from poller.publishing.cache import Position
from poller.publishing.commit import Committer
from poller.publishing.message_state import digest
from poller.publishing.state_records import Kind, decode_state
from tests.support.fake_kafka import FakeCluster, FakeLog, FakeMember, FakeWriter
from tests.support.story import Story
from tests.support.straight import Sent
from tests.support.trial import faults

SHARDS, SESSION_S = 4, 2.0
POLLED_AGAIN = 12 * SECOND


class Log(FakeLog):
    """A log whose writers may be mutants."""

    writer: type[FakeWriter] = FakeWriter

    async def open_and_fence(self, shard: int) -> FakeWriter:
        """Fenced, with the writer of the mutant."""
        opened = await super().open_and_fence(shard)
        return self.writer(self, shard, opened._epoch)


class LateWriter(FakeWriter):
    """Restore before fence: the epoch is taken with the first commit only."""

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """Too late."""
        if self._epoch < 0:
            epochs = self._log.cluster.epochs
            self._epoch = epochs[self._shard] = epochs.get(self._shard, 0) + 1
        return await super().commit(records, timeout_s=timeout_s)


class LateLog(Log):
    """Opens without fencing."""

    async def open_and_fence(self, shard: int) -> FakeWriter:
        """No fence yet."""
        return LateWriter(self, shard, -1)


class StubbornWriter(FakeWriter):
    """Uses a producer again after an error: asks for the same commit once more."""

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """The first may well have committed."""
        try:
            return await super().commit(records, timeout_s=timeout_s)
        except CommitUncertain:
            self._struck = False
            return await super().commit(records, timeout_s=timeout_s)


class CarelessWriter(FakeWriter):
    """Forgets to await its sends: a batch that failed is missing from the transaction."""

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """A failed send is not looked at."""
        try:
            await self._log.fault("batch", self._shard)
        except Unavailable:
            public = [record for record in records if record.topic != STATE]
            records = [record for record in records if record not in public[:1]]
        return await super().commit(records, timeout_s=timeout_s)


class HastyCommitter:
    """Writes the cache before the commit."""

    original = Committer._transaction

    @staticmethod
    async def transaction(self: Committer, events: list, rows: dict, timeout_s: float) -> None:  # type: ignore[type-arg]
        """Whatever becomes of the commit."""
        position = self._rows.position() or Position(0, 0, self.shard_state.meta.nonce, self._cluster, self._clock.now())
        self._rows.write(rows.items(), replace(position, written=self._clock.now()))
        await HastyCommitter.original(self, events, rows, timeout_s)


class Deaf(FakeMember):
    """A zombie that does not notice that heartbeats stopped."""

    def fresh(self) -> bool:
        """Always."""
        return True


MUTANTS = ("restore-before-fence", "producer-reused", "cache-before-commit", "sends-not-awaited", "no-self-fence")
DOUBLE_POLLING_ONLY = "no-self-fence"


class History(Story):
    """A short story with frozen workers."""

    def __init__(self, seed: int, mutant: str = "") -> None:
        rng = random.Random(seed)
        log: type[Log] = {"restore-before-fence": LateLog}.get(mutant, type("Log", (Log,), {}))
        log.writer = {"producer-reused": StubbornWriter, "sends-not-awaited": CarelessWriter}.get(mutant, FakeWriter)
        super().__init__(
            seed,
            switches=HOSTILE if rng.random() < 0.3 else Switches(),
            workers=rng.randrange(2, 5),
            crash_s=rng.choice((None, 5.0, 10.0)),
            faults={point: rng.choice((0.0, 0.05, 0.2)) for point in ("reply", "commit", "send", "open", "read", "batch")},
            seconds=15.0,
            settle_s=20.0,
            cluster=FakeCluster(SHARDS),
            log=log,
        )
        self.mutant = mutant
        self.frozen: dict[str, float] = {}
        self.asked: dict[str, int] = {}
        self.by_outsiders = 0

    async def freezer(self, _: Story) -> None:
        """Workers stand still for a while; after a session the group deals without them; thawed, they join again."""
        while not self.quiet:
            await anyio.sleep(self.random.expovariate(1 / 4))
            names = sorted(self.cluster.members)
            if not names or self.quiet:
                continue
            name = self.random.choice(names)
            member, until = self.cluster.members[name], anyio.current_time() + self.random.uniform(0.5, 8)
            if self.mutant == DOUBLE_POLLING_ONLY:
                member.__class__ = Deaf
            self.frozen[name] = until
            member.healthy = False
            await anyio.sleep_until(min(until, anyio.current_time() + SESSION_S))
            if anyio.current_time() < until and self.cluster.members.get(name) is member:
                del self.cluster.members[name]
                self.cluster.rebalance()
            await anyio.sleep_until(until + self.random.random())
            if self.cluster.members.get(name, member) is member and member.alive:
                self.cluster.members[name] = member
                member.healthy = True
                self.cluster.rebalance()

    async def _thawed(self, name: str) -> None:
        await anyio.sleep_until(self.frozen.get(name, 0.0))

    async def fault(self, point: str, shard: int, name: str = "") -> None:
        """Frozen workers stand still at every point."""
        await super().fault(point, shard)
        await self._thawed(name)

    async def _answer(self, asked: Sent, name: str = "") -> Answer:
        stream = asked.path.partition("/messages")[0]
        if "/v2/Messages/" not in stream:  # look-ups of single messages come and go
            self.asked[stream] = self.clock.now()
        self.by_outsiders += name not in self.cluster.members
        answer = await super()._answer(asked)
        await self._thawed(name)
        return answer

    def judged(self) -> list[str]:
        """Everything that is wrong with this history."""
        original = Committer._transaction
        if self.mutant == "cache-before-commit":
            Committer._transaction = HastyCommitter.transaction  # type: ignore[method-assign]
        try:
            verdict = self.play(self.freezer)
        finally:
            Committer._transaction = original  # type: ignore[method-assign]
        wrong = [] if verdict.good else [verdict.line]
        wrong += faults(self.published()) + [f"two owners: {where}" for where in self.two_owners()]
        wrong += [f"{stream} was left alone" for stream, at in self.asked.items() if at < self.start - POLLED_AGAIN]
        return wrong + self.unlike_state()

    def two_owners(self) -> list[tuple[int, int]]:
        """Commits under an epoch that was over, or that two workers used."""
        newest: dict[int, tuple[int, str]] = {}
        wrong = []
        for shard, epoch, name in self.cluster.commits:
            last, owner = newest.get(shard, (0, ""))
            if epoch < last or (epoch == last and name != owner):
                wrong.append((shard, epoch))
            newest[shard] = epoch, name
        return wrong

    def unlike_state(self) -> list[str]:
        """Messages whose revision in the folded state topic is not the last one published."""
        state: dict[bytes, int] = {}
        for log in self.cluster.state.values():
            for record, committed in log:
                if committed and record.key[:1] == Kind.MESSAGE and record.value is not None:
                    state[record.key[1:]] = decode_state(record.key, record.value).revision
        last: dict[str, int] = {}
        for event in self.published():
            if event.revision:
                last[event.key] = max(last.get(event.key, 0), event.revision)
        return [f"{key}: state is not what was published" for key, revision in last.items() if state.get(digest(key)) != revision]


def history(given: tuple[int, str]) -> tuple[int, list[str], int]:
    """One history: its seed, what is wrong, and requests of workers that the group had given up."""
    played = History(*given)
    return given[0], played.judged(), played.by_outsiders


def main() -> int:
    """Play, show progress, and name the seeds that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--mutant", choices=MUTANTS, default="")
    given = parser.parse_args()
    seeds = range(given.count) if given.seed is None else [given.seed]
    failed, outside, number = [], 0, 0
    os.environ["PYTHONHASHSEED"] = "0"  # of the processes that play: the order of sets is part of a history
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for number, (seed, wrong, outsiders) in enumerate(pool.imap_unordered(history, [(seed, given.mutant) for seed in seeds]), 1):
            outside += outsiders
            if wrong:
                failed.append(seed)
                print(f"seed {seed}: {'; '.join(wrong)[:300]}", flush=True)
            if failed and given.mutant:
                break  # it is found
            if number % 100 == 0:
                print(f"{number} of {len(seeds)} histories", file=sys.stderr, flush=True)
    print(f"{number} histories{', mutant ' + given.mutant if given.mutant else ''}: {len(failed)} failed")
    print(f"requests of workers that the group had given up: {outside}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
