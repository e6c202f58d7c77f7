"""What pages add to the log: bytes that wait for their transaction, and what was counted on the way."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from ..model import Instant, Stream
from .events import Encoded
from .message_state import MessageState


class Entry(Struct, frozen=True):
    """What one portion of a page, or one step of forgetting, adds to the log: bytes only."""

    events: list[Encoded]
    rows: dict[bytes, bytes | None]
    latest: dict[bytes, Encoded] = {}
    """The messages that the events are of, as they leave them, by key."""

    @property
    def size(self) -> int:
        """Bytes that its records take, about."""
        public = sum([each.size for each in (*self.events, *self.latest.values())])
        return public + sum([len(key) + len(value or b"") for key, value in self.rows.items()])


class Bound(NamedTuple):
    """How far a stream is forgotten."""

    stream_id: str
    until: Instant
    """No later window reaches what is older."""
    left_alone: bool = False
    """It is configured no longer: what its side queries learned is forgotten, too."""


class PageChanges(Struct):
    """What the rows of a page, or of one portion of it, add: bytes to be written, and what was counted."""

    stream: Stream
    events: list[Encoded] = []
    rows: dict[bytes, bytes | None] = {}
    """State records."""
    latest: dict[bytes, Encoded] = {}
    """The messages that the events are of, as they leave them, by key; none where no topic is named for them."""
    adopted: dict[bytes, MessageState] = {}
    """What is remembered of each message from now on, by the digest of its key."""
    created: list[Instant] = []
    """Creation instants of messages seen for the first time."""
    statuses: list[tuple[Instant, Instant]] = []
    """Creation of the message, and the status's own stamp, of each status event of which the provider says when it began."""
    duplicates: int = 0
    """Rows that gave no event."""
    below_floor: int = 0
    rejected: dict[str, int] = {}
    """Rows that cannot be published, each listing of them, by the reason of their dead letter."""
    dead_letters: dict[str, int] = {}
    """Dead letters among the events, by reason: each content once."""
    stale: set[str] = set()
    """Ids of which the listed copy was not adopted: an older one, or one that cannot be published."""
    behind: int = 0
    """How many older copies show a status that comes later in a message's life: the provider's stamps contradict it."""
