"""What was published, compared with what is listed: the difference, and nothing else.

A version of a message is ordered by (the provider's stamp, the status rank, when its request
was sent). A copy that is not newer changes nothing, so any order or repetition of rows ends
in the same state. "When" is the shard's logical clock, which ticks with each request: no machine
can set it back, and a hand-over, a restart and a reshard keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..model import CONTENT_FIELDS, DAY, SECOND, STATUS_RANK, BadRow, Instant, Message, Observation, Stream
from .fingerprints import Fingerprints, differing
from .message_state import DeadMark, MessageState, digest, message_key, stream_tag

RULES = 1
"""The number of today's fingerprint rules; raise it when a normalization changes what is compared."""


NOT_FINAL_KEPT: Instant = 400 * DAY
"""A message that is not final is kept this long: an old draft may be sent tomorrow."""

STATUSES: tuple[str, ...] = tuple(STATUS_RANK)


class Event(Struct, frozen=True):
    """One thing to publish. ``kind`` is created, updated, status or dead."""

    kind: str
    stream: Stream
    observed: Instant
    message: Message | None = None
    revision: int = 0
    previous_status: str | None = None
    changed: tuple[str, ...] = ()
    created: Instant = 0
    dead: BadRow | None = None


class PageChanges(Struct):
    """What one page adds: events to publish, state to change, and what was counted."""

    events: list[Event] = []
    seen: dict[bytes, MessageState] = {}
    dead: dict[bytes, DeadMark] = {}
    duplicates: int = 0
    below_floor: int = 0
    created: list[Instant] = []
    """Creation instants of messages seen for the first time."""
    rejected: dict[str, int] = {}
    stale: set[str] = set()
    """Ids of which an older copy was shown."""
    behind: int = 0
    """How many of these show a status that comes later in a message's life: the provider's stamps contradict it."""


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

    def covers(self, created: Instant, position: Instant) -> bool:
        """Whether a message that is not in state is in scope; below the floor its dates must meet an admitted range."""
        return position >= self.floor or any(low <= position and created < high for low, high in self.admitted)


def newest_copies(observations: Iterable[Observation], prints: Fingerprints) -> dict[str, tuple[Observation, int, bytes]]:
    """One copy per message id: of several in one page the highest version, whatever their order."""
    best: dict[str, tuple[tuple[int, int, bytes], Observation, int, bytes]] = {}
    for seen in observations:
        present, marks = prints(seen.message)
        rank = (seen.stamp, STATUS_RANK[seen.message.status], present.to_bytes(2, "big") + marks)
        held = best.get(seen.message.message_id)
        if held is None or rank > held[0]:
            best[seen.message.message_id] = (rank, seen, present, marks)
    return {id_: (seen, present, marks) for id_, (_, seen, present, marks) in best.items()}


def diff(known: Mapping[bytes, MessageState], observations: list[Observation], scope: PageContext, prints: Fingerprints) -> PageChanges:
    """The events and state changes that one page adds to what is known.

    ``known`` holds what the state has for the page's messages (see :func:`keys`). Replaying the
    page after applying the delta gives an empty delta.
    """
    delta = PageChanges(seen={}, dead={}, events=[], created=[], rejected={}, stale=set())
    prefix = scope.stream.account_key
    delta.duplicates = len(observations)
    for id_, (seen, present, marks) in newest_copies(observations, prints).items():
        key = digest(message_key(prefix, id_))
        old = known.get(key)
        if old is None and not scope.covers(seen.created, seen.position):
            delta.below_floor += 1
            delta.duplicates -= 1
            continue
        if old is not None and not _newer(seen, old, scope):
            delta.stale.add(id_)
            delta.behind += STATUS_RANK[seen.message.status] > STATUS_RANK[old.status]
            continue
        events, new = _observe(old, seen, present, marks, scope, prints)
        if events:
            delta.duplicates -= 1
            delta.events += events
        if new != old:
            delta.seen[key] = new
        if old is None:
            delta.created.append(seen.created)
    return delta


def keys(observations: list[Observation], account_key: str) -> list[bytes]:
    """The state keys that :func:`diff` will ask for."""
    return [digest(message_key(account_key, seen.message.message_id)) for seen in observations]


def _observe(
    old: MessageState | None, seen: Observation, present: int, marks: bytes, scope: PageContext, prints: Fingerprints
) -> tuple[list[Event], MessageState]:
    """What one copy adds to what is remembered of its message."""
    key = prints.number
    if old is None:
        return _first(seen, present, marks, scope, key)
    message, same_key = seen.message, prints.under(old.key)
    comparable = old.rules == RULES and same_key is not None
    fields = differing(old, *((present, marks) if same_key in (prints, None) else same_key(message))) if comparable else []
    moved = message.status != old.status if comparable else message.provider_status != old.raw_status
    moved = moved and message.status != old.status
    changed = [name for name in fields if name in _CONTENT or not moved]
    if comparable and not moved:
        changed += ["provider_status"] * (message.provider_status != old.raw_status) + ["final"] * (message.final != old.final)
    events: list[Event] = []
    if moved:
        events.append(_event("status", seen, scope, old.revision + 1, previous=old.status))
    if changed:
        events.append(_event("updated", seen, scope, old.revision + 1 + len(events), changed=tuple(sorted(changed))))
    position = max(old.position, seen.position // SECOND)
    same = comparable and not events and (seen.stamp, position) == (old.stamp, old.position)
    if same:
        return [], old
    return events, _remember(seen, present, marks, scope, key, old.revision + len(events), position)


_CONTENT = frozenset(CONTENT_FIELDS)


def _newer(seen: Observation, old: MessageState, scope: PageContext) -> bool:
    """Whether this copy's version is above the remembered one."""
    version = seen.stamp, STATUS_RANK[seen.message.status], scope.requested_at
    return version > (old.stamp, STATUS_RANK[old.status], old.requested_at)


def _first(seen: Observation, present: int, marks: bytes, scope: PageContext, key: int) -> tuple[list[Event], MessageState]:
    events = [_event("created", seen, scope, 1)]
    if seen.message.direction != "inbound":
        events.append(_event("status", seen, scope, 2))
    return events, _remember(seen, present, marks, scope, key, len(events), seen.position // SECOND)


def _remember(seen: Observation, present: int, marks: bytes, scope: PageContext, key: int, revision: int, position: int) -> MessageState:
    message = seen.message
    return MessageState(
        revision=revision,
        status=message.status,
        raw_status=message.provider_status,
        final=message.final,
        stamp=seen.stamp,
        requested_at=scope.requested_at,
        position=position,
        stream=stream_tag(scope.stream.id),
        rules=RULES,
        key=key,
        present=present,
        prints=marks,
        id=message.message_id if scope.keep_ids and not message.final else None,
    )


def _event(
    kind: str, seen: Observation, scope: PageContext, revision: int, *, previous: str | None = None, changed: tuple[str, ...] = ()
) -> Event:
    return Event(
        kind=kind,
        stream=scope.stream,
        observed=scope.observed,
        message=seen.message,
        revision=revision,
        previous_status=previous,
        changed=changed,
        created=seen.created,
    )
