"""One running shard's state: what is published, and what is queued to be.

Pages are compared with the cache *and* with everything queued before them, so two pages that
show the same message never publish it twice, and the order of the queue is the order of the
log. When a commit fails the shard ends and the state is thrown away with all that was queued:
nothing of it was durable, and the next sweep finds it again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ..coverage.backfill import running
from ..coverage.cursor import Cursor
from ..coverage.lateness import Lateness
from ..errors import Refused
from ..model import DAY, HOUR, SECOND, BadRow, Instant, Observation
from .cache import ShardCache
from .changes import Bound, Entry, PageChanges
from .diff import NOT_FINAL_KEPT, DeadLetter, MessageChange, PageContext, diff, newest_copies
from .events import Publisher, own_stamp
from .fingerprints import Fingerprints
from .message_state import DeadMark, MessageState, stream_tag
from .privacy import Unpublishable
from .state_records import (
    Meta,
    StoredBackoff,
    backoff_key,
    cursor_key,
    dead_key,
    decode_message_state,
    decode_state,
    encode_state,
    lateness_key,
    message_state_key,
    side_query_key,
)

DEAD_PER_HOUR_MAX = 100
"""Dead letters published per stream and hour; the rest is counted."""

DEAD_RENEWED: Instant = DAY
"""How often the mark of a dead letter that is still listed is renewed."""

DEAD_KEPT: Instant = 30 * DAY
"""How long a dead letter is remembered after it was last listed."""


def claim(meta: Meta | None, *, group: str, shards: int, begin: int = 0) -> Meta:
    """The shard's meta record, checked, or a new one for an empty log, whose partition begins at ``begin``.

    Raises Refused when the state belongs to another group or another number of shards, or is not whole.
    """
    if meta is None:
        return Meta(group=group, shards=shards, nonce=secrets.token_hex(8), key=secrets.token_bytes(32), begin=begin)
    if meta.rebuilding:
        raise Refused("the state is being made again and is not whole", fix="let poller rebuild end; where it was killed, run it again")
    if meta.group != group:
        raise Refused(
            f"the state topic belongs to the group {meta.group!r}, not to {group!r}",
            fix=f"set kafka.group to {meta.group}, or give this installation state and public topics of its own",
        )
    if meta.shards != shards:
        raise Refused(
            f"the state was written with {meta.shards} shards, not {shards}",
            fix=f"set kafka.shards to {meta.shards}, or change it offline with: poller reshard",
        )
    return meta if meta.begin is not None else replace(meta, begin=begin)


class ShardState:
    """The state of one shard, as the next page must see it."""

    def __init__(self, rows: ShardCache, meta: Meta, publisher: Publisher, *, key: bytes = b"") -> None:
        self._rows, self._publisher = rows, publisher
        self.meta = meta
        self._clock = meta.clock
        self._prints = Fingerprints(key or meta.key, (meta.key, *meta.keys))
        self._queued: dict[bytes, bytes | None] = {}
        self._cursors: dict[str, Cursor] = {}
        self._dirty: dict[bytes, bytes | None] = {}
        self._dead_budget: dict[str, tuple[int, int]] = {}
        self.messages: Counter[int] = Counter()
        """Messages in state, by stream tag."""
        self.waiting: dict[int, dict[bytes, MessageState]] = {}
        """Messages that are not final and have an id, by stream tag, as the first scan found them."""

    def tick(self) -> int:
        """The next reading of the shard's logical clock; every request and every transaction takes one.

        A transaction keeps its reading in the meta record, so what is durable was requested before it,
        and what a later life of the shard requests comes after it.
        """
        self._clock += 1
        return self._clock

    def cursor(self, stream_id: str) -> Cursor | None:
        """The stream's cursor, None for a stream that was never polled."""
        if stream_id not in self._cursors:
            found = self._get(cursor_key(stream_id))
            if found is None:
                return None
            self._cursors[stream_id] = found
        return self._cursors[stream_id]

    def waits(self, account_key: str) -> StoredBackoff | None:
        """The account's trouble as it was handed over."""
        return self._get(backoff_key(account_key))

    def lateness(self, account_key: str) -> Lateness | None:
        """What the account has shown of how late rows come."""
        return self._get(lateness_key(account_key))

    def keep_lateness(self, account_key: str, known: Lateness) -> None:
        """It rides on a later transaction."""
        self._dirty[lateness_key(account_key)] = encode_state(known)

    def learned(self, stream_id: str, side_query: str) -> Any:
        """What a side query of the stream remembers, as plain values; None = nothing."""
        return self._get(side_query_key(stream_id, side_query)) or None

    def keep_learned(self, stream_id: str, side_query: str, learned: Any) -> None:
        """It rides on a later transaction."""
        self._dirty[side_query_key(stream_id, side_query)] = encode_state(learned)

    def keep_cursor(self, stream_id: str, cursor: Cursor) -> None:
        """A cursor that moved without any change; it rides on a later transaction."""
        self._cursors[stream_id] = cursor
        self._dirty[cursor_key(stream_id)] = encode_state(cursor)

    def keep_waits(self, account_key: str, waits: StoredBackoff | None) -> None:
        """An account's trouble; None when it is over."""
        key = backoff_key(account_key)
        if waits is not None or self._raw(key) is not None:
            self._dirty[key] = None if waits is None else encode_state(waits)

    def compare(self, context: PageContext, observations: list[Observation], bad: Iterable[BadRow]) -> PageChanges:
        """What a page's rows add to what is durable and to what is queued.

        The changes must be queued (:meth:`queue`) before anything else is awaited: the next
        comparison would not know of them. Whatever a row's content makes fail, fails here, and
        the row becomes a dead letter.
        """
        known = self.cursor(context.stream.id)
        if known is not None and known.floor > context.floor:  # it rose while the page was in flight, and ids below it are forgotten
            context = replace(context, floor=known.floor)
        copies, unreadable = newest_copies(observations, context.stream.account_key, self._prints)
        found = diff(self._known(list(copies)), copies, context, self._prints)
        changes = PageChanges(context.stream, below_floor=found.below_floor, stale=found.stale, behind=found.behind)
        refused = [BadRow("unencodable", "", row.raw, row.message.message_id) for row in unreadable]
        for change in found.changes:
            dead = self._adopt(change, changes)
            if dead is not None:
                refused.append(dead)
        changes.stale.update(row.id for row in refused if row.id is not None)
        created_or_changed = sum(bool(change.events) for change in found.changes)
        changes.duplicates = len(observations) - len(refused) - found.below_floor - created_or_changed
        for row in (*bad, *refused):
            self._reject(context, row, changes)
        return changes

    def _adopt(self, change: MessageChange, changes: PageChanges) -> BadRow | None:
        """Add one message's change as bytes; a row whose events cannot be written comes back as a dead letter."""
        try:
            events, latest = self._publisher.records(change)
        except Exception as error:
            reason = error.reason if isinstance(error, Unpublishable) else "unencodable"
            observation = change.copy.observation
            return BadRow(reason, "", observation.raw, observation.message.message_id)
        changes.events += events
        if latest is not None and latest.key is not None:
            changes.latest[latest.key] = latest
        changes.rows[message_state_key(change.digest)] = encode_state(change.state)
        changes.adopted[change.digest] = change.state
        created = change.copy.observation.created
        changes.statuses += [(created, stamp) for event in change.events if (stamp := own_stamp(event)) is not None]
        if change.new:
            changes.created.append(created)
        return None

    def queue(self, changes: PageChanges, cursor: Cursor | None = None, *, always: bool = False) -> Entry | None:
        """Take the changes into what the next comparison knows, with the cursor that stands for them and for all before them.

        The entry must be queued for a transaction. It is None when nothing changed (unless
        ``always``); a cursor that moved without any change then rides on a later transaction.
        """
        self.messages[stream_tag(changes.stream.id)] += len(changes.created)
        if not changes.rows and not changes.events and not always:
            if cursor is not None:
                self.keep_cursor(changes.stream.id, cursor)
            return None
        return self._entry(changes, {} if cursor is None else {changes.stream.id: cursor})

    def forget(self, step: list[tuple[bytes, bytes]], bounds: Mapping[int, Bound], now: Instant) -> Entry | None:
        """Tombstones for one step of a scan of messages, and in the same entry the floors that make them safe. ``bounds`` is by stream tag."""
        rows: dict[bytes, bytes | None] = {}
        cursors: dict[str, Cursor] = {}
        for key, raw in step:
            state = decode_message_state(raw)
            bound = bounds.get(state.stream)
            position = (state.position + 1) * SECOND
            if bound is None or key in self._queued or position > bound.until or self._backfilled(bound.stream_id, state.position * SECOND):
                continue
            if state.final or position < now - NOT_FINAL_KEPT:
                rows[key] = None
                self.messages[state.stream] -= 1
                cursor = self.cursor(bound.stream_id)
                assert cursor is not None, "a bound comes from a cursor"
                cursors[bound.stream_id] = replace(cursor, floor=max(cursor.floor, bound.until))
        return self._entry(Entry([], rows), cursors) if rows else None

    def _backfilled(self, stream_id: str, position: Instant) -> bool:
        """Whether a backfill that runs may still meet the message."""
        held = running(self.cursor(stream_id))
        return held is not None and held.since <= position + SECOND  # it may be listed by another date than its latest

    def count(self, step: list[tuple[bytes, bytes]]) -> None:
        """Count the messages of one step of the first scan, and remember which can be looked up by id."""
        for key, raw in step:
            state = decode_message_state(raw)
            self.messages[state.stream] += 1
            if state.id is not None:
                self.waiting.setdefault(state.stream, {})[key[1:]] = state

    def forget_dead(self, step: list[tuple[bytes, bytes]], _: object, now: Instant) -> Entry | None:
        """Tombstones for dead letters that are no longer listed."""
        rows: dict[bytes, bytes | None] = {k: None for k, raw in step if decode_state(k, raw).listed < now - DEAD_KEPT}
        return self._entry(Entry([], rows), {}) if rows else None

    def forget_learned(self, step: list[tuple[bytes, bytes]], bounds: Mapping[int, Bound], _: Instant) -> Entry | None:
        """Tombstones for what side queries learned of streams that were left alone."""
        left = {bound.stream_id.encode() for bound in bounds.values() if bound.left_alone}
        rows: dict[bytes, bytes | None] = {key: None for key, _ in step if key[1:].rpartition(b"#")[0] in left}
        return self._entry(Entry([], rows), {}) if rows else None

    def take_dirty(self, most: int) -> Entry | None:
        """Cursors, waits and what was learned, as far as no entry carries them, as an entry of their own; None where there are none.

        It must be queued after every entry before it: then no cursor precedes what it stands for.
        """
        taken = {key: self._dirty.pop(key) for key in list(self._dirty)[:most]}
        self._queued |= taken
        return Entry([], taken) if taken else None

    def applied(self, entry: Entry) -> None:
        """The entry's rows are in the cache now."""
        for key, value in entry.rows.items():
            if key in self._queued and self._queued[key] is value:
                del self._queued[key]

    def _entry(self, what: Entry | PageChanges, cursors: dict[str, Cursor]) -> Entry:
        rows = what.rows
        for stream_id, cursor in cursors.items():
            self._cursors[stream_id] = cursor
            key = cursor_key(stream_id)
            self._dirty.pop(key, None)
            rows[key] = encode_state(cursor)
        self._queued |= rows
        return Entry(what.events, rows, what.latest)

    def _raw(self, key: bytes) -> bytes | None:
        for queued in (self._dirty, self._queued):
            if key in queued:
                return queued[key]
        return self._rows.get(key)

    def _get(self, key: bytes) -> Any:
        raw = self._raw(key)
        return None if raw is None else decode_state(key, raw)

    def _known(self, digests: list[bytes]) -> dict[bytes, MessageState]:
        wanted = [message_state_key(digest) for digest in digests]
        cached = self._rows.get_many(wanted)
        if self._queued:
            cached = [self._queued.get(key, raw) for key, raw in zip(wanted, cached, strict=True)]
        return {digest: decode_message_state(raw) for digest, raw in zip(digests, cached, strict=True) if raw is not None}

    def _reject(self, context: PageContext, row: BadRow, changes: PageChanges) -> None:
        """A row that cannot be published: a dead letter once per content while listed, within the stream's budget."""
        changes.rejected[row.reason] = changes.rejected.get(row.reason, 0) + 1
        sha256 = hashlib.sha256(row.raw)
        key, mark = dead_key(context.stream.account_key, sha256.digest()), DeadMark(stream_tag(context.stream.id), context.observed)
        old: DeadMark | None = self._get(key)
        if old is None and key not in changes.rows and self._may_publish_dead(context):
            changes.rows[key] = encode_state(mark)
            changes.events.append(self._publisher.dead_letter(DeadLetter(context.stream, context.observed, row, sha256.hexdigest())))
            changes.dead_letters[row.reason] = changes.dead_letters.get(row.reason, 0) + 1
        elif old is not None and context.observed - old.listed > DEAD_RENEWED:
            changes.rows[key] = encode_state(mark)

    def _may_publish_dead(self, context: PageContext) -> bool:
        hour = context.observed // HOUR
        last, used = self._dead_budget.get(context.stream.id, (hour, 0))
        used = used + 1 if last == hour else 1
        self._dead_budget[context.stream.id] = (hour, used)
        return used <= DEAD_PER_HOUR_MAX
