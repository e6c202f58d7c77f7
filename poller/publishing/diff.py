"""What was published, compared with what is listed: the difference, and nothing else.

A version of a message is ordered by (the provider's stamp, the status rank, when its request
was sent). A copy that is not newer changes nothing, so any order or repetition of rows ends
in the same state. "When" is the shard's logical clock, which ticks with each request: no machine
can set it back, and a hand-over, a restart and a reshard keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from msgspec import Struct

from ..model import CONTENT_FIELDS, DAY, SECOND, STATUS_RANK, BadRow, Instant, Message, Observation, Stream
from .fingerprints import Fingerprints, differing
from .message_state import MessageState, digest, message_key, stream_tag

RULES = 2
"""The number of today's fingerprint rules; raise it when a normalization changes what is compared."""

NOT_FINAL_KEPT: Instant = 400 * DAY
"""A message that is not final is kept this long: an old draft may be sent tomorrow."""


class Created(Struct, frozen=True):
    """A message is seen for the first time."""

    kind: ClassVar[str] = "created"
    stream: Stream
    observed: Instant
    """Our wall clock when the page came."""
    message: Message
    revision: int = 1


class StatusChanged(Struct, frozen=True):
    """The status of a message changed, or is told for the first time (then ``previous_status`` is None)."""

    kind: ClassVar[str] = "status"
    stream: Stream
    observed: Instant
    message: Message
    revision: int
    previous_status: str | None = None
    stamp_moved: bool = True
    """Whether the provider's stamp of change moved with the status; if not, it says nothing of when the status came about."""


class Updated(Struct, frozen=True):
    """Fields of a message changed; ``changed`` names them, sorted."""

    kind: ClassVar[str] = "updated"
    stream: Stream
    observed: Instant
    message: Message
    revision: int
    changed: tuple[str, ...]


class DeadLetter(Struct, frozen=True):
    """A row that cannot be published as a message."""

    kind: ClassVar[str] = "dead"
    stream: Stream
    observed: Instant
    row: BadRow
    sha256: str
    """Of the row's bytes, in hex."""


MessageEvent = Created | StatusChanged | Updated
Event = MessageEvent | DeadLetter


class Copy(Struct, frozen=True, gc=False):
    """One listed copy of a message, with what the comparison needs of it."""

    observation: Observation
    key: str
    """The key of the message's public records."""
    present: int
    prints: bytes
    rank: int = 0
    """Of its status."""

    @property
    def version(self) -> tuple[int, int, int, bytes]:
        """What orders the copies of one page."""
        return self.observation.stamp, self.rank, self.present, self.prints


class MessageChange(Struct, frozen=True, gc=False):
    """What one copy adds: events in their order, and what is remembered of the message from then on."""

    digest: bytes
    """What the message's state is kept under."""
    copy: Copy
    events: tuple[MessageEvent, ...]
    state: MessageState
    new: bool
    """The message is seen for the first time."""


class Difference(Struct):
    """What the copies of one page add to what is known, and what was counted."""

    changes: list[MessageChange] = []
    below_floor: int = 0
    stale: set[str] = set()
    """Ids of which an older copy was shown."""
    behind: int = 0
    """How many older copies show a status that comes later in a message's life: the provider's stamps contradict it."""


class PageContext(Struct, frozen=True):
    """Where and when a page was read."""

    stream: Stream
    floor: Instant
    requested_at: int
    """The shard's logical clock when the page was requested (:meth:`ShardState.tick`)."""
    observed: Instant
    """Our wall clock: ``observed_at`` of the events."""
    keep_ids: bool = False
    """Whether the ids of messages that are not final are remembered, for look-ups."""
    admitted: tuple[tuple[Instant, Instant], ...] = ()
    """Ranges below the floor that are in scope: a backfill's."""
    by_position: bool = False
    """Whether the provider filters by the very date that is a message's position. Else any of its dates may be what it filters by."""

    def covers(self, created: Instant, position: Instant) -> bool:
        """Whether a message that is not in state is in scope; below the floor its dates must meet an admitted range."""
        first = position if self.by_position else created
        return position >= self.floor or any(low <= position and first < high for low, high in self.admitted)


