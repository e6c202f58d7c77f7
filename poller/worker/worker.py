"""One worker: the shards that the group hands it, and the accounts on them.

What is owned comes from the group as a complete set each time; :func:`plan` compares it with
what runs, so repeats and rebalances that change nothing are harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType

import anyio
from anyio.abc import TaskGroup

from .. import __version__
from ..clock import SystemClock
from ..config.accounts import Account as AccountConfig
from ..config.load import Config
from ..config.stream_names import stream_names
from ..errors import Broken, KafkaError, PollerError, Unavailable
from ..kafka.partitioner import shard_of
from ..kafka.port import Log, Membership, Ownership
from ..model import SECOND, Instant
from ..polling.account import Poller
from ..polling.client.wire import Transport
from ..polling.pictures import no_state
from ..publishing.cache import CacheDirectory
from ..publishing.commit import Committer
from ..publishing.events import RECORD_BYTES_MAX, Publisher
from ..publishing.framing import Frame
from ..publishing.privacy import Privacy
from ..publishing.state_records import decode_state
from ..telemetry.facts import Telemetry
from ..telemetry.snapshot import AccountSnapshot, Elsewhere, ShardSnapshot, StreamPage, Trouble, WorkerSnapshot
from .account_wiring import client_of, settings_of
from .phases import Phase
from .shard import Settings, Shard
from .unending import unending

SILENT = "Kafka has not answered heartbeats for half a session: polling waits"
"""What the status page says while Kafka is silent."""

LISTEN_AGAIN_S = 2.0
"""Seconds before requests are followed again after trouble."""

DRAIN_S = 12.0
"""What a clean stop leaves the shards, within its twenty seconds."""


def plan(running: Iterable[int], wanted: Iterable[int]) -> tuple[frozenset[int], frozenset[int]]:
    """``(start, stop)``: what turns the running shards into the wanted ones."""
    has, wants = frozenset(running), frozenset(wanted)
    return wants - has, has - wants


class Worker:
    """One ``poller run``: the shards it owns, and everything they share. ``name`` is what other workers call it."""

    def __init__(
        self,
        config: Config,
        log: Log,
        store: CacheDirectory,
        *,
        clock: SystemClock,
        telemetry: Telemetry,
        retention: Instant,
        record_bytes_max: int = RECORD_BYTES_MAX,
        transport: Transport | None = None,
        name: str = "",
        frames: Mapping[str, Frame] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.config, self._log, self._store, self._transport = config, log, store, transport
        self._clock, self._telemetry = clock, telemetry
        self._shards: dict[int, Shard] = {}
        self._closing: dict[int, Shard] = {}
        self._owned = Ownership(frozenset(), stable=False)
        self._membership: Membership | None = None
        self._joined = self._draining = False
        self._started = clock.now()
        self._silent_since: Instant | None = None
        privacy = config.privacy
        key = privacy.key.read().encode() if privacy.key else b""
        self._privacy = Privacy(numbers=privacy.numbers, text=privacy.text, original_dead_letters=privacy.original_dead_letters, key=key)
        self._publisher = Publisher(
            partitions=config.kafka.partitions,
            privacy=self._privacy,
            record_bytes_max=record_bytes_max,
            latest=config.kafka.topics.latest is not None,
            frames=frames,
        )
        self._settings = Settings(
            log=log,
            group=config.kafka.group,
            shards=config.kafka.shards,
            publisher=self._publisher,
            retention=retention,
            session_s=config.kafka.session_timeout / SECOND,
            clock=clock,
            telemetry=telemetry,
            key=key,
        )
        self._accounts: dict[int, list[AccountConfig]] = {}
        for account in config.accounts:
            if account.enabled:
                self._accounts.setdefault(shard_of(account.key, config.kafka.shards), []).append(account)

    async def run(self, stop: anyio.Event) -> None:
        """Own and run shards until ``stop``; then drain them, and leave the group last."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unending, "following the group", partial(self._follow, tasks))
            tasks.start_soon(unending, "listening for requests", self._listen)
            await stop.wait()
            self._draining = True
            await self._drain()
            tasks.cancel_scope.cancel()

    async def _follow(self, tasks: TaskGroup) -> None:
        async with self._log.membership() as self._membership:
            while True:
                self._take(await self._membership.next(), tasks)

    async def _listen(self) -> None:
        """Follow what commands ask, through any outage."""
        while True:
            try:
                async for key, value in self._log.requests():
                    self._telemetry.well("requests")
                    self._ask(key, value)
            except KafkaError as error:
                self._telemetry.kafka_trouble(error, "requests")
            await self._clock.sleep(LISTEN_AGAIN_S)

    def _ask(self, key: bytes, value: bytes | None) -> None:
        """Hand a request to the shard of its stream, if that is ours."""
        try:
            stream_id = key[1:].decode()
            shard = self._shards.get(shard_of(stream_id.rpartition("/")[0], self.config.kafka.shards))
            if shard is not None and value:
                shard.backfill(stream_id, decode_state(key, value))
        except (PollerError, UnicodeDecodeError):
            self._telemetry.request_unreadable()

    def _take(self, owned: Ownership, tasks: TaskGroup) -> None:
        """Start and stop what the group says; during a rebalance what runs keeps running."""
        self._owned = owned
        if not owned.stable or self._draining:
            return
        self._joined = True
        self._telemetry.owned(owned.shards)
        accounts = [account for shard in owned.shards for account in self._accounts.get(shard, ())]
        self._telemetry.accounts((account.provider, account.name) for account in accounts)
        start, stop = plan(self._shards, (shard for shard in owned.shards if shard in self._accounts))
        for number in sorted(stop):
            self._closing[number] = self._shards.pop(number)
            self._closing[number].stop()
        for number in sorted(start):
            self._start(number, tasks)

    def _start(self, number: int, tasks: TaskGroup) -> None:
        shard = Shard(
            number,
            self._store.shard(number),
            self._settings,
            accounts=frozenset(account.key for account in self._accounts[number]),
            pollers=lambda committer: [self._poller(account, committer) for account in self._accounts[number]],
            hold=_Hold(self, number),
            unrestored=lambda: tuple(self._unrestored(account, number) for account in self._accounts[number]),
        )
        earlier = self._closing.get(number)
        self._shards[number] = shard
        tasks.start_soon(self._run_shard, number, shard, earlier)

    async def _run_shard(self, number: int, shard: Shard, earlier: Shard | None) -> None:
        if earlier is not None:
            await earlier.closed.wait()
        await shard.run()
        if self._shards.get(number) is shard and not self._draining:
            raise Broken(f"shard {number} ended without being asked to")
        if self._closing.get(number) is shard:
            del self._closing[number]

    def confirmed(self, number: int) -> bool:
        """Whether the group confirms that a shard is ours, with a fresh heartbeat."""
        return self._owned.stable and self.kept(number)

    def kept(self, number: int) -> bool:
        """Whether a shard is ours as far as we know, with a fresh heartbeat."""
        return number in self._owned.shards and self._fresh()

    def _fresh(self) -> bool:
        return self._membership is not None and self._membership.fresh()

    async def _drain(self) -> None:
        for shard in [*self._shards.values(), *self._closing.values()]:
            shard.stop()
        with anyio.move_on_after(DRAIN_S):
            for shard in [*self._shards.values(), *self._closing.values()]:
                await shard.closed.wait()

    def _poller(self, config: AccountConfig, committer: Committer) -> Poller:
        """Everything of one account, made anew each time its shard runs."""
        facts = self._telemetry.account(config.provider, config.name)
        client = client_of(config, facts, self._clock, self._transport)
        names = stream_names(config, facts.names)
        return Poller(settings_of(config), client, committer, facts, self._clock, streams=names, may_poll=self._fresh)

    def _unrestored(self, config: AccountConfig, shard: int) -> AccountSnapshot:
        """An account that this worker owns, before its shard was ever restored here."""
        owned_since = self._telemetry.owned_since(config.provider, config.name)
        return no_state(config.provider, config.name, shard, owned_since=owned_since, now=self._clock.now())

    def snapshot(self) -> WorkerSnapshot:
        """This worker, for outsiders."""
        return self._picture(tuple(shard.snapshot() for _, shard in sorted(self._shards.items())))

    def watch(self) -> None:
        """Say what keeps this worker from polling; to be called every few seconds."""
        silent = self._joined and not self._fresh()
        self._silent_since = (self._silent_since or self._clock.now()) if silent else None
        self._telemetry.watched(self._picture(tuple(shard.bare() for _, shard in sorted(self._shards.items()))))

    def _picture(self, shards: tuple[ShardSnapshot, ...]) -> WorkerSnapshot:
        waits = any(shard.state != Phase.RUNNING and shard.reason == Unavailable.kind for shard in shards)
        silent = self._joined and not self._fresh()
        problems = [Trouble(kind="kafka_silent", text=SILENT, since=self._silent_since)] if silent else []
        wrong = self._membership.trouble() if self._membership is not None else None
        if wrong is not None:
            problems.append(Trouble(kind=wrong.kind, text=f"{wrong}; fix: {wrong.fix}" if wrong.fix else str(wrong)))
        return WorkerSnapshot(
            version=__version__,
            worker=self.name,
            started=self._started,
            now=self._clock.now(),
            joined=self._joined,
            draining=self._draining,
            kafka_up=not waits and (self._fresh() or not self._joined),
            shards_total=self.config.kafka.shards,
            shards_owned=len(self._owned.shards),
            accounts_configured=sum(len(accounts) for accounts in self._accounts.values()),
            problems=tuple(problems),
            shards=shards,
            elsewhere=self._elsewhere(),
        )

    def _elsewhere(self) -> tuple[Elsewhere, ...]:
        """The configured accounts that other workers own, with their names as far as the group has told them."""
        if not self._joined:
            return ()
        return tuple(
            Elsewhere(provider=account.provider, account=account.name, shard=shard, owner=self._owned.owners.get(shard, ""))
            for shard, accounts in sorted(self._accounts.items())
            if shard not in self._shards
            for account in accounts
        )

    def streams(self, account_key: str, offset: int, limit: int) -> StreamPage | None:
        """Some streams of an account that this worker owns."""
        for shard in self._shards.values():
            found = shard.streams(account_key, offset, limit)
            if found is not None:
                return found
        return None


class _Hold:
    """This worker's right to one shard."""

    def __init__(self, worker: Worker, number: int) -> None:
        self._worker, self._number = worker, number

    def confirmed(self) -> bool:
        return self._worker.confirmed(self._number)

    def kept(self) -> bool:
        return self._worker.kept(self._number)
