"""One answer: ask, read, take what is new from it, and tell what it was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

import anyio.to_thread
from msgspec import Struct
from msgspec.structs import replace

from ..coverage import cursor as window
from ..coverage import gaps, ladder, lateness
from ..coverage.cursor import Cursor
from ..model import SECOND, BadRow, Gap, Instant, Observation, Row
from ..providers.contract import Page, Request, Response, Skipped
from ..publishing.changes import PageChanges
from ..publishing.diff import PageContext
from ..publishing.events import RECORD_BYTES_MAX
from ..telemetry.account_facts import PageFacts
from ..telemetry.event_types import TYPES
from ..times import seconds_since
from .context import Account
from .streams import StreamPoll
from .unchanged import page_digest, remembered_page

PORTION_ROWS, PORTION_BYTES = 200, 256 << 10
"""Rows, and bytes of rows, that are read, compared and encoded in one go: some 40 ms; then everything else has its turn."""

READ_ASIDE_BYTES = 1 << 20
"""Bytes of an answer that is split into rows by a thread of its own: a larger one would hold the loop for too long."""


class Found(Struct):
    """What a page's rows came to, counted over its portions."""

    events: Counter[str] = Counter()
    """Published, by kind."""
    created: list[Instant] = []
    """Creation instants of messages seen for the first time."""
    statuses: list[tuple[Instant, Instant]] = []
    """Creation of the message, and the status's own stamp, of each status published of which the provider says when it began."""
    changed: int = 0
    """Messages of which something else is remembered now."""
    duplicates: int = 0
    out_of_scope: int = 0
    rejected: Counter[str] = Counter()
    dead_letters: Counter[str] = Counter()
    behind: int = 0

    def add(self, changes: PageChanges) -> None:
        """One portion more."""
        self.events.update(event.kind for event in changes.events)
        self.created += changes.created
        self.statuses += changes.statuses
        self.changed += len(changes.adopted)
        self.duplicates += changes.duplicates
        self.out_of_scope += changes.below_floor
        self.rejected.update(changes.rejected)
        self.dead_letters.update(changes.dead_letters)
        self.behind += changes.behind


async def ask(
    account: Account, polled: StreamPoll, index: int, request: Request, read: Callable[[Request, Response], Page]
) -> tuple[Page, Instant]:
    """One answer as its reader reads it, and when it came; a page that is the one before, byte for byte, is not read again."""
    answered = await account.client.exchange(request)
    account.facts.clocks(account.provider_clock.offset / SECOND)
    mark, last = page_digest(request, answered.response), polled.pages.pop(index, None)
    if last is None or last.mark != mark or polled.is_backfill(index) or not account.known.has_all(last):
        aside = len(answered.response.body) > READ_ASIDE_BYTES
        answer = await anyio.to_thread.run_sync(read, request, answered.response) if aside else read(request, answered.response)
        last = remembered_page(mark, answer)
    else:
        answer = last.page
    if last is not None:
        polled.pages[index] = last
    return answer, answered.received


def scope_of(
    polled: StreamPoll, cursor: Cursor, requested_at: int, received: Instant, admitted: tuple[tuple[Instant, Instant], ...] = ()
) -> PageContext:
    """Where and when a page was read."""
    return PageContext(
        stream=polled.stream,
        floor=cursor.floor,
        requested_at=requested_at,
        observed=received,
        keep_ids=polled.lookups is not None,
        admitted=admitted,
    )


async def compare_page(
    account: Account, polled: StreamPoll, answer: Page, context: PageContext, *, every: bool = False
) -> tuple[PageChanges, Found]:
    """Read a page's rows and compare them with what is known, in portions between which the loop turns.

    All portions but the last are queued when this returns. The last one's changes are the
    caller's to write, with the stream's cursor, before anything else is awaited. ``every``: what
    was out of scope for live polling is not for a backfill, so each row is read. What is learned
    here, before it is durable, is thrown away with the shard's life should its commit fail.
    """
    found, changes = Found(events=Counter(), rejected=Counter(), dead_letters=Counter(), duplicates=answer.unread), None
    for portion in portions(answer.rows):
        if changes is not None:
            await account.committer.write(changes)
            await account.clock.turn()
        observations, bad = _read(account, polled, portion, found, every=every)
        changes = account.committer.shard_state.compare(context, observations, bad)
        found.add(changes)
        _learn(account, polled, portion, observations, changes)
    assert changes is not None, "a page has at least one portion"
    return changes, found


