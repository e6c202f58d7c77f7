"""What is polled: an account, its streams, and what is remembered of them in memory only."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from ..coverage import cursor as window
from ..coverage import ladder
from ..coverage.cursor import Cursor
from ..coverage.gaps import Gaps
from ..coverage.ladder import Rung
from ..model import SECOND, Instant, Stream
from ..providers.contract import LOOKUP, Request
from ..publishing.message_state import stream_tag
from ..telemetry.snapshot import RungSnapshot, StreamSnapshot, Trouble
from .context import Account
from .lookups import Lookups
from .unchanged import RememberedPage


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
class StreamPoll:
    """One stream as it is polled here: what is remembered in memory only, and may be lost at any time."""

    stream: Stream
    rungs: tuple[Rung, ...]
    counts: dict[int, Counts] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)
    late: dict[int, int] = field(default_factory=dict)
    taught: dict[tuple[int, int], tuple[Instant, int]] = field(default_factory=dict)
    """Late rows by rung and bucket that were taken into account since the rung's mark."""
    notes: dict[str, int] = field(default_factory=dict)
    told_gaps: Gaps = ()
    """The open gaps that were told of."""
    last_success: Instant | None = None
    begun: bool = False
    """It is new, and where it begins is not durable yet: its first page is, changes or not, or a crash would move its floor."""
    guessed: tuple[Instant, Instant] | None = None
    """By how much the clocks differed when it began, for its floor and for its windows; None = the provider's clock was known."""
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
    unkept: dict[int, Request] = field(default_factory=dict)
    """What a sweep asks next that may not be kept."""
    loops: dict[int, int] = field(default_factory=dict)
    """Of a sweep the digest of a request that it has made, to see when it comes back to it."""
    pages: dict[int, RememberedPage] = field(default_factory=dict)
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
            trouble=trouble,
            watermark=cursor and cursor.watermark,
            floor=cursor and cursor.floor,
            last_success=self.last_success,
            first_look_back=cursor is None or cursor.first_look_back,
            rungs=rungs,
            waiting=None if self.lookups is None else len(self.lookups),
            unconfirmed=self.lookups.unconfirmed if self.lookups else 0,
            notes=dict(self.notes),
        )


def cursor_of(account: Account, polled: StreamPoll) -> Cursor:
    """The stream's cursor; a new stream begins with today."""
    cursor = account.committer.shard_state.cursor(polled.stream.id)
    return begin(account, polled) if cursor is None else cursor


def begin(account: Account, polled: StreamPoll) -> Cursor:
    """The cursor of a stream that begins now, at a whole second: no provider filters more finely.

    A stream that begins once more, by a clock that was learned meanwhile, keeps the lower floor and its backfill.
    """
    clock, at = account.provider_clock, account.clock.now()
    earlier = account.committer.shard_state.cursor(polled.stream.id)
    floor = account.floor_of(clock.origin(at)) // SECOND * SECOND
    if earlier is not None:
        floor = min(floor, earlier.floor)
    cursor = window.begin(polled.rungs, floor=floor, now=clock.earliest(at))
    if earlier is not None:
        cursor = replace(cursor, backfill=earlier.backfill)
    account.committer.shard_state.keep_cursor(polled.stream.id, cursor)
    polled.begun, polled.guessed = True, None if clock.known else (clock.origin(0), clock.earliest(0))
    return cursor


def begins_anew(account: Account, polled: StreamPoll) -> bool:
    """Whether the first answer says that a stream begins elsewhere: then its page is asked for again.

    Until enough answers agree on the provider's clock, nothing is taken from any of them.
    """
    clock = account.provider_clock
    if not polled.begun or polled.guessed is None:
        return False
    if clock.undecided:
        return True
    if all(abs(now - then) <= ladder.SLACK for now, then in zip((clock.origin(0), clock.earliest(0)), polled.guessed, strict=True)):
        return False
    begin(account, polled)
    return True


def remember(account: Account, polled: StreamPoll, interval: Instant) -> None:
    """Where single messages can be asked for: those that are not final, as the state has them."""
    if polled.lookups is not None or not any(chore.name == LOOKUP for chore in account.provider.side_queries):
        return
    polled.lookups = Lookups(interval=interval, horizon=account.status_horizon)
    now, cursor = account.provider_clock.earliest(account.clock.now()), account.committer.shard_state.cursor(polled.stream.id)
    looked = min(mark.complete for mark in cursor.marks) if cursor is not None else None  # the earliest: a look too many harms nothing
    for digest, seen in account.committer.shard_state.waiting.pop(stream_tag(polled.stream.id), {}).items():
        polled.lookups.learn(digest, seen, now, looked=looked)


LOOK_S = 1.0
"""How often the list of streams and a refused secret are looked at again."""
