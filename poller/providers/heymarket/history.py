"""One conversation, walked from its newest message back: ``GET /v1/messages``, up to fifty rows before a Unix timestamp.

Its page documents neither the order of the rows, nor whether the timestamp is in seconds or milliseconds, nor a way to ask for
more rows of one second than a page holds. So:

- A page is put in order first. The next timestamp is a whole second: the one behind the latest of the last rows (see
  :mod:`.page_order`), behind the oldest row of a page that is too short to be cut. The list ends only with an empty page, or a whole page older than the window.
- Where a timestamp lists nothing, and none has shown yet that it is read in seconds, it is asked in milliseconds: read as the other
  unit, each lies in 1970 or in a far future. What answers is learned, and unlearned where rows are newer than their timestamp.
- More rows of one second than a page holds cannot be listed: the walk goes on below them, and says where they are.
- The request refers to the phone number by its secret's name, so that state holds the name alone (see ``Headers.fill``).
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ...errors import BadPage, CursorIgnored
from ...model import HOUR, SECOND, BadRow, Gap, Instant, Row
from ..contract import Page, Request, Window
from . import page_order
from .asking import NO_CURSOR, Learned
from .crowd import REASON
from .options import ConversationOptions, secret_of
from .page_order import MILLISECOND

PATH = "/v1/messages"
"""The list of one conversation, which a cursor ``before`` pages."""

FULL_ROWS = 30
"""Rows of the shortest page that may be cut: the vendor documents fifty, and thirty elsewhere."""

CONFIRMED: Instant = HOUR
"""An empty page that ends a walk with more than this left is asked for twice: a provider in trouble may give one."""


class History(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="history"):
    """Where a walk over a conversation is. It is kept in state."""

    since: Instant
    now: Instant
    cursor: Instant | None = None
    """The page lists what is before it, a whole second; None = the newest."""
    learned: Learned = Learned()
    """As it was when the walk began."""
    unit: Instant = SECOND
    """What this request's timestamp is counted in."""
    sure: bool = False
    """An answer has shown that the vendor counts so."""
    empty: bool = False
    """An empty page is being confirmed."""
    most: int = 0
    """Rows of the longest page."""

    @property
    def bound(self) -> Instant:
        """What the next cursor must be below for the walk to move."""
        return NO_CURSOR if self.cursor is None else self.cursor


def newest(name: str, conversation: ConversationOptions) -> Request:
    """The newest messages of a conversation."""
    return Request("GET", PATH, (("phoneNumber", f"{{{secret_of(name)}}}"), ("inboxID", str(conversation.inbox))))


def begin(asked: Request, window: Window, learned: Learned) -> Request:
    """The first request of a walk over the window; one that ends ahead of now begins with the newest messages."""
    until = window.until
    cursor = None if until is None or until > window.now else (-(-until // SECOND) + 1) * SECOND
    return _ask(asked, History(window.since, window.now, cursor, learned, learned.unit or SECOND, sure=learned.unit is not None))


def _ask(asked: Request, at: History) -> Request:
    """The page before the walk's cursor; ``asked`` is any request of the conversation."""
    query = tuple(each for each in asked.query if each[0] != "timestamp")
    if at.cursor is not None:
        query += (("timestamp", str(at.cursor // at.unit)),)
    return replace(asked, query=query, continuation=at)


def probing(at: History) -> bool:
    """Whether the request only finds out whether timestamps are in milliseconds: a refusal says that they are not."""
    return at.unit == MILLISECOND and not at.sure


def read(asked: Request, rows: list[Row | BadRow], now: Instant | None) -> Page:
    """The page and what to ask next. ``now``: when the provider answered, as far as it says."""
    at: History = asked.continuation
    if not rows:
        return _nothing(asked, at)
    good = sorted((row for row in rows if isinstance(row, Row)), key=lambda row: -row.created)
    tolerated = 0 if at.unit == MILLISECOND else SECOND
    newer, present = page_order.newer(good, at.bound + tolerated, now)
    if newer * 2 > present:
        if at.unit != MILLISECOND:
            raise CursorIgnored("rows are newer than the cursor")
        return Page(rows, _ask(asked, replace(at, unit=SECOND, sure=True, empty=False)))
    oddities = ("empty_answer",) if at.empty and not probing(at) else ()
    at = replace(at, sure=at.sure or at.cursor is not None, empty=False, most=max(at.most, len(rows)))
    return _further(asked, at, rows, good, oddities)


def _nothing(asked: Request, at: History) -> Page:
    """After an empty page: the same in the other unit, the same again, or the end."""
    if not at.sure and not probing(at) and at.cursor is not None:
        return Page([], _ask(asked, replace(at, unit=MILLISECOND)))
    if not at.empty and min(at.bound, at.now) - at.since > CONFIRMED:
        return Page([], _ask(asked, replace(at, empty=True)))
    return _end(at, [])


def _further(asked: Request, at: History, rows: list[Row | BadRow], good: list[Row], oddities: tuple[str, ...]) -> Page:
    """Below the page, unless its window or the conversation ends with it."""
    if not good and len(rows) >= FULL_ROWS:
        raise BadPage("no row of the page has a date")
    if not good or page_order.over(good, at.since):
        return _end(at, rows, oddities)
    reached = [row for row in good if row.created <= at.bound] or good
    following = page_order.following(reached if len(rows) >= FULL_ROWS else reached[-1:], SECOND, at.bound)
    if following is not None:
        return Page(rows, _ask(asked, replace(at, cursor=following)), oddities=oddities)
    below = at.bound - SECOND
    gaps = (Gap(REASON, below, at.bound),) if len(rows) >= max(FULL_ROWS, at.most) else ()
    return Page(rows, _ask(asked, replace(at, cursor=below)), gaps=gaps, oddities=oddities)


def _end(at: History, rows: list[Row | BadRow], oddities: tuple[str, ...] = ()) -> Page:
    """The last page, and the unit of timestamps where the walk has learned it."""
    learned = replace(at.learned, unit=at.unit) if at.sure else at.learned
    return Page(rows, None, learned=learned if learned != at.learned else None, oddities=oddities)