def portions(rows: list[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    """The rows in portions, at least one. Copies of one message stay together: of several in one page the highest counts."""
    if len(rows) <= PORTION_ROWS and sum(len(row.raw) for row in rows) <= PORTION_BYTES:
        yield rows
        return
    groups: dict[str | int, list[Row | BadRow]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(number if row.id is None else row.id, []).append(row)
    portion: list[Row | BadRow] = []
    size = 0
    for group in groups.values():
        if len(portion) >= PORTION_ROWS or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
        portion += group
        size += sum(len(row.raw) for row in group)
    yield portion


def _read(
    account: Account, polled: StreamPoll, rows: list[Row | BadRow], found: Found, *, every: bool
) -> tuple[list[Observation], list[BadRow]]:
    """Normalize rows: messages, and rows that cannot be; what is left out by choice, and what need not be read, is counted."""
    observations: list[Observation] = []
    bad: list[BadRow] = []
    for row in rows:
        if not every and isinstance(row, Row) and account.known.has(row):
            found.duplicates += 1
            continue
        seen = row if isinstance(row, BadRow) else _normalized(account, row)
        if isinstance(seen, BadRow):
            bad.append(seen)
        elif isinstance(seen, Skipped):
            found.out_of_scope += 1
        else:
            observations.append(seen)
            for oddity in seen.oddities:
                account.facts.oddity(polled.stream.id, oddity)
                polled.note(oddity)
    return observations, bad


def _normalized(account: Account, row: Row) -> Observation | BadRow | Skipped:
    """One row as its provider understands it; whatever it makes fail becomes a dead letter."""
    if len(row.raw) > RECORD_BYTES_MAX:
        return BadRow("too_large", "", row.raw, row.id)
    try:
        seen = account.provider.read_row(row)
    except Exception:
        return BadRow("unreadable", "", row.raw, row.id)
    return _wanted(account, replace(seen, raw=row.raw)) if isinstance(seen, Observation) else seen


def _learn(account: Account, polled: StreamPoll, rows: list[Row | BadRow], observations: list[Observation], changes: PageChanges) -> None:
    """Remember the copies that are adopted now (of several copies in one page none is certain), and what is not final."""
    if polled.lookups is not None:
        now = account.provider_clock.earliest(account.clock.now())
        for key, state in changes.adopted.items():
            polled.lookups.learn(key, state, now)
    read = Counter(seen.message.message_id for seen in observations)
    for row in rows:
        if isinstance(row, Row) and row.id in read:
            if read[row.id] == 1 and row.id not in changes.stale:
                account.known.learn(row)
            else:
                account.known.forget(row.id)


def _wanted(account: Account, seen: Observation) -> Observation | Skipped:
    """Channels that were not asked for are left out; an unknown channel never is."""
    message = seen.message
    if message.channel != "unknown" and message.channel not in account.channels:
        return Skipped(f"channel_{message.channel}")
    if message.status == "draft" and not account.drafts:
        return Skipped("draft")
    return seen


def tell(account: Account, polled: StreamPoll, index: int, answer: Page, cursor: Cursor, found: Found) -> None:
    """One page's facts, once it is durable."""
    now, stream_id = account.clock.now(), polled.stream.id
    counts = polled.counts[index]
    counts.pages, counts.rows, counts.events = counts.pages + 1, counts.rows + answer.count, counts.events + found.events.total()
    late = [] if polled.is_backfill(index) else _lateness(account, polled, cursor, found.created)
    polled.late[index] = polled.late.get(index, 0) + len(late)
    polled.changes[index] = polled.changes.get(index, 0) + found.changed
    since = math.inf if polled.is_backfill(index) else cursor.live_since
    account.facts.page(
        PageFacts(
            fetched=answer.count,
            duplicate=found.duplicates,
            rejected=dict(found.rejected),
            out_of_scope=found.out_of_scope,
            events={TYPES[kind]: count for kind, count in found.events.items()},
            dead=dict(found.dead_letters),
            delays_s=[seconds_since(created, now) for created in found.created if created >= since],
            status_delays_s=[seconds_since(stamp, now) for created, stamp in found.statuses if created >= since],
        )
    )
    account.facts.dead_letters(stream_id, found.dead_letters)
    if late:
        account.facts.late([age / SECOND for age in late])
    tell_gaps(account, polled)
    for gap in answer.gaps:
        polled.note(gap.reason)
    for oddity in (*answer.oddities, *["status_with_older_stamp"] * bool(found.behind)):
        account.facts.oddity(stream_id, oddity)
        polled.note(oddity)


def tell_gaps(account: Account, polled: StreamPoll) -> None:
    """The ranges that opened or closed since this was last asked."""
    cursor = account.committer.shard_state.cursor(polled.stream.id)
    if cursor is None or cursor.gaps == polled.told_gaps:
        return
    opened, closed = gaps.changes(polled.told_gaps, cursor.gaps)
    polled.told_gaps = cursor.gaps
    for gap in opened:
        account.facts.gap(polled.stream.id, Gap(gap.reason, gap.since, gap.until))
    for gap in closed:
        account.facts.gap_closed(polled.stream.id, gap.reason, gap.since, gap.until, proved=gap.until > cursor.floor)


def _lateness(account: Account, polled: StreamPoll, cursor: Cursor, created: list[Instant]) -> list[Instant]:
    """How late the page's new messages were; what the account's overlap is learned from.

    Of one bucket only some rows count until the rung that owns them was swept, whether it lists them or a hint does.
    """
    if not created or not account.by_time:
        return []
    now = account.provider_clock.earliest(account.clock.now())
    found = [window.lateness(polled.rungs, cursor, instant, now=now) for instant in created]
    fresh: Counter[int] = Counter()
    for late in filter(None, found):
        owner, number = ladder.owner(polled.rungs, late), lateness.bucket(late)
        mark = cursor.marks[owner].complete
        since, count = polled.taught.get((owner, number), (mark, 0))
        count = count if since == mark else 0
        if count < lateness.PER_SWEEP_MAX:
            polled.taught[owner, number] = (mark, count + 1)
            fresh[number] += 1
    account.lateness = lateness.observe(account.lateness, now=now, on_time=found.count(0), late=fresh)
    return [late for late in found if late]
