"""One window, page by page: choose it, ask, read, compare, make durable, and only then ask on.

A sweep lives in the stream's cursor, which moves in the same transaction as its pages; so it
survives anything, resumes where it was, and a request that failed is simply asked again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from . import backfill, lateness, window
from .clock import SystemClock
from .codec import RECORD_BYTES_MAX, TYPES, Publisher, seconds_since
from .commit import Committer
from .diff import Delta, Scope
from .errors import BadPage, EndlessPagination
from .fetch import Fetcher
from .known import Known, Repeat, mark_of, repeat_of
from .lateness import Lateness
from .lookups import Lookups
from .model import SECOND, BadRow, Instant, Observation, Row, Stream
from .pacing import RETRY_AFTER_MAX_S
from .provider_clock import ProviderClock
from .providers import Adapter, Page, Request, Skipped, Window
from .providers.common import exhausted
from .telemetry import AccountFacts, PageFacts
from .window import Cursor, Rung, Sweep

PAGES_MAX = 200_000
"""Pages of one sweep; a provider that never comes to an end is told from a long backlog by this (ten messages a second for weeks)."""

LARGE_ROW_BYTES = 300 * 1024
"""Only rows above this can give a record over the limit: what normalization adds is far smaller."""


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
    late: Counter[int] = field(default_factory=Counter)
    """Late rows by bucket of lateness, as far as they were taken into account."""


@dataclass
class Polled:
    """One stream as it is polled here: what is remembered in memory only, for people to look at."""

    stream: Stream
    rungs: tuple[Rung, ...]
    counts: dict[int, Counts] = field(default_factory=dict)
    changes: dict[int, int] = field(default_factory=dict)
    late: dict[int, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    last_success: Instant | None = None
    begun: bool = False
    """It is new, and where it begins is not durable yet: its first page is, changes or not, or a crash would move its floor."""
    chores: dict[int, Request] = field(default_factory=dict)
    """What a chore in hand asks next."""
    chore_failures: dict[int, int] = field(default_factory=dict)
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


_NOTHING = Request("GET", "/")


def cursor_of(account: Account, polled: Polled) -> Cursor:
    """The stream's cursor; a new stream begins with today."""
    stream = polled.stream
    cursor = account.committer.ledger.cursor(stream.id)
    if cursor is None:
        now = account.provider_clock.earliest(account.clock.now())
        cursor = window.begin(polled.rungs, floor=account.floor_of(now), now=now)
        account.committer.ledger.keep_cursor(stream.id, cursor)
        polled.begun = True
    return cursor


def in_hand(account: Account, polled: Polled, index: int, cursor: Cursor) -> Sweep | None:
    """The rung's sweep in hand, or a new one; None when its window is empty and nothing has to be asked."""
    if polled.is_backfill(index):
        return _backfill_in_hand(account, polled, cursor)
    held = cursor.sweeps.get(index)
    if held is not None:
        return held
    at = account.clock.now()
    earliest, latest = account.provider_clock.earliest(at), account.provider_clock.latest(at)
    chosen = window.window(polled.rungs, index, cursor, earliest=earliest, latest=latest, slack=account.slack)
    if chosen is None:
        return None
    span, handed = chosen
    rung = polled.rungs[index]
    request = account.adapter.first_page(polled.stream, span, cursor.memo)
    return Sweep(span.since, span.until, rung.inner, rung.reach, latest, request, handed=handed)


def _backfill_in_hand(account: Account, polled: Polled, cursor: Cursor) -> Sweep:
    """The sweep of the range that was asked for."""
    held = backfill.running(cursor)
    assert held is not None, "a backfill is asked for before its pages are"
    if held.sweep is not None:
        return held.sweep
    now = account.provider_clock.latest(account.clock.now())
    request = account.adapter.first_page(polled.stream, Window(held.since, held.until, now), cursor.memo)
    return Sweep(held.since, held.until, 0, 0, now, request)


