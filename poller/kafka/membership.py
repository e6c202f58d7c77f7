"""This worker's seat in the consumer group that hands out the shards, and the assignor that deals them.

The group is used for membership only: its partitions are paused, its callbacks only note what
they were told (they run before heartbeats start, and their exceptions vanish).
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import InconsistentGroupProtocolError
from aiokafka.errors import KafkaError as ClientError

from ..errors import ConfigError, Denied, KafkaError, Refused
from .assignor import Rendezvous
from .connection import REQUEST_TIMEOUT_MS, Connection, _end_consumer
from .port import STATE, Ownership
from .translate import START_TIMEOUT_S, mapped

RETRY_S = 1.0
"""Seconds before the group is joined again after trouble."""

TICK_MS = 500
"""Milliseconds between two looks at what the group says."""

HEARTBEAT_MS = 300
"""At most: a rebalance is heard of with the next heartbeat, and shards wait for it."""

EVICTIONS_MAX, EVICTIONS_S = 4, 300.0
"""A static member that lost its seat this often within this many seconds, with good heartbeats, shares its name with another worker.

The broker gives the seat to whoever joins last, so two workers of one name evict each other for
ever, every few seconds. Less often it may be an administrator, a broker that lost the group, or a machine that was too busy.
"""


class Member(ConsumerRebalanceListener):
    """See :class:`poller.kafka.port.Membership`."""

    def __init__(self, link: Connection) -> None:
        self._link, self._session_s, self.assignor = link, link.session_s, Rendezvous(link.worker)
        self._owned = Ownership(frozenset(), stable=False)
        self._news = anyio.Event()
        self._refusal: Refused | ConfigError | None = None
        self._trouble: KafkaError | None = None
        self._evictions: list[float] = []
        self._good = -math.inf

    async def next(self) -> Ownership:
        """Wait for the next answer; only the newest is kept. Raises Refused, ConfigError when the broker will not have us."""
        await self._news.wait()
        self._news = anyio.Event()
        if self._refusal is not None:
            raise self._refusal
        return self._owned

    def fresh(self) -> bool:
        """Whether heartbeats are good. A rebalance counts as good until the session's end."""
        limit = self._session_s if not self._owned.stable else self._session_s / 2
        return time.monotonic() - self._good < limit

    def on_partitions_revoked(self, revoked: Any) -> None:
        """A rebalance began: what runs keeps running, nothing is confirmed."""
        self._tell(Ownership(self._owned.shards, stable=False))

    def on_partitions_assigned(self, assigned: Any) -> None:
        """The complete set."""
        self.beat()
        told, mine = self.assignor.told, self._link.topics[STATE]
        others = ", ".join(topic for topic in told.topics if topic != mine)
        self._trouble = (
            Refused(
                f"the group {self._link.group} is shared with the installation of the state topic {others}",
                fix="give each installation a kafka.group of its own",
            )
            if others
            else None
        )
        shards = frozenset(place.partition for place in assigned if place.topic == mine)
        self._tell(Ownership(shards, stable=True, owners=told.owners))

    def trouble(self) -> KafkaError | None:
        """What is wrong with the group now, None when all is well."""
        return self._trouble

    def failed(self, error: BaseException) -> None:
        """We could not stay in the group. What no waiting mends ends the worker; anything else is tried again."""
        self._trouble = mapped(error, None, right="Read")
        hopeless = isinstance(self._trouble, Refused) and not isinstance(self._trouble, Denied)
        if isinstance(error, InconsistentGroupProtocolError):
            self._trouble = Refused(
                f"the group {self._link.group} is used by other consumers, with an assignor of their own",
                fix="give kafka.group a name that nobody else uses",
            )
        elif hopeless and isinstance(self._trouble, Refused):
            self.refuse(self._trouble)

    def evicted(self) -> None:
        """The broker no longer knows us, although heartbeats were good."""
        now = time.monotonic()
        if self._link.instance_id is None or not self.fresh():
            return
        self._evictions = [at for at in self._evictions if now - at < EVICTIONS_S] + [now]
        if len(self._evictions) >= EVICTIONS_MAX:
            name = self._link.instance_id
            self.refuse(
                ConfigError(
                    [
                        f"kafka.instance_id: {name!r} is used by another worker too, and they take the seat from each other; "
                        "expected a name of its own for each worker; fix: use the pod's or the host's name"
                    ]
                )
            )

    def refuse(self, refusal: Refused | ConfigError) -> None:
        """The broker will not have us; waiting does not help."""
        self._refusal = refusal
        self._news.set()

    def beat(self) -> None:
        """A good heartbeat."""
        self._good = time.monotonic()

    def _tell(self, owned: Ownership) -> None:
        self._owned = owned
        self._news.set()


@asynccontextmanager
async def member(link: Connection) -> AsyncIterator[Member]:
    """Join the group and stay in it, through any outage, until the block ends; then leave at once."""
    seat = Member(link)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stay, link, seat)
        yield seat
        tasks.cancel_scope.cancel()


async def _stay(link: Connection, seat: Member) -> None:
    while True:
        try:
            await _sit(link, seat)
        except (ClientError, OSError, TimeoutError) as error:
            seat.failed(error)
        await anyio.sleep(RETRY_S)


async def _sit(link: Connection, seat: Member) -> None:
    """One consumer's life. Raises what the client raises."""
    session_ms = round(link.session_s * 1000)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=link.bootstrap,
        client_id=link.worker,
        group_id=link.group,
        group_instance_id=link.instance_id,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=max(100, min(HEARTBEAT_MS, session_ms // 5)),
        rebalance_timeout_ms=session_ms,
        max_poll_interval_ms=max(session_ms, 30_000),
        request_timeout_ms=session_ms + REQUEST_TIMEOUT_MS,
        partition_assignment_strategy=(seat.assignor,),
        **link.client,
    )
    consumer.subscribe([link.topics[STATE]], listener=seat)
    try:
        with anyio.fail_after(START_TIMEOUT_S):
            await consumer.start()
        _listen(consumer, seat)
        while True:
            consumer.pause(*consumer.assignment())  # the seat is all we want of the group; the log is read elsewhere
            await consumer.getmany(timeout_ms=TICK_MS)
    finally:
        await _end_consumer(consumer)


def _listen(consumer: AIOKafkaConsumer, seat: Member) -> None:
    """Hear each good heartbeat; the client keeps that knowledge in a local variable."""
    coordinator: Any = consumer._coordinator
    heartbeat = coordinator._do_heartbeat

    async def heard() -> bool:
        known = coordinator.member_id
        good = await heartbeat()
        if good:
            seat.beat()
        elif known and not coordinator.member_id:
            seat.evicted()
        return good

    coordinator._do_heartbeat = heard
