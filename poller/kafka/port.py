"""What the engine asks of Kafka: the port. ``client`` fills it; tests fill it with a fake.

The protocol is strict (one strike per producer): after any exception a :class:`Writer` is
only closed or killed, never used again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from msgspec import Struct

from ..errors import KafkaError

MESSAGES, STATUS, DEAD_LETTERS, LATEST, STATE, REQUESTS = "messages", "status", "dead_letters", "latest", "state", "requests"
"""The roles of topics; the port maps them to the configured names."""

EVENTS = (MESSAGES, STATUS, DEAD_LETTERS)
"""The topics of events: what they hold is counted, and kept until retention removes it."""

PUBLIC = (*EVENTS, LATEST)
"""The topics for consumers. That of latest messages is compacted, and only there where the configuration names it."""


class Record(Struct, frozen=True, gc=False):
    """One record to be written. ``value`` None is a tombstone (state topic only)."""

    topic: str
    """A role: ``messages``, ``status``, ``dead_letters``, ``latest`` or ``state``."""
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Stored(NamedTuple):
    """One record of the state topic, or a request, as it was read back."""

    key: bytes
    value: bytes | None


class Chunk(NamedTuple):
    """Some records of a restore, and the offset at which the next chunk begins."""

    records: list[Stored]
    position: int


class LogEnd(NamedTuple):
    """Facts of one state partition, taken after the fence."""

    begin: int
    end: int
    """The high watermark: restore until ``position >= end``."""
    cluster_id: str


class Ownership(Struct, frozen=True):
    """What the group says: a complete set each time, and whether it is confirmed (False: a rebalance began)."""

    shards: frozenset[int]
    stable: bool
    owners: dict[int, str] = {}
    """The names of all workers by shard, as far as the group's leader has told them."""


class Writer(Protocol):
    """The open transactional producer of one shard."""

    async def commit(self, records: Sequence[Record], *, timeout_s: float) -> int:
        """Write all records in one transaction; returns the state partition's offset after its last state record.

        Shielded from cancellation, bounded by ``timeout_s``. Every batch must hold a state record.
        Raises Fenced, CommitUncertain, Unavailable, Refused.
        """
        ...

    async def close(self) -> None:
        """End it in bounded time; nothing of it keeps running."""
        ...


class Log(Protocol):
    """Kafka, as the engine needs it."""

    async def open_and_fence(self, shard: int) -> Writer:
        """A writer that has fenced every earlier one of this shard. Raises Unavailable, Refused."""
        ...

    async def ends(self, shard: int, *, settled: bool = True) -> LogEnd:
        """The state partition's bounds; waits until nothing uncommitted is left below the end.

        Not ``settled``: the end is the last stable offset, for looking on without having fenced.
        """
        ...

    async def has_published(self, shards: Collection[int], accounts: Collection[str]) -> bool:
        """Whether the public topics hold anything that one of these shards or accounts (``provider/account``) published.

        Reads until it finds it, all of it where there is nothing. Raises Unavailable, Refused.
        """
        ...

    def read(self, shard: int, since: int, until: int) -> AsyncIterator[Chunk]:
        """Committed records in ``[since, until)``. Raises OffsetGone, Unavailable."""
        ...

    def requests(self) -> AsyncIterator[Stored]:
        """What commands ask from now on, on and on. Raises Unavailable, Refused."""
        ...

    def membership(self) -> AbstractAsyncContextManager[Membership]:
        """Join the group for as long as the block lasts."""
        ...


class Membership(Protocol):
    """This worker's seat in the group."""

    async def next(self) -> Ownership:
        """Wait for the next complete answer (only the newest is kept)."""
        ...

    def fresh(self) -> bool:
        """Whether the last good heartbeat is younger than half the session: polling is allowed."""
        ...

    def trouble(self) -> KafkaError | None:
        """What is wrong with the group or with our seat in it now, with its fix; None when all is well."""
        ...