async def page(account: Account, polled: Polled, index: int) -> bool:
    """Ask for and make durable one page of the rung; True when its sweep came to its end.

    Raises ProviderError (the sweep stays in hand) and what :meth:`Committer.submit` raises.
    """
    ledger, stream = account.committer.ledger, polled.stream
    cursor = cursor_of(account, polled)
    sweep = in_hand(account, polled, index, cursor)
    counts = polled.counts.setdefault(index, Counts(account.clock.monotonic()))
    if sweep is None:
        ledger.keep_cursor(stream.id, _passed_over(account, polled, index, cursor))
        return True
    if not polled.is_backfill(index):
        counts.longer = _longer(polled.rungs[index], sweep)
    if sweep.pages >= PAGES_MAX:
        ledger.keep_cursor(stream.id, _without(cursor, index))
        raise EndlessPagination(f"a sweep did not end within {PAGES_MAX} pages")
    asked, sent = ledger.meta.commit, account.clock.now()
    try:
        answer, received = await ask(account, polled, index, polled.fleeting.get(index, sweep.request))
    except BadPage:
        polled.fleeting.pop(index, None)
        ledger.keep_cursor(stream.id, _without(cursor, index))
        raise
    polled.fleeting.pop(index, None)
    started = sweep.started or account.provider_clock.earliest(sent)
    after = replace(sweep, started=started, pages=sweep.pages + 1, rows=sweep.rows + answer.count)
    observations, bad, skipped, unread = read_rows(account, polled, answer, every=polled.is_backfill(index))

    def advance(delta: Delta) -> Cursor:
        return _advanced(account, polled, index, after, answer, delta)

    held = backfill.running(cursor) if polled.is_backfill(index) else None
    admitted = backfill.missing(cursor, held.since, held.until) if held is not None else ()
    scope = scope_of(polled, cursor, asked, received, admitted)
    delta = await account.committer.submit(scope, observations, bad, advance, always=held is not None or polled.begun)
    delta.duplicates += unread
    polled.begun = False
    learn(account, polled, answer, observations, delta)
    polled.last_success = account.clock.now()
    tell(account, polled, index, answer, cursor, delta, skipped)
    return answer.next is None


async def ask(account: Account, polled: Polled, index: int, request: Request) -> tuple[Page, Instant]:
    """One answer as the adapter reads it, and when it came; a page that is the one before, byte for byte, is not read again."""
    fetched = await account.fetcher.fetch(request)
    received = account.clock.now()
    account.provider_clock.observe(fetched.date, received)
    account.facts.clocks(account.provider_clock.offset / SECOND)
    account.hold(exhausted(fetched.response))
    mark, last = mark_of(request, fetched.response), polled.pages.pop(index, None)
    if last is None or last.mark != mark or polled.is_backfill(index) or not account.known.has_all(last):
        answer = account.adapter.read_page(request, fetched.response)
        last = repeat_of(mark, answer)
    else:
        answer = last.page
    if last is not None:
        polled.pages[index] = last
    return answer, received


def scope_of(polled: Polled, cursor: Cursor, asked: int, received: Instant, admitted: tuple[tuple[Instant, Instant], ...] = ()) -> Scope:
    """Where and when a page was read."""
    return Scope(
        stream=polled.stream,
        floor=cursor.floor,
        asked=asked,
        observed=received,
        keep_ids=polled.lookups is not None,
        admitted=admitted,
    )


def _longer(rung: Rung, sweep: Sweep) -> float:
    """A first sweep, or one after an outage, says more of the past than of what the rung usually costs."""
    usual = rung.reach - rung.inner + rung.period + window.SLACK
    until = sweep.now if sweep.until is None else sweep.until
    return max(1.0, (until - sweep.since) / usual)


def _passed_over(account: Account, polled: Polled, index: int, cursor: Cursor) -> Cursor:
    """A rung whose window is empty is complete without a request."""
    now = account.provider_clock.earliest(account.clock.now())
    return window.complete(polled.rungs, index, cursor, Sweep(now, None, 0, 0, now, _NOTHING, started=now))


def learn(account: Account, polled: Polled, answer: Page, observations: list[Observation], delta: Delta) -> None:
    """Remember the copies that are adopted now (of several copies in one page none is certain), and what is not final."""
    if polled.lookups is not None:
        now = account.provider_clock.earliest(account.clock.now())
        for key, seen in delta.seen.items():
            polled.lookups.learn(key, seen, now)
    read = Counter(seen.message.message_id for seen in observations)
    for row in answer.rows:
        if isinstance(row, Row) and row.id in read:
            if read[row.id] == 1 and row.id not in delta.stale:
                account.known.learn(row)
            else:
                account.known.forget(row.id)


def read_rows(
    account: Account, polled: Polled, answer: Page, *, every: bool
) -> tuple[list[Observation], list[BadRow], dict[str, int], int]:
    """Normalize a page's rows: messages, rows that cannot be, what is left out by choice (counted), and how many need not be read.

    ``every``: what was out of scope for live polling is not for a backfill, so each row is read.
    """
    unread = answer.unread
    observations: list[Observation] = []
    bad: list[BadRow] = []
    skipped: dict[str, int] = {}
    for row in answer.rows:
        if not every and isinstance(row, Row) and account.known.has(row):
            unread += 1
            continue
        seen = row if isinstance(row, BadRow) else account.adapter.read_row(row)
        if isinstance(seen, Observation):
            seen = _wanted(account, seen)
        if isinstance(seen, Observation) and isinstance(row, Row) and len(row.raw) > LARGE_ROW_BYTES:
            seen = _fitting(account, polled.stream, row, seen)
        if isinstance(seen, BadRow):
            bad.append(seen)
        elif isinstance(seen, Skipped):
            skipped[seen.reason] = skipped.get(seen.reason, 0) + 1
        else:
            observations.append(seen)
            for oddity in seen.oddities:
                account.facts.oddity(polled.stream.id, oddity)
                polled.note(oddity)
    return observations, bad, skipped, unread


