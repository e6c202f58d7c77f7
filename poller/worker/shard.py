"""One shard's life: fence the past, restore, run, drain, close; and again after every trouble.

::

    fencing ──► restoring ──► running ──► draining ──► closed
       ▲            │            │            ▲          │
       │            └────────────┴── trouble ─┼──────────┤
       └──────────────────────────────────────┼──────────┘
                              stop ───────────┘

The order is the law: the producer is opened, which fences every earlier one, before the state
is read; the reverse lets a paused zombie commit in between. A producer has one strike: after
any trouble it is closed, and only the log says what was committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import anyio
from msgspec.structs import replace

from ..clock import SystemClock
from ..coverage.backfill import BackfillRequest
from ..errors import CommitUncertain, ConfigError, CorruptState, Fenced, PollerError, Refused, Unavailable, broken, first
from ..kafka.port import Log, Writer
from ..model import Instant
from ..polling.account import Poller
from ..publishing.cache import ShardCache
from ..publishing.commit import Committer
from ..publishing.events import Publisher
from ..publishing.restore import REBUILD, restore
from ..publishing.shard_state import ShardState, claim
from ..publishing.state_records import Kind
from ..telemetry.facts import Telemetry
from ..telemetry.snapshot import AccountSnapshot, ShardSnapshot, StreamPage
from .forgetting import forget_for_ever
from .phases import LEGAL, Phase
from .unending import unending

RETRY_S, RETRY_MAX_S = 0.5, 2.0
"""Seconds before a shard starts anew after its first failure, and after many in a row."""

REFUSED_S = 30.0
"""Seconds before a shard starts anew that Kafka has refused: only the operator can mend it."""

PROGRESS_S = 5.0
"""A long restore says so often how far it is."""

CONFIRM_S = 0.1
"""How often a fenced shard looks whether the group has confirmed it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every shard of this worker shares."""

    log: Log
    group: str
    shards: int
    publisher: Publisher
    retention: Instant
    """delete.retention.ms of the state topic: an older cache may have missed a tombstone."""
    session_s: float
    clock: SystemClock
    telemetry: Telemetry
    key: bytes = b""
    """The operator's privacy.key, if any."""


class Hold(Protocol):
    """What the group says of our right to a shard."""

    def confirmed(self) -> bool:
        """It is ours, no rebalance is under way, and the heartbeat is fresh: a producer may be opened."""
        ...

    def kept(self) -> bool:
        """It is ours as far as we know, and the heartbeat is fresh: what was begun may go on."""
        ...


