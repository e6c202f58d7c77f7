"""Frozen pictures of what runs, for outsiders: health, metrics at scrape time, the status page.

Whoever owns a running thing makes its picture; nobody outside reaches into it. Instants are
microseconds of wall time (``poller.model.Instant``); None means "not yet" or "unknown".
"""

from __future__ import annotations

from msgspec import Struct

from ..model import Instant


class RungSnapshot(Struct, frozen=True, kw_only=True):
    """One slice of message ages of a stream."""

    reach_s: float
    period_s: float
    last_complete: Instant | None = None
    """T_k: the provider's clock at the first request of the last complete sweep."""
    next_due_s: float | None = None
    """Seconds from now; negative = overdue."""
    sweep_in_hand: bool = False
    late_rows: int = 0
    changes: int = 0


class StreamSnapshot(Struct, frozen=True, kw_only=True):
    """One stream. ``state`` is ``polling``, ``waiting`` (trouble, see reason) or ``new``."""

    id: str
    state: str
    reason: str | None = None
    since: Instant | None = None
    next_try_s: float | None = None
    watermark: Instant | None = None
    floor: Instant | None = None
    last_success: Instant | None = None
    rungs: tuple[RungSnapshot, ...] = ()
    waiting: int | None = None
    """Messages that are not final and are looked up by id."""
    unconfirmed: int = 0
    """Messages that were still not final at the status horizon, since the start."""
    notes: dict[str, int] = {}
    """Oddities and gaps seen since the start, by name."""


class AccountSnapshot(Struct, frozen=True, kw_only=True):
    """One account, as its shard sees it. ``state`` is ``polling`` or ``waiting``."""

    provider: str
    account: str
    shard: int
    state: str
    reason: str | None = None
    next_try_s: float | None = None
    watermark: Instant | None = None
    """The oldest among its streams."""
    last_success: Instant | None = None
    overlap_s: float = 0.0
    overlap_reason: str = "configured"
    stretch: float = 1.0
    freshness_s: float | None = None
    """How long a quiet stream of this account waits between two polls, at most."""
    messages: int | None = None
    """Messages in state."""
    clock_error_s: float | None = None
    """The provider's clock minus ours."""
    streams: tuple[StreamSnapshot, ...] = ()


class ShardSnapshot(Struct, frozen=True, kw_only=True):
    """One shard that this worker owns; ``state`` is fencing, restoring, running, draining or closed."""

    shard: int
    state: str
    reason: str | None = None
    since: Instant | None = None
    restored: int = 0
    restore_end: int = 0
    accounts: tuple[AccountSnapshot, ...] = ()


class WorkerSnapshot(Struct, frozen=True, kw_only=True):
    """The whole worker."""

    version: str
    started: Instant
    now: Instant
    joined: bool
    """The group has told us what we own."""
    draining: bool = False
    shards: tuple[ShardSnapshot, ...] = ()
    problems: tuple[str, ...] = ()
    """Plain sentences about Kafka or the cache that keep the worker from being ready."""