def newest_copies(
    observations: Iterable[Observation], account_key: str, prints: Fingerprints
) -> tuple[dict[bytes, Copy], list[Observation]]:
    """One copy per message, by the digest of its key: of several in one page the highest version, whatever their order.

    With the observations that cannot be compared, because what they hold cannot be written down.
    """
    best: dict[bytes, Copy] = {}
    unreadable: list[Observation] = []
    for observation in observations:
        message = observation.message
        try:
            key = message_key(account_key, message.message_id)
            copy = Copy(observation, key, *prints(message), STATUS_RANK[message.status])
        except Exception:
            unreadable.append(observation)
            continue
        under = digest(key)
        held = best.get(under)
        if held is None or copy.version > held.version:
            best[under] = copy
    return best, unreadable


def diff(known: Mapping[bytes, MessageState], copies: Mapping[bytes, Copy], context: PageContext, prints: Fingerprints) -> Difference:
    """The events and state changes that one page's copies add to what is known of their messages.

    Replaying the page after applying the difference gives an empty one.
    """
    found = Difference(changes=[], stale=set())
    for under, copy in copies.items():
        observation, old = copy.observation, known.get(under)
        if old is None and not context.covers(observation.created, observation.position):
            found.below_floor += 1
        elif old is not None and not _newer(observation, old, context):
            found.stale.add(observation.message.message_id)
            found.behind += STATUS_RANK[observation.message.status] > STATUS_RANK[old.status]
        else:
            events, new = _first(copy, context, prints.number) if old is None else _again(old, copy, context, prints)
            if new != old:
                found.changes.append(MessageChange(under, copy, events, new, old is None))
    return found


def _again(old: MessageState, copy: Copy, context: PageContext, prints: Fingerprints) -> tuple[tuple[MessageEvent, ...], MessageState]:
    """The events of a newer copy of a known message: its status changed, other fields changed, both or none."""
    message, same_key = copy.observation.message, prints.under(old.key)
    comparable = old.rules == RULES and same_key is not None
    fields = differing(old, *((copy.present, copy.prints) if same_key in (prints, None) else same_key(message))) if comparable else []
    moved = message.status != old.status if comparable else message.provider_status != old.raw_status
    moved = moved and message.status != old.status
    changed = [name for name in fields if name in _CONTENT or not moved]
    if comparable and not moved:
        changed += ["provider_status"] * (message.provider_status != old.raw_status) + ["final"] * (message.final != old.final)
    events: list[MessageEvent] = []
    if moved:
        events.append(
            StatusChanged(context.stream, context.observed, message, old.revision + 1, old.status, copy.observation.stamp != old.stamp)
        )
    if changed:
        revision = old.revision + 1 + len(events)
        events.append(Updated(context.stream, context.observed, message, revision, tuple(sorted(changed))))
    position = max(old.position, copy.observation.position // SECOND)
    seen = copy.observation.stamp, position, stream_tag(context.stream.id)
    if comparable and not events and seen == (old.stamp, old.position, old.stream):
        return (), old
    return tuple(events), _remember(copy, context, prints.number, old.revision + len(events), position)


_CONTENT = frozenset(CONTENT_FIELDS)


def _newer(observation: Observation, old: MessageState, context: PageContext) -> bool:
    """Whether a copy is newer than the one in state: by the provider's stamp, then the status, then the logical clock."""
    version = observation.stamp, STATUS_RANK[observation.message.status], context.requested_at
    return version > (old.stamp, STATUS_RANK[old.status], old.requested_at)


def _first(copy: Copy, context: PageContext, key: int) -> tuple[tuple[MessageEvent, ...], MessageState]:
    """The events of a message that is new: created, and its first status unless it is inbound."""
    message = copy.observation.message
    events: tuple[MessageEvent, ...] = (Created(context.stream, context.observed, message),)
    if message.direction != "inbound":
        events += (StatusChanged(context.stream, context.observed, message, 2),)
    return events, _remember(copy, context, key, len(events), copy.observation.position // SECOND)


def _remember(copy: Copy, context: PageContext, key: int, revision: int, position: int) -> MessageState:
    message = copy.observation.message
    return MessageState(
        revision=revision,
        status=message.status,
        raw_status=message.provider_status,
        final=message.final,
        stamp=copy.observation.stamp,
        requested_at=context.requested_at,
        position=position,
        stream=stream_tag(context.stream.id),
        rules=RULES,
        key=key,
        present=copy.present,
        prints=copy.prints,
        id=message.message_id if context.keep_ids and not message.final else None,
    )
