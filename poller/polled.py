"""What is polled: an account, its streams, and what is remembered of them in memory only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from . import window
from .clock import SystemClock
from .codec import Publisher
from .commit import Committer
from .fetch import Fetcher
from .known import Known, Repeat
from .lateness import Lateness
from .lookups import Lookups
from .model import SECOND, Instant, Stream
from .pacing import RETRY_AFTER_MAX_S
from .provider_clock import ProviderClock
from .providers import Adapter, Request
from .snapshot import RungSnapshot, StreamSnapshot
from .telemetry import AccountFacts
from .troubles import Trouble
from .window import Cursor, Rung


@dataclass
class Account:
    """What every sweep of one account needs: its adapter, its clients, its ladder."""

    key: str
    adapter: Adapter
    fetcher: Fetcher
    provider_clock: ProviderClock
    committer: Committer
    publisher: Publisher
    facts: AccountFacts
    clock: SystemClock
    ladder: Callable[..., tuple[Rung, ...]]
    """The rungs for an ``overlap``."""
    overlap: Instant | None
    """As configured; None = learned."""
    lateness: Lateness
    floor_of: Callable[[Instant], Instant]
    status_horizon: Instant
    quietness: float
    """Depth / longest period of the ladder: what an age is divided by to give a period."""
    channels: frozenset[str]
    drafts: bool
    known: Known = field(default_factory=Known)
    rungs: tuple[Rung, ...] = ()
    """Today's ladder; each stream takes it over when none of its pages is in flight."""

    held_until: float = 0.0
    """The provider said that the allowance is used up until then (monotonic seconds)."""

    def hold(self, seconds: float | None) -> None:
        """No request before so many seconds are over, within an hour."""
        if seconds:
            self.held_until = max(self.held_until, self.clock.monotonic() + min(seconds, RETRY_AFTER_MAX_S))

    @property
    def slack(self) -> Instant:
        """By how much windows of neighbouring rungs lie over each other, for clocks that differ."""
        return window.SLACK + self.provider_clock.error

    def __post_init__(self) -> None:
        """The ladder of the overlap in force."""
        self.rungs = self.ladder(overlap=self.overlap or self.lateness.overlap)


@dataclass
class Counts:
    """What a sweep in hand has found so far in this worker."""

    began: float
    took_s: float = 0.0
    """What its own pages took: each the time of its request, or its place in the rate limit."""
    pages: int = 0
    rows: int = 0
    events: int = 0
    longer: float = 1.0
    """How much longer its window is than the rung's usual one, at least 1."""


@dataclass
class Polled:
    """One stream as it is polled here: what is remembered in memory only, and may be lost at any time."""

    stream: Stream
    rungs: tuple[Rung, ...]
    counts: dict[int, Counts] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)
    late: dict[int, int] = field(default_factory=dict)
    taught: dict[tuple[int, int], tuple[Instant, int]] = field(default_factory=dict)
    """Late rows by rung and bucket that were taken into account since the rung's mark."""
    notes: dict[str, int] = field(default_factory=dict)
    last_success: Instant | None = None
    begun: bool = False
    """It is new, and where it begins is not durable yet: its first page is, changes or not, or a crash would move its floor."""
    guessed: bool = False
    """Where it begins was reckoned by our clock, because the provider's was not known yet."""
    bad_pages: dict[int, int] = field(default_factory=dict)
    """Bad answers in a row to what a sweep asks."""
    chores: dict[int, Request] = field(default_factory=dict)
    """What a chore in hand asks next."""
    chore_tries: dict[int, int] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)
    """Failures in a row of what is not live: deep rungs, a backfill, runs of chores."""
    live_failures: int = 0
    """Failures of the live rung in a row."""
    chore_events: dict[int, int] = field(default_factory=dict)
    """What the last run of a chore gave."""
    fleeting: dict[int, Request] = field(default_factory=dict)
    """What a sweep asks next that may not be kept."""
    pages: dict[int, Repeat] = field(default_factory=dict)
    """The last page of each index."""
    lookups: Lookups | None = None
    """Where the provider can be asked for single messages."""

    def is_backfill(self, index: int) -> bool:
        """The index after the deepest rung's is the backfill's."""
        return index == len(self.rungs)

    def chore(self, index: int) -> int | None:
        """The indexes after the backfill's are the chores'; which one, if any."""
        return index - len(self.rungs) - 1 if index > len(self.rungs) else None

    def note(self, what: str) -> None:
        """Count something for the status page."""
        self.notes[what] = self.notes.get(what, 0) + 1

    def snapshot(self, cursor: Cursor | None, trouble: Trouble | None, due: list[float], now: float) -> StreamSnapshot:
        """This stream, for outsiders; ``due`` and ``now`` are monotonic seconds."""
        rungs = tuple(
            RungSnapshot(
                reach_s=rung.reach / SECOND,
                period_s=rung.period / SECOND,
                last_complete=cursor.marks[index].complete if cursor and cursor.marks[index].swept else None,
                next_due_s=due[index] - now if due else None,
                sweep_in_hand=bool(cursor and index in cursor.sweeps),
                late_rows=self.late.get(index, 0),
                changes=self.changes.get(index, 0),
            )
            for index, rung in enumerate(self.rungs)
        )
        return StreamSnapshot(
            id=self.stream.id,
            state="waiting" if trouble else "polling" if cursor else "new",
            reason=trouble and trouble.kind,
            since=trouble and trouble.since,
            next_try_s=trouble and max(0.0, trouble.until - now),
            watermark=cursor and cursor.watermark,
            floor=cursor and cursor.floor,
            last_success=self.last_success,
            rungs=rungs,
            waiting=None if self.lookups is None else len(self.lookups),
            unconfirmed=self.lookups.unconfirmed if self.lookups else 0,
            notes=dict(self.notes),
        )


def cursor_of(account: Account, polled: Polled) -> Cursor:
    """The stream's cursor; a new stream begins with today."""
    cursor = account.committer.ledger.cursor(polled.stream.id)
    return begin(account, polled) if cursor is None else cursor


def begin(account: Account, polled: Polled) -> Cursor:
    """The cursor of a stream that begins now, at a whole second: no provider filters more finely."""
    now = account.provider_clock.earliest(account.clock.now())
    cursor = window.begin(polled.rungs, floor=account.floor_of(now) // SECOND * SECOND, now=now)
    account.committer.ledger.keep_cursor(polled.stream.id, cursor)
    polled.begun, polled.guessed = True, not account.provider_clock.known
    return cursor