class Shard:
    """One shard that this worker owns, until :meth:`stop`."""

    def __init__(
        self,
        number: int,
        rows: ShardCache,
        settings: Settings,
        *,
        accounts: frozenset[str] = frozenset(),
        pollers: Callable[[Committer], list[Poller]],
        hold: Hold,
        unrestored: Callable[[], tuple[AccountSnapshot, ...]],
    ) -> None:
        self.number, self._rows, self._settings = number, rows, settings
        self._make_pollers, self._hold, self._placed = pollers, hold, accounts
        self.closed = anyio.Event()
        self._stop = anyio.Event()
        self._droppable = anyio.CancelScope()
        self._state, self._since = Phase.CLOSED, settings.clock.now()
        self._reason: str | None = None
        self._text = ""
        self._pollers: list[Poller] = []
        self._unrestored = unrestored
        self._last: tuple[AccountSnapshot, ...] = ()
        """The accounts as the last life left them: what is known of them until the next one is restored."""
        self._restored = self._restore_end = 0
        self._failures = 0
        self._said = 0.0

    def stop(self) -> None:
        """Ask it to drain and close; :attr:`closed` is set when it has."""
        self._stop.set()
        self._droppable.cancel()

    async def run(self) -> None:
        """Live until stopped. Raises only what no new start can mend."""
        try:
            while await self._allowed():
                trouble = await self._life()
                if trouble is not None and not self._stop.is_set():
                    await self._recover(trouble)
        finally:
            self.closed.set()

    async def _allowed(self) -> bool:
        """Wait until the group confirms that the shard is ours, with a fresh heartbeat; False when it is to stop.

        Whatever ended the last life: who opens a producer without the group's word fences the real owner.
        """
        with anyio.CancelScope() as self._droppable:
            while not self._stop.is_set() and not self._hold.confirmed():
                await self._settings.clock.sleep(CONFIRM_S)
        return not self._stop.is_set()

    async def _life(self) -> PollerError | None:
        """From the fence to the close; returns what ended it, None after a clean stop."""
        trouble: PollerError | None = None
        try:
            await self._fence_to_close()
        except* PollerError as group:
            trouble = first(group)
        except* TimeoutError:
            trouble = CommitUncertain("the last transaction before a stop did not end in time")
        except* AssertionError:
            raise
        except* Exception as group:
            trouble = broken(group)
        return trouble

    async def _fence_to_close(self) -> None:
        writer: Writer | None = None
        try:
            with anyio.CancelScope() as self._droppable:
                self._enter(Phase.FENCING)
                writer = await self._open()
                self._enter(Phase.RESTORING)
                committer = await self._restore(writer)
                self._failures = 0
                self._droppable = anyio.CancelScope()
                await self._run(committer)
        finally:
            self._last, self._pollers = self._accounts(), []
            with anyio.CancelScope(shield=True):
                if writer is not None:
                    await writer.close()
            self._enter(Phase.CLOSED)

    async def _open(self) -> Writer:
        """The producer; given up when the group's word is lost while it is being opened."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_lost, tasks.cancel_scope)
            writer = await self._settings.log.open_and_fence(self.number)
            tasks.cancel_scope.cancel()
            return writer
        raise Unavailable("the group was lost while the producer was being opened")

    async def _until_lost(self, scope: anyio.CancelScope) -> None:
        while self._hold.kept():
            await self._settings.clock.sleep(CONFIRM_S)
        scope.cancel()

    async def _restore(self, writer: Writer) -> Committer:
        """The state as of the fence, and the committer that goes on from it."""
        shared, began = self._settings, self._settings.clock.monotonic()
        self._said = began
        meta, log = await restore(
            shared.log,
            self.number,
            self._rows,
            now=shared.clock.now(),
            retention=shared.retention,
            progress=self._progress,
        )
        if meta is None and await shared.log.has_published({self.number}, self._placed):
            raise Refused(
                f"shard {self.number} has no state, and has published before: all of it would be published again",
                fix=REBUILD,
            )
        shared.telemetry.restored(self.number, self._restored, shared.clock.monotonic() - began)
        claimed = claim(meta, group=shared.group, shards=shared.shards, begin=log.begin)
        shard_state = ShardState(self._rows, claimed, shared.publisher, key=shared.key)
        after = b""
        while step := self._rows.scan(Kind.MESSAGE, after):
            after = step[-1][0]
            shard_state.count(step)
            await shared.clock.sleep(0)
        return Committer(
            shard_state,
            shard=self.number,
            writer=writer,
            rows=self._rows,
            cluster=log.cluster_id,
            clock=shared.clock,
            telemetry=shared.telemetry,
        )

    def _progress(self, done: int, end: int) -> None:
        self._restored, self._restore_end = done, end
        now = self._settings.clock.monotonic()
        if now > self._said + PROGRESS_S:
            self._said = now
            self._settings.telemetry.restore_progress(self.number, done, end)

    async def _run(self, committer: Committer) -> None:
        """Poll until stopped, then drain."""
        self._pollers = self._make_pollers(committer)
        self._enter(Phase.RUNNING)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(unending, "the committer", committer.run)
            tasks.start_soon(unending, "forgetting", partial(forget_for_ever, committer, self._rows, self._pollers, self._settings.clock))
            for poller in self._pollers:
                tasks.start_soon(unending, f"the account {poller.key}", poller.run)
            await self._stop.wait()
            self._enter(Phase.DRAINING)
            tasks.cancel_scope.cancel()
        await committer.drain()

    async def _recover(self, trouble: PollerError) -> None:
        """Wait for as long as this trouble needs before the shard is fenced anew."""
        self._failures += 1
        self._reason, self._text = trouble.kind, f"{trouble}; fix: {trouble.fix}" if trouble.fix else str(trouble)
        self._settings.telemetry.kafka_trouble(trouble, f"shard {self.number}")
        if isinstance(trouble, CorruptState):
            if self._failures > 1:
                raise trouble
            self._rows.drop()
        with anyio.CancelScope() as self._droppable:
            await self._settings.clock.sleep(self._wait_s(trouble))

    def _wait_s(self, trouble: PollerError) -> float:
        """Seconds before the group is asked whether the shard may start anew."""
        if isinstance(trouble, Fenced):
            return self._settings.session_s / 2
        if isinstance(trouble, Refused | ConfigError):
            return REFUSED_S
        return min(RETRY_MAX_S, RETRY_S * 2**self._failures)

    def _enter(self, state: Phase) -> None:
        if state == self._state:
            return
        assert state in LEGAL[self._state], f"a shard goes from {self._state} to {sorted(LEGAL[self._state])}, not to {state}"
        self._state, self._since = state, self._settings.clock.now()
        if state == Phase.RUNNING:
            self._reason, self._text = None, ""
            self._settings.telemetry.well(f"shard {self.number}")
        self._settings.telemetry.shard_state(self.number, state, self._reason)

    def backfill(self, stream_id: str, asked: BackfillRequest) -> None:
        """A past range of a stream of this shard is wanted."""
        for poller in self._pollers:
            poller.backfill(stream_id, asked)

    def snapshot(self) -> ShardSnapshot:
        """This shard with its accounts, for outsiders."""
        return replace(self.bare(), accounts=self._accounts())

    def bare(self) -> ShardSnapshot:
        """This shard without its accounts."""
        return ShardSnapshot(
            shard=self.number,
            state=self._state,
            reason=self._reason,
            text=self._text,
            since=self._since,
            restored=self._restored,
            restore_end=self._restore_end,
        )

    def streams(self, account_key: str, offset: int, limit: int) -> StreamPage | None:
        """Some streams of an account of this shard; none of one that is not restored."""
        for poller in self._pollers:
            if poller.key == account_key:
                return poller.streams(offset, limit)
        known = any(account.key == account_key for account in self._accounts())
        return StreamPage(total=0, offset=offset) if known else None

    def _accounts(self) -> tuple[AccountSnapshot, ...]:
        """The accounts as they run; between two lives as the last one left them, their clocks going on."""
        if self._pollers:
            return tuple(poller.snapshot(self.number) for poller in self._pollers)
        now, last = self._settings.clock.now(), {account.key: account for account in self._last}
        return tuple(last[each.key].later(now) if each.key in last else each for each in self._unrestored())
