"""The composition root: opens everything in one block, waits for Kafka, and ends on SIGTERM."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import AsyncIterable, Iterable
from contextlib import ExitStack
from functools import partial

import anyio
from msgspec.structs import replace

from .. import __version__
from ..clock import SystemClock
from ..config.forms import LOOPBACK
from ..config.load import Config
from ..errors import ConfigError, Denied, KafkaError, Refused, RegistryDenied, RegistryUnavailable, Unavailable, WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import Connection, silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import STATE
from ..kafka.schema_registry import register
from ..publishing.cache import CacheDirectory
from ..publishing.framing import Frame, frames, subjects
from ..publishing.restore import newest_metas
from ..publishing.shard_state import claim
from ..signals import ending_signals, signals_received
from ..telemetry import admin as status
from ..telemetry.facts import Telemetry
from ..telemetry.log import form_of
from ..telemetry.snapshot import StreamPage, Trouble, WorkerSnapshot
from ..telemetry.traces import collected
from .unending import unending
from .worker import Worker

STOP_S = 15.0
"""What a clean stop leaves the worker, within its twenty seconds: clients that do not come to their end are ended after it."""

RETRY_S = 2.0
"""Seconds between two attempts to reach Kafka at the start."""

OF_THE_REGISTRY = (RegistryUnavailable.kind, RegistryDenied.kind)
"""Trouble at the start that begins only once Kafka has answered."""

WATCH_S = 4.0
"""How often it is looked whether something keeps the worker from polling: silence is said within 10 s."""


TOPICS_S = 60.0
"""Seconds between two looks at whether somebody has altered the topics: a look costs Kafka a few requests, and what runs goes on as it was."""


async def run(config: Config) -> None:
    """The daemon, until SIGTERM, SIGINT or SIGHUP. Raises ConfigError for what only the operator can mend."""
    silence_fenced_futures()
    link = connection_of(config)
    telemetry = Telemetry(version=__version__, level=config.log.level, form=form_of(config.log.format), worker=link.worker)
    with signals_received() as received, ExitStack() as opened:
        with config.at("state", "directory"):
            store = opened.enter_context(CacheDirectory(config.directory))
        endpoint, taken = config.traces and config.traces.endpoint, telemetry.spans_taken
        spans = collected(endpoint, SystemClock().now, version=__version__, worker=link.worker, taken=taken)
        telemetry.spans = opened.enter_context(spans)
        with config.at("admin", "listen"):
            listener = opened.enter_context(status.listening(config.admin.host, config.admin.port))
        await _Daemon(config, link, store, telemetry, received).run(listener)
    for number in ending_signals():
        signal.signal(number, signal.SIG_IGN)  # a clean stop that is told to stop once more is still one


SLOW_S = 5.0
"""An attempt to reach Kafka that takes longer than this is said while it lasts."""


class _Daemon:
    """What lives as long as the process."""

    def __init__(
        self, config: Config, link: Connection, store: CacheDirectory, telemetry: Telemetry, received: AsyncIterable[signal.Signals]
    ) -> None:
        self._link = link
        self._config, self._store, self._telemetry, self._received = config, store, telemetry, received
        self._clock = SystemClock()
        self._started = self._clock.now()
        self._worker: Worker | None = None
        self._problem: Trouble | None = None
        self._frames: dict[str, Frame] = {}
        self._attempt_began = math.inf
        self._stop, self._finished = anyio.Event(), anyio.Event()

    async def run(self, listener: socket.socket) -> None:
        config, telemetry = self._config, self._telemetry
        host = f"[{config.admin.host}]" if ":" in config.admin.host else config.admin.host
        telemetry.started(accounts=len(config.accounts), shards=config.kafka.shards, admin=f"{host}:{listener.getsockname()[1]}")
        application = status.application(self, telemetry, loopback=config.admin.host in LOOPBACK)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unending, "the admin port", partial(status.serve, application, listener))
            tasks.start_soon(unending, "listening for signals", self._signals)
            tasks.start_soon(unending, "watching for silence", self._watch)
            tasks.start_soon(unending, "the worker", self._work)
            await self._stop.wait()
            began = self._clock.monotonic()
            if self._worker is not None:
                with anyio.move_on_after(STOP_S):
                    await self._finished.wait()
            telemetry.stopped(self._clock.monotonic() - began)
            tasks.cancel_scope.cancel()

    async def _signals(self) -> None:
        async for number in self._received:
            self._telemetry.stopping(signal.Signals(number).name)
            self._stop.set()

    async def _watch(self) -> None:
        """Silence has no event of its own: somebody has to look."""
        while True:
            await self._clock.sleep(WATCH_S)
            if self._worker is not None:
                self._worker.watch()
            elif self._clock.monotonic() - self._attempt_began > SLOW_S:
                error = Unavailable("Kafka does not answer", fix="check kafka.bootstrap_servers, and that the brokers run")
                self._problem = self._problem or Trouble(kind=error.kind, text=str(error), since=self._clock.now())
                self._telemetry.kafka_trouble(error, "start")

    async def _work(self) -> None:
        kafka = Kafka(self._link)
        found = await self._prepare(kafka)
        names = self._link.topics
        kafka = Kafka(replace(self._link, message_bytes_max=topics.batch_bytes_max(found)))
        self._worker = Worker(
            self._config,
            kafka,
            self._store,
            clock=self._clock,
            telemetry=self._telemetry,
            name=self._link.worker,
            retention=topics.retention(found, names),
            record_bytes_max=topics.record_bytes_max(names, found),
            frames=self._frames,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unending, "looking at the topics", partial(self._watch_topics, kafka))
            await self._worker.run(self._stop)
            tasks.cancel_scope.cancel()
        if self._stop.is_set():
            self._finished.set()
            await anyio.sleep_forever()

    async def _prepare(self, kafka: Kafka) -> dict[str, topics.Found]:
        """Wait for Kafka, create topics that are missing, check those that are there; return the topics as they are."""
        while True:
            try:
                self._attempt_began = self._clock.monotonic()
                found = await self._audit(kafka)
                await self._whose(kafka)
                self._attempt_began = math.inf  # Kafka has answered
                self._frames = await self._registered()
            except (Unavailable, Denied) as error:
                since = self._problem.since if self._problem is not None and self._problem.kind == error.kind else self._clock.now()
                self._problem = Trouble(kind=error.kind, text=str(error), since=since, next_try_s=RETRY_S)
                self._telemetry.kafka_trouble(error, "start")
                await self._clock.sleep(RETRY_S)
            except Refused as error:
                with self._config.at("kafka"):
                    raise ConfigError([f"{error}; expected a Kafka that this installation may use; fix: {error.fix}"]) from None
            else:
                self._problem = None
                self._telemetry.well("start")
                return found

    async def _audit(self, kafka: Kafka) -> dict[str, topics.Found]:
        names, file = kafka.connection.topics, self._config.kafka
        if await topics.exists(kafka, topics.copy_name(names[STATE])):
            raise WrongState("the number of shards is being changed", fix="let poller reshard end; where it was killed, run it again")
        found = await topics.inspect(kafka)
        plan = topics.compare(names, found, partitions=file.partitions, shards=file.shards)
        before = plan.warnings
        if plan.create and not plan.problems:
            await topics.create(
                kafka, plan.create, partitions=file.partitions, replication_factor=file.replication_factor, retention=file.retention
            )
            found = await topics.inspect(kafka)
            plan = topics.compare(names, found, partitions=file.partitions, shards=file.shards)
        with self._config.at("kafka", "topics"):
            plan.check()
        for warning in dict.fromkeys((*before, *plan.warnings)):
            self._telemetry.topics_warning(warning)
        return found

    async def _watch_topics(self, kafka: Kafka) -> None:
        """Say what somebody has made of the topics since the start: workers go on as they are, and the next start would be refused."""
        while True:
            await self._clock.sleep(TOPICS_S)
            try:
                found = await topics.inspect(kafka)
            except KafkaError:
                continue  # whoever needs Kafka says so
            file = self._config.kafka
            wrong = topics.altered(topics.compare(self._link.topics, found, partitions=file.partitions, shards=file.shards))
            if wrong is None:
                self._telemetry.well("topics")
            else:
                self._telemetry.kafka_trouble(wrong, "topics")

    async def _registered(self) -> dict[str, Frame]:
        """What records say of their schemas, once the registry knows all of them; nothing without a registry."""
        registry = self._config.kafka.schema_registry
        return {} if registry is None else frames(await register(registry, subjects()), registry.framing)

    async def _whose(self, kafka: Kafka) -> None:
        """Look whose state this is before anything is fenced: another installation must not be disturbed.

        Raises WrongState where the state is lost, or is being made again and is not whole.
        """
        file = self._config.kafka
        metas = await newest_metas(kafka, file.shards)
        if any(meta is not None and meta.rebuilding for meta in metas):
            raise WrongState("the state is being made again and is not whole", fix="run: poller rebuild, which goes on where it was killed")
        own: dict[int, set[str]] = {}
        for account in self._config.accounts:
            own.setdefault(shard_of(account.key, file.shards), set()).add(account.key)
        for shard in sorted(own):
            claim(metas[shard], group=file.group, shards=file.shards)
        if not any(metas) and await kafka.has_published(own, set().union(*own.values())) and await self._lost(kafka, own):
            raise WrongState(
                "the state topic is empty, and the public topics are not: all would be published again", fix="run: poller rebuild"
            )

    async def _lost(self, kafka: Kafka, shards: Iterable[int]) -> bool:
        """Whether there is no state of what was published: another worker may have committed its first transaction since it was looked for.

        A transaction shows on one partition before another, so none may be open on those of the state.
        """
        for shard in shards:
            await kafka.ends(shard)
        return not any(await newest_metas(kafka, self._config.kafka.shards))

    def snapshot(self) -> WorkerSnapshot:
        """The worker, or what it waits for before it begins."""
        if self._worker is not None:
            return self._worker.snapshot()
        return WorkerSnapshot(
            version=__version__,
            worker=self._link.worker,
            started=self._started,
            now=self._clock.now(),
            joined=False,
            kafka_up=self._problem is not None and self._problem.kind in OF_THE_REGISTRY,
            shards_total=self._config.kafka.shards,
            accounts_configured=sum(account.enabled for account in self._config.accounts),
            problems=() if self._problem is None else (self._problem,),
        )

    def streams(self, account_key: str, offset: int, limit: int) -> StreamPage | None:
        """Some streams of an account; None before the worker owns it."""
        return None if self._worker is None else self._worker.streams(account_key, offset, limit)
