"""Where a walk over a Heymarket team is, what walks have learned, and the request of a page."""

from __future__ import annotations

import math

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from ...model import DAY, SECOND, Instant
from ...times import format_rfc3339
from ..contract import Json, Request
from . import page_order

PATH = "/v1/messages/all"
"""Lists a team's messages; ``/count`` below it counts them."""

LIMIT = 100
"""Rows that are asked for; the vendor documents no highest number."""

LIMIT_FALLBACK = 30
"""Rows that are asked for where ``LIMIT`` is refused: the documented default."""

LIMIT_MAX = 1000
"""Rows that are asked for at most, where a shorter page does not get past one date."""

NO_CURSOR: Instant = 1 << 62
"""Later than any date: what a walk without a cursor is before."""


class Walked(Struct, frozen=True, array_like=True):
    """A crowd that was walked to its end: more rows with one printed date than a page holds. Stored by position."""

    edge: Instant
    end: Instant
    """The date, as it is printed: ``[edge, end)``."""
    began: Instant
    """The time when the window of that walk was chosen."""
    whole: bool
    """False: it ended in a possible gap."""
    size: int = 0
    """Rows that were counted in its place, where they print later dates than they are listed by; 0 = they print its date."""


class Learned(Struct, frozen=True, omit_defaults=True):
    """What walks over a team, or over a conversation, have taught."""

    limit: int | None = None
    """The page length that was accepted where ``LIMIT`` was refused."""
    rate: float | None = None
    """Rows a second just now."""
    dated: bool = False
    """The vendor answers only where a cursor is given."""
    unit: Instant | None = None
    """What the timestamps of a conversation are counted in, where an answer has shown it."""
    crowds: tuple[Walked, ...] = ()
    """Those that were walked last (see :mod:`.resting`)."""


class Walk(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="walk"):
    """A walk from the newest message of a window back, before the page that it asks for now. It is kept in state."""

    since: Instant
    now: Instant
    cursor: Instant | None = None
    """The page lists what is before it; None = the newest."""
    live: bool = False
    """The window has no end, so what it holds tells how much is sent just now."""
    learned: Learned = field(default=Learned(), name="memo")
    """As it was when the walk began."""
    dated: bool = False
    """A request without a cursor was refused."""
    usual: int = LIMIT
    """Rows of a page, while no crowd asks for more."""
    limit: int = LIMIT
    length: int = LIMIT_MAX
    """Rows that this request asks for: fewer than ``limit`` where little is left."""
    unit: Instant = 1
    """The coarsest precision that a date was printed with."""
    most: int = 0
    """Rows of the longest page."""
    total: int = 0
    """Rows of the window."""
    asked: bool = False
    """A page was answered: the vendor accepts these requests."""
    moved: bool = False
    """The cursor was moved: the walk has passed the cursor's own date."""
    less: Instant = 0
    """By how much the cursor is asked lower than it stands, where cursors include their date."""
    page: str | None = None
    """The fingerprint of the page before."""
    same: int = 0
    """How often that page came, one after the other."""
    tail: tuple[str, ...] = ()
    """The ids of its last rows."""
    empty: bool = False
    """An empty page is being confirmed."""
    group: tuple[str, ...] = ()
    """The ids of the crowd that the walk stands at."""
    edge: Instant = 0
    """Where the crowd's printed date begins."""
    got: int = 0
    """Ids of the crowd when a longer page was asked for last; 0 = none was."""
    width: Instant = 0
    """How wide the crowd's place is, where its rows print later dates than they are listed by; 0 = they print its date."""
    counted: int = 0
    """Rows that were counted in that place."""
    step: Instant = 0
    """How far below the cursor before it this one lies, where pages print later dates than they are listed by; 0 = none did."""
    above: tuple[str, ...] = ()
    """The ids of the page before, where counts said that the cursor may be put so low."""
    fewer: int = 0
    """How many of them lie above the cursor, as was counted."""
    uncounted: bool = False
    """The vendor does not count, or not by dates."""
    honoured: bool = False
    """The vendor was seen to honour the cursor."""

    @property
    def bound(self) -> Instant:
        """What the next cursor must be below for the walk to move."""
        return NO_CURSOR if self.cursor is None else self.cursor

    @property
    def end(self) -> Instant:
        """Where the crowd's printed date ends, or its place."""
        return self.edge + (self.width or self.unit)


def ask(walk: Walk, expected: float | None = None) -> Request:
    """The request for the page before the walk's cursor. ``expected``: how many rows are left, so that no longer page is asked for."""
    length = walk.limit
    if expected is not None:
        length = min(length, max(LIMIT_FALLBACK, page_order.OLDER_ROWS + math.ceil(expected + 2 * math.sqrt(expected))))
    body: Json = {"limit": length}
    if walk.cursor is not None:
        body["created_at"] = format_rfc3339(max(SECOND, walk.cursor - walk.less))
    return Request("POST", PATH, body=msgspec.json.encode(body), continuation=replace(walk, length=length))


def tomorrow(now: Instant) -> Instant:
    """A cursor that every row is before."""
    return now + DAY
