"""Frozen pictures of what runs, for outsiders: health, metrics at scrape time, the status page.

Whoever owns a running thing makes its picture; nobody outside reaches into it. A picture of a worker holds sums of
its streams, never the streams themselves: there may be a hundred thousand. Single streams are asked for by page
(:class:`Pictures`). Instants are microseconds of wall time (``poller.model.Instant``); None means "not yet" or "unknown".
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..model import SECOND, Instant

POLLING, WAITING, THROTTLED, UNAUTHORIZED = ACCOUNT_STATES = ("polling", "waiting", "throttled", "unauthorized")
"""What an account does: it polls; it waits (for its shard, or because every stream of it waits); the provider limits its rate;
the provider refuses its credentials."""

STREAM_STATES = ("new", "polling", "waiting")
"""What a stream does: it was never polled; it is polled; it waits because it is in trouble."""


class Trouble(Struct, frozen=True, kw_only=True):
    """Why something waits. ``text`` is the last error in words of ours: never a text, a number or a secret of the provider's."""

    kind: str
    text: str = ""
    code: int | None = None
    """The HTTP status of the last answer, where there was one."""
    since: Instant | None = None
    next_try_s: float | None = None
    """Seconds from now."""
    failures: int = 0


class OpenGap(Struct, frozen=True, kw_only=True):
    """A range of a stream that cannot be proved complete."""

    stream: str
    reason: str
    since: Instant
    until: Instant
    found: Instant


class BackfillSnapshot(Struct, frozen=True, kw_only=True):
    """A past range of a stream that is being published; it is read from its newest end to its oldest."""

    stream: str
    since: Instant
    until: Instant
    left: Instant
    """What is older than this is still to be read."""
    pages: int
    events: int

    @property
    def done_part(self) -> float:
        """How much of the range is read, 0 to 1."""
        whole = self.until - self.since
        return 1.0 if whole <= 0 else min(1.0, max(0.0, (self.until - self.left) / whole))


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


class UnreadRange(Struct, frozen=True, kw_only=True):
    """Messages of these times have not been looked for yet."""

    since: Instant
    until: Instant


class StreamSnapshot(Struct, frozen=True, kw_only=True):
    """One stream. ``state`` is one of ``STREAM_STATES``."""

    id: str
    state: str
    trouble: Trouble | None = None
    watermark: Instant | None = None
    floor: Instant | None = None
    last_success: Instant | None = None
    first_look_back: bool = False
    """Its first look back to the floor is not complete."""
    rungs: tuple[RungSnapshot, ...] = ()
    edge: Instant | None = None
    """The provider's clock at the last look at the newest messages."""
    debts: tuple[UnreadRange, ...] = ()
    """What the first look-back or an outage left to deeper rungs, and what looks at the newest messages handed on; the oldest first."""
    overdue: dict[str, float] = {}
    """What is due and waits for its turn, by the job's name: for how many seconds."""
    standing: dict[str, Trouble] = {}
    """Jobs that wait by themselves at a page that cannot be read, by name, while the stream's others go on."""
    switched_off: dict[str, float] = {}
    """Side queries that were refused or found nothing, by name: seconds until each is tried again."""
    waiting: int | None = None
    """Messages that are not final and are looked up by id."""
    unconfirmed: int = 0
    """Messages that were still not final at the status horizon, since the start."""
    notes: dict[str, int] = {}
    """Oddities and gaps seen since the start, by name."""


