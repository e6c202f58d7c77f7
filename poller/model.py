"""The vocabulary of the product: values that every other module speaks in.

Instants are integers: microseconds since the Unix epoch, UTC. Durations are microseconds
too where they meet instants (``SECOND``), and float seconds where they meet a clock that
waits. Times that are only published and compared stay text, in one canonical form
(RFC 3339, ``Z``, no trailing zeros), so that equal instants are equal strings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND: Instant = 1_000_000
"""A second in microseconds."""

MINUTE: Instant = 60 * SECOND
"""A minute in microseconds."""

HOUR: Instant = 60 * MINUTE
"""An hour in microseconds."""

DAY: Instant = 24 * HOUR
"""A day in microseconds."""

STATUS_RANK: dict[str, int] = {
    "draft": 0,
    "scheduled": 1,
    "queued": 2,
    "sent": 3,
    "unknown": 4,
    "failed": 5,
    "canceled": 5,
    "undelivered": 6,
    "delivered": 7,
    "received": 7,
    "read": 8,
}
"""A status of lower rank needs a newer provider stamp to replace one of higher rank."""

STATUS_FIELDS: tuple[str, ...] = (
    "status",
    "provider_status",
    "final",
    "sent_at",
    "delivered_at",
    "received_at",
    "error",
)
"""Fields of a message that a status change may change."""

CONTENT_FIELDS: tuple[str, ...] = (
    "conversation_id",
    "channel",
    "direction",
    "from",
    "to",
    "text",
    "media",
    "created_at",
    "scheduled_at",
    "segments",
    "automated",
    "provider_data",
)
"""Fields of a message whose change is an update."""

UNCOMPARED: frozenset[str] = frozenset({"price"})
"""Keys of ``provider_data`` that a provider fills in later without a change of the message: published with the next event, never compared."""


STREAMS_REMEMBERED = 1 << 14
"""Streams of which it is remembered what all their messages say alike: more than one worker polls."""


class Stream(Struct, frozen=True):
    """The smallest thing polled: a Stuut thread, a Heymarket team or conversation, a Fone Dynamics property."""

    provider: str
    account: str
    name: str

    @property
    def account_key(self) -> str:
        """``provider/account``: what decides the shard, and the prefix of every message key."""
        return f"{self.provider}/{self.account}"

    @property
    def id(self) -> str:
        """``provider/account/name`` with the name percent-encoded (CONTRACT of keys)."""
        return _stream_id(self)


_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-")


@lru_cache(maxsize=STREAMS_REMEMBERED)
def _stream_id(stream: Stream) -> str:
    return f"{stream.provider}/{stream.account}/{encode_id(stream.name)}"


def encode_id(text: str) -> str:
    """Percent-encode every character outside ``[A-Za-z0-9._~-]`` (as UTF-8), for keys and stream ids."""
    if _SAFE.issuperset(text):
        return text
    return "".join(c if c in _SAFE else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in text)


def addressable(name: str) -> bool:
    """Whether a stream's name can be a segment of a URL's path: dots alone mean a folder, however they are encoded (RFC 3986)."""
    return name not in {"", ".", ".."}


class Problem(Struct, frozen=True, omit_defaults=True):
    """Why a message failed, in the provider's words."""

    code: str | None = None
    message: str | None = None


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename={"from_": "from"}):
    """A normalized message: the fields that are published and compared. ``None`` means unknown or absent.

    Times are canonical RFC 3339 text (see :func:`poller.times.parse_rfc3339`). ``to`` and ``media``
    are lists without duplicates; ``provider_data`` holds what has no field of its own. What has no
    default is always said in an event: ``channel`` and ``direction`` may be ``unknown``.
    """

    message_id: str
    status: str
    provider_status: str | None = None
    final: bool
    channel: str
    direction: str
    created_at: str
    conversation_id: str | None = None
    from_: str | None = None
    to: list[str] | None = None
    text: str | None = None
    media: list[dict[str, Any]] | None = None
    updated_at: str | None = None
    sent_at: str | None = None
    delivered_at: str | None = None
    received_at: str | None = None
    scheduled_at: str | None = None
    error: Problem | None = None
    segments: int | None = None
    automated: bool | None = None
    provider_data: dict[str, Any] | None = None

    @property
    def compared_data(self) -> dict[str, Any] | None:
        """``provider_data`` without :data:`UNCOMPARED`; None where nothing else is left."""
        data = self.provider_data
        if data is None or UNCOMPARED.isdisjoint(data):
            return data
        return {name: value for name, value in data.items() if name not in UNCOMPARED} or None


class Observation(Struct, frozen=True, kw_only=True, gc=False):
    """One row as a provider understood it."""

    message: Message
    created: Instant
    stamp: Instant
    """The provider's own version stamp; 0 where the provider gave none (null = oldest)."""
    position: Instant
    """The latest creation-like stamp shown (created, scheduled, received): what forgetting looks at."""
    oddities: tuple[str, ...] = ()
    """Tolerated peculiarities to be counted, e.g. ``time_without_zone``, ``status_unknown``."""
    raw: bytes = b""
    """The row's own bytes: what a dead letter holds where the message cannot be published."""


class Row(Struct, frozen=True, gc=False):
    """One listed row before it is normalized: cheap facts and its own bytes."""

    id: str
    created: Instant
    raw: bytes


class BadRow(Struct, frozen=True):
    """A row that cannot be normalized; it becomes a dead letter and the rest of its page goes on.

    ``reason`` is a short constant (``not_an_object``, ``missing``, ``wrong_type``, ``bad_time``,
    ``too_large``, ``too_deep``), ``field`` the provider's field name; neither ever holds a value of the row.
    """

    reason: str
    field: str
    raw: bytes
    id: str | None = None


class Gap(Struct, frozen=True):
    """A time range of which a rule cannot exclude that rows stayed unseen."""

    reason: str
    since: Instant
    until: Instant
    lasting: bool = False
    """No later sweep can prove the range: only the provider's own side query can."""
