"""One answer: ask, read, take what is new from it, and tell what it was."""

from __future__ import annotations

from collections import Counter

from ..coverage import cursor as window
from ..coverage import gaps, ladder, lateness
from ..coverage.cursor import Cursor
from ..model import SECOND, BadRow, Gap, Instant, Observation, Row, Stream
from ..providers.contract import Page, Request, Skipped
from ..publishing.diff import PageChanges, PageContext
from ..publishing.events import RECORD_BYTES_MAX, own_stamp
from ..telemetry.account_facts import PageFacts
from ..telemetry.event_types import TYPES
from ..times import seconds_since
from .context import Account
from .streams import StreamPoll
from .unchanged import page_digest, remembered_page

LARGE_ROW_BYTES = 24 * 1024
"""Only rows above this can give a record over the limit: at worst privacy makes a hash and a name, some 60 bytes, of a digit and its comma."""


async def ask(account: Account, polled: StreamPoll, index: int, request: Request) -> tuple[Page, Instant]:
    """One answer as the adapter reads it, and when it came; a page that is the one before, byte for byte, is not read again."""
    answered = await account.client.exchange(request)
    account.facts.clocks(account.provider_clock.offset / SECOND)
    mark, last = page_digest(request, answered.response), polled.pages.pop(index, None)
    if last is None or last.mark != mark or polled.is_backfill(index) or not account.known.has_all(last):
        answer = account.adapter.read_page(request, answered.response)
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


def learn(account: Account, polled: StreamPoll, answer: Page, observations: list[Observation], delta: PageChanges) -> None:
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
    account: Account, polled: StreamPoll, answer: Page, *, every: bool
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


def tell(
    account: Account, polled: StreamPoll, index: int, answer: Page, cursor: Cursor, delta: PageChanges, skipped: dict[str, int]
) -> None:
    """One page's facts, once it is durable."""
    now, stream_id = account.clock.now(), polled.stream.id
    counts = polled.counts[index]
    counts.pages, counts.rows, counts.events = counts.pages + 1, counts.rows + answer.count, counts.events + len(delta.events)
    late = [] if polled.is_backfill(index) else _lateness(account, polled, cursor, delta)
    polled.late[index] = polled.late.get(index, 0) + len(late)
    polled.changes[index] = polled.changes.get(index, 0) + len(delta.seen)
    dead = Counter(event.dead.reason for event in delta.events if event.dead is not None)
    live = [] if polled.is_backfill(index) else [event for event in delta.events if event.created >= cursor.live_since]
    account.facts.page(
        PageFacts(
            fetched=answer.count,
            duplicate=delta.duplicates,
            rejected=delta.rejected,
            out_of_scope=delta.below_floor + sum(skipped.values()),
            events=Counter(TYPES[event.kind] for event in delta.events),
            dead=dead,
            delays_s=[seconds_since(event.created, now) for event in live if event.kind == "created"],
            status_delays_s=[seconds_since(stamp, now) for event in live if (stamp := own_stamp(event)) is not None],
        )
    )
    account.facts.dead_letters(stream_id, dead)
    if late:
        account.facts.late([age / SECOND for age in late])
    tell_gaps(account, polled)
    for gap in answer.gaps:
        polled.note(gap.reason)
    for oddity in (*answer.oddities, *["status_with_older_stamp"] * bool(delta.behind)):
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


def _lateness(account: Account, polled: StreamPoll, cursor: Cursor, delta: PageChanges) -> list[Instant]:
    """How late the page's new messages were; what the account's overlap is learned from.

    Of one bucket only some rows count until the rung that owns them was swept, whether it lists them or a hint does.
    """
    if not delta.created or not account.adapter.filtered:
        return []
    now = account.provider_clock.earliest(account.clock.now())
    found = [window.lateness(polled.rungs, cursor, created, now=now) for created in delta.created]
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