class AccountSnapshot(Struct, frozen=True, kw_only=True):
    """One account that this worker owns. ``state`` is one of ``ACCOUNT_STATES``."""

    provider: str
    account: str
    shard: int
    state: str
    owned_since: Instant
    now: Instant
    """The provider's clock when this picture was made."""
    trouble: Trouble | None = None
    watermark: Instant | None = None
    """The oldest among its streams."""
    last_success: Instant | None = None
    last_error: Instant | None = None
    overlap_s: float = 0.0
    overlap_reason: str = "configured"
    stretch: float = 1.0
    freshness_s: float | None = None
    """How long a quiet stream of this account waits between two polls, at most."""
    limit_used: float = 0.0
    """The part of the rate limit that was used in the last minute, 0 to 1."""
    messages_per_minute: float = 0.0
    messages: int = 0
    """Messages in state."""
    clock_ahead_s: float = 0.0
    """The provider's clock minus ours."""
    streams: dict[str, int] = {}
    """How many streams are in each of ``STREAM_STATES``."""
    in_trouble: dict[str, int] = {}
    """How many streams wait, by kind of trouble."""
    first_look_back: int = 0
    """How many streams are in their first look-back."""
    gaps: dict[str, int] = {}
    """Open gaps, by reason."""
    worst: tuple[StreamSnapshot, ...] = ()
    """A few of the streams in trouble, the oldest trouble first."""
    standing: tuple[StreamSnapshot, ...] = ()
    """A few of the streams of which a job waits by itself."""
    open_gaps: tuple[OpenGap, ...] = ()
    """A few of the open gaps."""
    backfills: tuple[BackfillSnapshot, ...] = ()

    @property
    def key(self) -> str:
        """``provider/account``."""
        return f"{self.provider}/{self.account}"

    def lag_s(self) -> float:
        """The provider's now minus the watermark, never below 0.

        While the watermark is unknown (the state is not restored) nothing has been looked for since the account was
        handed to this worker: the lag is at least that long, and it grows.
        """
        if self.watermark is None:
            return max(0.0, (self.now - round(self.clock_ahead_s * SECOND) - self.owned_since) / SECOND)
        return max(0.0, (self.now - self.watermark) / SECOND)

    def later(self, now: Instant) -> AccountSnapshot:
        """The same account while its shard does not run, at our clock's ``now``: it waits, and its lag grows."""
        return replace(self, state=WAITING, now=now + round(self.clock_ahead_s * SECOND), limit_used=0.0, messages_per_minute=0.0)

    @property
    def sick(self) -> bool:
        """Whether it or one of its streams is in trouble."""
        return self.trouble is not None or bool(self.in_trouble)


class Elsewhere(Struct, frozen=True, kw_only=True):
    """A configured account that another worker owns; ``owner`` is its name, "" while nobody is known to own it."""

    provider: str
    account: str
    shard: int
    owner: str = ""


class ShardSnapshot(Struct, frozen=True, kw_only=True):
    """One shard that this worker owns; ``state`` is fencing, restoring, running, draining or closed."""

    shard: int
    state: str
    reason: str | None = None
    text: str = ""
    """The last error in words of ours, with its fix."""
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
    worker: str = ""
    draining: bool = False
    kafka_up: bool = True
    """Kafka answers: heartbeats are fresh, and no shard waits for a broker."""
    shards_total: int = 0
    shards_owned: int = 0
    """With those that hold no account, and are not run."""
    accounts_configured: int = 0
    shards: tuple[ShardSnapshot, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    problems: tuple[Trouble, ...] = ()
    """What keeps the worker from being ready, beside its shards: Kafka, the cache, the group."""

    @property
    def accounts(self) -> list[AccountSnapshot]:
        """The accounts that this worker owns."""
        return [account for shard in self.shards for account in shard.accounts]


class StreamPage(Struct, frozen=True, kw_only=True):
    """Some of an account's streams, those in trouble first, then by watermark, the oldest first."""

    total: int
    offset: int
    streams: tuple[StreamSnapshot, ...] = ()


class Pictures(Protocol):
    """Where pictures come from."""

    def snapshot(self) -> WorkerSnapshot:
        """The whole worker, without its single streams."""
        ...

    def streams(self, account_key: str, offset: int, limit: int) -> StreamPage | None:
        """Some streams of an account; None where this worker does not own it."""
        ...


def readiness(picture: WorkerSnapshot) -> list[tuple[bool, str]]:
    """What readiness depends on, one sentence each. A worker that owns no shard is ready."""
    found = [
        (picture.joined, "joined the group" if picture.joined else "joined the group: it has not said what this worker owns"),
        (not picture.draining, "not stopping: a clean stop is under way" if picture.draining else "not stopping"),
        (picture.kafka_up, "Kafka answers" if picture.kafka_up else "Kafka answers: it cannot be reached, or no heartbeat is answered"),
    ]
    for shard in picture.shards:
        behind = f" at offset {shard.restored} of {shard.restore_end}" if shard.state == "restoring" else ""
        why = f" ({shard.reason})" if shard.reason else ""
        found.append((shard.state == "running", f"shard {shard.shard} {shard.state}{behind}{why}"))
    return found + [(False, problem.text or problem.kind) for problem in picture.problems]


def ready(picture: WorkerSnapshot) -> bool:
    """Whether the worker is ready."""
    return all(good for good, _ in readiness(picture))