def _wanted(account: Account, seen: Observation) -> Observation | Skipped:
    """Channels that were not asked for are left out; an unknown channel never is."""
    message = seen.message
    if message.channel != "unknown" and message.channel not in account.channels:
        return Skipped(f"channel_{message.channel}")
    if message.status == "draft" and not account.drafts:
        return Skipped("draft")
    return seen


def _fitting(account: Account, stream: Stream, row: Row, seen: Observation) -> Observation | BadRow:
    """A row whose record would be over the limit becomes a dead letter before any transaction."""
    if account.publisher.size_of(stream, seen) > RECORD_BYTES_MAX:
        return BadRow("too_large", "", row.raw, row.id)
    return seen


def _advanced(account: Account, polled: Polled, index: int, after: Sweep, answer: Page, delta: Delta) -> Cursor:
    """The cursor once this page is durable: the sweep goes on, or the rung is complete."""
    cursor = cursor_of(account, polled)
    if answer.memo is not None:
        cursor = replace(cursor, memo=answer.memo)
    if delta.events:
        cursor = replace(cursor, changed=max(cursor.changed, account.provider_clock.earliest(account.clock.now())))
    if answer.next is not None and answer.next.fleeting:
        polled.fleeting[index] = answer.next
    elif answer.next is not None:
        after = replace(after, request=answer.next)
    if polled.is_backfill(index):
        return backfill.page(cursor, after, ended=answer.next is None, rows=answer.count, events=len(delta.events))
    if answer.next is None:
        return window.complete(polled.rungs, index, cursor, after)
    return replace(cursor, sweeps={**cursor.sweeps, index: after})


def _without(cursor: Cursor, index: int) -> Cursor:
    if cursor.backfill is not None and index == len(cursor.marks):
        return replace(cursor, backfill=replace(cursor.backfill, sweep=None))
    return replace(cursor, sweeps={i: sweep for i, sweep in cursor.sweeps.items() if i != index})


def tell(account: Account, polled: Polled, index: int, answer: Page, cursor: Cursor, delta: Delta, skipped: dict[str, int]) -> None:
    """One page's facts, once it is durable."""
    now, stream_id = account.clock.now(), polled.stream.id
    counts = polled.counts[index]
    counts.pages, counts.rows, counts.events = counts.pages + 1, counts.rows + answer.count, counts.events + len(delta.events)
    late = [] if polled.is_backfill(index) else _lateness(account, polled, counts, cursor, delta)
    polled.late[index] = polled.late.get(index, 0) + len(late)
    polled.changes[index] = polled.changes.get(index, 0) + len(delta.seen)
    account.facts.page(
        PageFacts(
            fetched=answer.count,
            duplicate=delta.duplicates,
            rejected=delta.rejected,
            out_of_scope=delta.below_floor + sum(skipped.values()),
            events=Counter(TYPES[event.kind] for event in delta.events),
            delays_s=[seconds_since(event.created, now) for event in delta.events if event.kind == "created"],
        )
    )
    if late:
        account.facts.late([age / SECOND for age in late])
    for gap in answer.gaps:
        account.facts.gap(stream_id, gap)
        polled.note(gap.reason)
    for oddity in (*answer.oddities, *["status_with_older_stamp"] * bool(delta.behind)):
        account.facts.oddity(stream_id, oddity)
        polled.note(oddity)


def _lateness(account: Account, polled: Polled, counts: Counts, cursor: Cursor, delta: Delta) -> list[Instant]:
    """How late the page's new messages were; what the account's overlap is learned from."""
    if not delta.created or not account.adapter.filtered:
        return []
    now = account.provider_clock.earliest(account.clock.now())
    found = [window.lateness(polled.rungs, cursor, created, now=now) for created in delta.created]
    fresh: Counter[int] = Counter()
    for late in filter(None, found):
        number = lateness.bucket(late)
        if counts.late[number] < lateness.PER_SWEEP_MAX:
            counts.late[number] += 1
            fresh[number] += 1
    account.lateness = lateness.observe(account.lateness, now=now, on_time=found.count(0), late=fresh)
    return [late for late in found if late]
