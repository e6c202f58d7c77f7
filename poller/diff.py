"""What was published, compared with what is listed: the difference, and nothing else.

A version of a message is ordered by (the provider's stamp, the status rank, when its request
was sent). A copy that is not newer changes nothing, so any order or repetition of rows ends
in the same state. "When" is the shard's commit number at the time of the request: a clock
that no machine can set back and that a hand-over keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct

from .model import CONTENT_FIELDS, DAY, SECOND, STATUS_FIELDS, STATUS_RANK, BadRow, Instant, Message, Observation, Stream, encode_id

RULES = 1
"""The number of today's fingerprint rules; raise it when a normalization changes what is compared."""

HASHED: tuple[str, ...] = CONTENT_FIELDS + STATUS_FIELDS[3:]
"""The fields compared by fingerprint, in the order of the bits of ``Seen.present``; the others are kept plain."""

PRINT_BYTES = 4
NOT_FINAL_KEPT: Instant = 400 * DAY
"""A message that is not final is kept this long: an old draft may be sent tomorrow."""

STATUSES: tuple[str, ...] = tuple(STATUS_RANK)


class Seen(Struct, frozen=True, array_like=True):
    """What is remembered of one published message: no text, no number, only keyed fingerprints."""

    revision: int
    status: str
    raw_status: str | None
    final: bool
    stamp: Instant
    asked: int
    """The shard's commit number when the request of the adopted copy was sent."""
    position: int
    """Seconds: the latest creation-like stamp ever shown."""
    stream: int
    """Which stream it was seen in last (see :func:`stream_tag`): whose floor forgets it."""
    rules: int
    key: int
    """The number of the fingerprint key."""
    present: int
    """Bit n: ``HASHED[n]`` is present."""
    prints: bytes
    """``PRINT_BYTES`` for each present field."""
    id: str | None = None
    """The message id while it is not final, where the provider can be asked for single messages."""


class DeadMark(Struct, frozen=True, array_like=True):
    """A dead letter that was published; renewed while it is listed, forgotten when it no longer is."""

    stream: int
    listed: Instant


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


class Delta(Struct):
    """What one page adds: events to publish, state to change, and what was counted."""

    events: list[Event] = []
    seen: dict[bytes, Seen] = {}
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


class Scope(Struct, frozen=True):
    """Where and when a page was read."""

    stream: Stream
    floor: Instant
    asked: int
    observed: Instant
    """Our wall clock: ``observed_at`` of the events."""
    keep_ids: bool = False
    """Whether the ids of messages that are not final are remembered, for look-ups."""
    admitted: tuple[tuple[Instant, Instant], ...] = ()
    """Ranges below the floor that are in scope: a backfill's."""

    def covers(self, created: Instant, position: Instant) -> bool:
        """Whether a message that is not in state is in scope; below the floor its dates must meet an admitted range."""
        return position >= self.floor or any(low <= position and created < high for low, high in self.admitted)


def message_key(account_key: str, message_id: str) -> str:
    """``provider/account/message id``: the key of every public record of the message."""
    return f"{account_key}/{encode_id(message_id)}"


def digest(text: str) -> bytes:
    """128 bits of a key: what the state is kept under (a shorter one would swallow a message by collision)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def stream_tag(stream_id: str) -> int:
    """63 bits that tell streams apart in the state."""
    return int.from_bytes(hashlib.blake2b(stream_id.encode(), digest_size=8).digest(), "big") >> 1


_encode = msgspec.json.Encoder(order="deterministic").encode
_GETTERS: tuple[Callable[[Message], object], ...] = tuple(
    (lambda name: lambda message: getattr(message, name))("from_" if field == "from" else field) for field in HASHED
)


class Fingerprints:
    """Keyed fingerprints of a message's fields, so that a change can be named without keeping a text.

    Taken before privacy is applied: switching privacy is no change. ``number`` tells keys apart;
    what was remembered under one of the ``earlier`` keys can still be compared.
    """

    def __init__(self, key: bytes, earlier: Iterable[bytes] = ()) -> None:
        self._key = key[:64]
        self._earlier = {prints.number: prints for prints in map(Fingerprints, earlier)}
        self.number = int.from_bytes(hashlib.blake2b(key, digest_size=2, person=b"poller-key-no").digest(), "big")

    def under(self, number: int) -> Fingerprints | None:
        """The fingerprints of a key, None where it is not known."""
        return self if number == self.number else self._earlier.get(number)

    def __call__(self, message: Message) -> tuple[int, bytes]:
        """``(present, prints)`` as kept in :class:`Seen`."""
        present, prints, key = 0, [], self._key
        for bit, get in enumerate(_GETTERS):
            value = get(message)
            if value is None:
                continue
            present |= 1 << bit
            raw = value.encode("utf-8", "surrogatepass") if type(value) is str else _encode(value)
            prints.append(hashlib.blake2b(raw, digest_size=PRINT_BYTES, key=key).digest())
        return present, b"".join(prints)


def differing(old: Seen, present: int, prints: bytes) -> list[str]:
    """The names of hashed fields that differ between the remembered copy and a new one."""
    if old.present == present and old.prints == prints:
        return []
    names, i, j = [], 0, 0
    for bit, name in enumerate(HASHED):
        mine = mine_print = None
        if old.present >> bit & 1:
            mine, i = old.prints[i : i + PRINT_BYTES], i + PRINT_BYTES
        if present >> bit & 1:
            mine_print, j = prints[j : j + PRINT_BYTES], j + PRINT_BYTES
        if mine != mine_print:
            names.append(name)
    return names


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


def diff(known: Mapping[bytes, Seen], observations: list[Observation], scope: Scope, prints: Fingerprints) -> Delta:
    """The events and state changes that one page adds to what is known.

    ``known`` holds what the state has for the page's messages (see :func:`keys`). Replaying the
    page after applying the delta gives an empty delta.
    """
    delta = Delta(seen={}, dead={}, events=[], created=[], rejected={}, stale=set())
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
    old: Seen | None, seen: Observation, present: int, marks: bytes, scope: Scope, prints: Fingerprints
) -> tuple[list[Event], Seen]:
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


def _newer(seen: Observation, old: Seen, scope: Scope) -> bool:
    """Whether this copy's version is above the remembered one."""
    version = seen.stamp, STATUS_RANK[seen.message.status], scope.asked
    return version > (old.stamp, STATUS_RANK[old.status], old.asked)


def _first(seen: Observation, present: int, marks: bytes, scope: Scope, key: int) -> tuple[list[Event], Seen]:
    events = [_event("created", seen, scope, 1)]
    if seen.message.direction != "inbound":
        events.append(_event("status", seen, scope, 2))
    return events, _remember(seen, present, marks, scope, key, len(events), seen.position // SECOND)


def _remember(seen: Observation, present: int, marks: bytes, scope: Scope, key: int, revision: int, position: int) -> Seen:
    message = seen.message
    return Seen(
        revision=revision,
        status=message.status,
        raw_status=message.provider_status,
        final=message.final,
        stamp=seen.stamp,
        asked=scope.asked,
        position=position,
        stream=stream_tag(scope.stream.id),
        rules=RULES,
        key=key,
        present=present,
        prints=marks,
        id=message.message_id if scope.keep_ids and not message.final else None,
    )


def _event(
    kind: str, seen: Observation, scope: Scope, revision: int, *, previous: str | None = None, changed: tuple[str, ...] = ()
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
