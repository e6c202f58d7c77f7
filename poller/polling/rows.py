"""A page's rows, read and compared: messages, rows that cannot be messages, and what is left out by choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from ..clock import SystemClock
from ..model import BadRow, Instant, Observation, Row
from ..providers.contract import Page, Skipped
from ..publishing.changes import PageChanges
from ..publishing.commit import Committer
from ..publishing.diff import PageContext
from ..publishing.events import RECORD_BYTES_MAX
from .settings import AccountSettings
from .streams import StreamPoll
from .unchanged import UnchangedRows

PORTION_ROWS, PORTION_BYTES = 200, 256 << 10
"""Rows, and bytes of rows, that are read, compared and encoded in one go: some 40 ms; then everything else has its turn."""


class RowReader(Protocol):
    """A provider's reading of one row."""

    def read_row(self, row: Row) -> Observation | BadRow | Skipped:
        """Normalize one row."""
        ...


class Found(Struct):
    """What a page's rows came to, counted over its portions."""

    events: Counter[str] = field(default_factory=Counter)
    """Published, by kind."""
    created: list[Instant] = []
    """Creation instants of messages seen for the first time."""
    statuses: list[tuple[Instant, Instant]] = []
    """Creation of the message, and the status's own stamp, of each status published of which the provider says when it began."""
    changed: int = 0
    """Messages of which something else is remembered now."""
    duplicates: int = 0
    out_of_scope: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    behind: int = 0
    oddities: list[str] = []
    """Tolerated peculiarities of single rows."""

    def add(self, changes: PageChanges) -> None:
        """One portion more."""
        if changes.events:
            self.events.update([event.kind for event in changes.events])
        if changes.rejected:
            self.rejected.update(changes.rejected)
            self.dead_letters.update(changes.dead_letters)
        self.created += changes.created
        self.statuses += changes.statuses
        self.changed += len(changes.adopted)
        self.duplicates += changes.duplicates
        self.out_of_scope += changes.below_floor
        self.behind += changes.behind


class AccountRows:
    """Reads the rows of one account, and remembers which copies are adopted."""

    def __init__(self, settings: AccountSettings, provider: RowReader, committer: Committer, clock: SystemClock) -> None:
        self._settings, self._provider, self._committer, self._clock = settings, provider, committer, clock
        self.known = UnchangedRows()

    async def compare(self, poll: StreamPoll, page: Page, context: PageContext, *, every: bool, now: Instant) -> tuple[PageChanges, Found]:
        """Read a page's rows and compare them with what is known, in portions between which the loop turns.

        All portions but the last are queued when this returns. The last one's changes are the caller's to queue, with the
        stream's cursor, before anything else is awaited. ``every``: what was out of scope for live polling is not for a
        backfill, so each row is read. What is learned here, before it is durable, is thrown away with the shard's life
        should its commit fail. ``now`` is the provider's time.
        """
        found, changes = Found(duplicates=page.unread, out_of_scope=page.left_out), None
        for portion in portions(page.rows):
            if changes is not None:
                await self._committer.write(changes)
                await self._clock.turn()
            rows = portion if every else self.known.others(portion)
            found.duplicates += len(portion) - len(rows)
            observations, bad = self._read(rows, found)
            changes = self._committer.shard_state.compare(context, observations, bad)
            found.add(changes)
            self._learn(poll, rows, observations, changes, now=now)
        assert changes is not None, "a page has at least one portion"
        return changes, found

    def _read(self, rows: list[Row | BadRow], found: Found) -> tuple[list[Observation], list[BadRow]]:
        """Normalize rows: messages, and rows that cannot be; what is left out by choice is counted."""
        observations: list[Observation] = []
        bad: list[BadRow] = []
        for row in rows:
            read = row if isinstance(row, BadRow) else self._normalized(row)
            if isinstance(read, BadRow):
                bad.append(read)
            elif isinstance(read, Skipped):
                found.out_of_scope += 1
            else:
                observations.append(read)
                found.oddities.extend(read.oddities)
        return observations, bad

    def _normalized(self, row: Row) -> Observation | BadRow | Skipped:
        """One row as its provider understands it; whatever it makes fail becomes a dead letter."""
        if len(row.raw) > RECORD_BYTES_MAX:
            return BadRow("too_large", "", row.raw, row.id)
        try:
            read = self._provider.read_row(row)
        except Exception:
            return BadRow("unreadable", "", row.raw, row.id)
        return self._wanted(replace(read, raw=row.raw)) if isinstance(read, Observation) else read

    def _wanted(self, read: Observation) -> Observation | Skipped:
        """Channels that were not asked for are left out; an unknown channel never is."""
        message = read.message
        if message.channel != "unknown" and message.channel not in self._settings.channels:
            return Skipped(f"channel_{message.channel}")
        if message.status == "draft" and not self._settings.publish_drafts:
            return Skipped("draft")
        return read

    def _learn(
        self, poll: StreamPoll, rows: list[Row | BadRow], observations: list[Observation], changes: PageChanges, *, now: Instant
    ) -> None:
        """Remember the copies that are adopted now (of several copies in one page none is certain), and what is not final."""
        if poll.lookups is not None:
            for key, state in changes.adopted.items():
                poll.lookups.learn(key, state, now)
        read = Counter(observation.message.message_id for observation in observations)
        for row in rows:
            if isinstance(row, Row) and row.id in read:
                if read[row.id] == 1 and row.id not in changes.stale:
                    self.known.learn(row)
                else:
                    self.known.forget(row.id)


def portions(rows: list[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    """The rows in portions, at least one. Copies of one message stay together: of several in one page the highest counts."""
    if len(rows) <= PORTION_ROWS and sum([len(row.raw) for row in rows]) <= PORTION_BYTES:
        yield rows
        return
    copies, portion, size = _copies(rows), list[Row | BadRow](), 0
    for row in rows:
        group = copies.get(row.id) if copies and row.id is not None else None
        if group is not None and not group:
            continue
        if len(portion) >= PORTION_ROWS or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
        if group is None:
            portion.append(row)
            size += len(row.raw)
        else:
            portion += group
            size += sum(len(each.raw) for each in group)
            group.clear()
    yield portion


def _copies(rows: list[Row | BadRow]) -> dict[str, list[Row | BadRow]]:
    """The rows of each message that is listed more than once. Few are, so nothing is made for any other: a page may hold 100,000."""
    seen, again = set[str](), set[str]()
    for row in rows:
        if row.id is not None:
            (again if row.id in seen else seen).add(row.id)
    found: dict[str, list[Row | BadRow]] = {id_: [] for id_ in again}
    for row in rows if again else ():
        if row.id is not None and row.id in found:
            found[row.id].append(row)
    return found
