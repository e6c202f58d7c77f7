"""A crowd: more rows with one printed date than a page holds. A walk, whose cursor is a date, cannot pass between them.

So the crowd is looked for in every way that the vendor documents, until as many rows were listed as the vendor counts:

1. longer pages, as far as the vendor accepts them;
2. a count before the crowd's date and one behind it, which say how many rows there are;
3. pages between the two, where dates are stored more finely than they are printed;
4. the same page again, in each order;
5. the conversations that were seen in the crowd, one by one.

If rows are missing then, the crowd is a possible gap. Requests for conversations hold phone numbers, so no request of a crowd
is stored.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import CursorIgnored
from ...model import HOUR, SECOND, BadRow, Gap, Instant, Row
from ...times import format_rfc3339
from ..contract import Json, Page, Request
from ..kit.rows import decoded
from ..kit.values import optional_id, words
from . import page_order, resting
from .asking import LIMIT_MAX, PATH, Walk, Walked, ask

CONVERSATIONS_MAX = 20
"""The most conversations that are asked for on account of one crowd."""

ORDERS = ("created_at", "created_at", "updated_at")
"""The orders in which the page of a crowd is asked for again. Rows with equal dates need not come in one order, and rows change at other times."""

LOOKS_MAX = 30
"""The most pages that are asked for on account of one crowd, before its conversations are."""

FINER = 1_000
"""How many times finer than they are printed dates may be stored: milliseconds under seconds."""

GROUP_MAX = 5_000
"""Ids of one crowd that are remembered, in memory."""

LAGS: Instant = HOUR
"""The age from which counts are taken to be up to date."""

REASON = "tie_group"
"""The reason of a possible gap: there are more rows with one printed date than could be listed."""


class Crowd(Struct, frozen=True, omit_defaults=True):
    """What is known of the crowd that a walk stands at."""

    walk: Walk
    conversations: tuple[tuple[str, str], ...] = ()
    """Those that were seen there and are not asked yet: phone number and inbox."""
    ends: tuple[int, ...] = ()
    """Counts before the crowd's end and before its beginning, in turns."""
    pieces: tuple[tuple[Instant, Instant], ...] = ()
    """Parts of the printed unit that are still to be halved."""
    orders: tuple[str, ...] = ORDERS
    """Orders in which the page is still to be asked for."""
    looks: int = 0

    @property
    def sizes(self) -> list[int]:
        """How many rows the crowd has, by each pair of counts."""
        return [end - beginning for end, beginning in zip(self.ends[::2], self.ends[1::2], strict=False)]


class Count(Struct, frozen=True, tag_field="kind", tag="count"):
    """A count is asked for; never kept."""

    crowd: Crowd
    within: bool = False
    """It asks whether the whole crowd lies at the very beginning of its printed unit."""


class Look(Struct, frozen=True, tag_field="kind", tag="look"):
    """A page that may hold other rows of the crowd is asked for; never kept."""

    crowd: Crowd


class Conversation(Struct, frozen=True, tag_field="kind", tag="talk"):
    """A conversation is asked for; never kept, because the request holds a phone number."""

    crowd: Crowd


def stuck(walk: Walk, rows: list[Row | BadRow], good: list[Row], oddities: tuple[str, ...]) -> Page:
    """The walk does not get past one date, as far as it is printed: ask for more of it, else count it."""
    walk = replace(walk, edge=max(row.created for row in good) // walk.unit * walk.unit, page=None)
    walk = _grown(walk, good)
    full = len(rows) > page_order.LAST_ROWS and 2 * len(rows) >= min(walk.most, walk.length)
    # a page that lacks rows which we may not see is not the list's end; and older rows at its end say that a few of one date are no crowd
    over = not full or min(row.created for row in good[-page_order.LAST_ROWS :]) < walk.edge
    if over and len(walk.group) <= page_order.LAST_ROWS:
        return Page(rows, _leave(walk), oddities=oddities)
    if (known := resting.around(walk)) is not None:
        return _round(walk, known, rows, oddities)
    if len(walk.group) > walk.got and walk.limit < LIMIT_MAX:
        return Page(rows, ask(replace(walk, got=len(walk.group), limit=min(LIMIT_MAX, walk.limit * 2))), oddities=oddities)
    return Page(rows, ask_count(Crowd(walk, conversations_of(good))), oddities=oddities)


def between_counts(walk: Walk, ends: tuple[int, int]) -> Page:
    """One moment has more rows than a page, as counts say, and prints later dates: its page is asked for longer and in each order."""
    walk = replace(walk, counted=ends[0] - ends[1])
    if (known := resting.around(walk)) is not None:
        return _round(walk, known, [])
    return _looked(Crowd(walk, ends=ends), [])


def _round(walk: Walk, known: Walked, rows: list[Row | BadRow], oddities: tuple[str, ...] = ()) -> Page:
    """On below a crowd that rests; that it may lack rows is said again."""
    return Page(rows, _leave(walk), gaps=() if known.whole else (_gap(walk),), oddities=oddities)


def no_longer_page(walk: Walk) -> Request:
    """A longer page of the crowd was refused: what follows is asked in the length that was accepted."""
    return ask_count(Crowd(replace(walk, limit=max(1, walk.limit // 2))))


def _of_crowd(walk: Walk, rows: list[Any]) -> list[Row]:
    """The rows that print the crowd's date, or a later one where they are listed by another."""
    return [row for row in rows if isinstance(row, Row) and walk.edge <= row.created and (walk.width or row.created < walk.end)]


def _grown(walk: Walk, rows: list[Any]) -> Walk:
    """The walk with the distinct ids of the crowd so far."""
    return replace(walk, group=tuple(sorted({*walk.group, *(row.id for row in _of_crowd(walk, rows))})[:GROUP_MAX]))


def _leave(walk: Walk) -> Request:
    """The page before the crowd; just below its edge where the cursor was there already and includes its own date."""
    cursor = walk.edge if walk.edge < walk.bound else walk.edge - 1
    if cursor >= walk.bound:
        raise CursorIgnored("the walk does not get below one date")
    return ask(
        replace(walk, cursor=cursor, moved=True, limit=walk.usual, less=0, page=None, same=0, group=(), edge=0, got=0, width=0, counted=0)
    )


def ask_count(crowd: Crowd) -> Request:
    """Ask for the count before the crowd's end, then before its beginning.

    Then both a microsecond earlier, where cursors may include their date; at once where they do.
    """
    walk, asked = crowd.walk, len(crowd.ends)
    return _count(crowd, (walk.edge if asked % 2 else walk.end) - (walk.less or asked // 2))


def _count(crowd: Crowd, before: Instant, *, within: bool = False) -> Request:
    body = msgspec.json.encode({"created_at": format_rfc3339(before)})
    return Request("POST", f"{PATH}/count", body=body, continuation=Count(crowd, within), resumable=False)


def counted(asked: Count, count: int) -> Page:
    """Both ends counted: the crowd is whole, or more of it is asked for."""
    crowd, walk = asked.crowd, asked.crowd.walk
    if asked.within:
        finer = count not in crowd.ends[::2]  # else nothing lies between the unit's beginning and its end
        return _looked(replace(crowd, pieces=((walk.edge, walk.end),) if finer else ()), [])
    crowd = replace(crowd, ends=(*crowd.ends, count))
    both = len(crowd.ends) == 4 or walk.less
    if len(crowd.ends) % 2 or (not both and len(walk.group) not in crowd.sizes):
        return Page([], ask_count(crowd))
    return _over(walk, []) if _whole(crowd) else Page([], _count(crowd, walk.edge + 1, within=True))


def uncounted(asked: Count) -> Page:
    """The provider will not count: nobody can say whether the crowd is whole."""
    return _short(asked.crowd.walk, [])


def _short(walk: Walk, rows: list[Row | BadRow]) -> Page:
    """On below the crowd, which may lack rows."""
    return _over(walk, rows, _gap(walk))


def _gap(walk: Walk) -> Gap:
    return place(walk.edge, walk.end) if walk.width else Gap(REASON, walk.edge, walk.end)


def place(low: Instant, high: Instant) -> Gap:
    """The possible gap between two cursors; a vendor whose cursors include their date lists what lies at the higher one between them."""
    return Gap(REASON, low, high + 1)


def _over(walk: Walk, rows: list[Row | BadRow], *gaps: Gap) -> Page:
    """On below the crowd, which was walked to its end."""
    known = resting.walked(walk, whole=not gaps)
    return Page(rows, _leave(known), learned=known.learned if known is not walk else None, gaps=gaps)


def _whole(crowd: Crowd) -> bool:
    """Whether all that was counted was listed; a young count that is too low lags, and proves nothing."""
    listed, settled = len(crowd.walk.group), crowd.walk.edge < crowd.walk.now - LAGS
    return listed in crowd.sizes or (settled and 0 < max(crowd.sizes) < listed)


def _looked(crowd: Crowd, rows: list[Row | BadRow]) -> Page:
    """Go on below the crowd when it is whole, or nothing is left to try."""
    if _whole(crowd):
        return _over(crowd.walk, rows)
    if (crowd.pieces or crowd.orders) and crowd.looks < LOOKS_MAX:
        return Page(rows, _look(crowd))
    if crowd.conversations:
        return Page(rows, _conversation(crowd))
    return _short(crowd.walk, rows)


def _look(crowd: Crowd) -> Request:
    """A page from within the printed unit, where dates are stored more finely; else the crowd's page once more, in the next order."""
    walk = crowd.walk
    body: Json = {"limit": walk.limit, "created_at": format_rfc3339(walk.end - walk.less)}
    if crowd.pieces:
        body["created_at"] = format_rfc3339(sum(crowd.pieces[-1]) // 2)
    else:
        body["order"] = crowd.orders[0]
    found = Look(replace(crowd, looks=crowd.looks + 1))
    return Request("POST", PATH, body=msgspec.json.encode(body), continuation=found, resumable=False)


def after_look(asked: Look, rows: list[Row | BadRow]) -> Page:
    """What the page adds to the crowd, and what is left to look at.

    A page from within the unit that holds rows of the crowd only may hide more of them below; what lies above it is
    looked at in any case. An order that gave rows which were not listed yet is asked for again.
    """
    crowd, walk = asked.crowd, _grown(asked.crowd.walk, rows)
    if not crowd.pieces:
        older = sum(isinstance(row, Row) and row.created < walk.edge for row in rows)
        if walk.width and older > page_order.LAST_ROWS and crowd.orders[0] == ORDERS[0]:
            return Page(rows, _leave(walk))  # the list went on below the crowd's place, so all that is there now was on it
        orders = crowd.orders if len(walk.group) > len(crowd.walk.group) else crowd.orders[1:]
        return _looked(replace(crowd, walk=walk, orders=orders), rows)
    *pieces, (low, high) = crowd.pieces
    middle = (low + high) // 2
    hidden = rows and len(_of_crowd(walk, rows)) == len(rows)
    halves = [(middle, high), (low, middle)] if hidden else [(middle, high)]
    pieces += [half for half in halves if half[1] - half[0] > max(1, walk.unit // FINER)]
    return _looked(replace(crowd, walk=walk, pieces=tuple(pieces)), rows)


def _conversation(crowd: Crowd) -> Request:
    """The next conversation's messages up to the end of the crowd: a page of fifty, newest first."""
    (phone, inbox), *left = crowd.conversations
    until = -(-crowd.walk.end // SECOND) + 1
    query = (("phoneNumber", phone), ("inboxID", inbox), ("timestamp", str(until)))
    found = Conversation(replace(crowd, conversations=tuple(left)))
    return Request("GET", "/v1/messages", query, continuation=found, resumable=False)


def after_conversation(asked: Conversation, rows: list[Row | BadRow]) -> Page:
    """What one conversation adds to the crowd."""
    return _looked(replace(asked.crowd, walk=_grown(asked.crowd.walk, rows)), rows)


def of_walk(at: Any, rows: list[Row | BadRow]) -> list[Row | BadRow]:
    """The rows that belong to a walk: of what is asked for a crowd, only those of the crowd."""
    return [*_of_crowd(at.crowd.walk, rows)] if isinstance(at, Look | Conversation) else rows


def conversations_of(good: list[Row]) -> tuple[tuple[str, str], ...]:
    """The conversations seen in the crowd, as phone number and inbox."""
    found: dict[tuple[str, str], None] = {}
    for row in good:
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            continue
        said = value.get("conversation")
        inbox = optional_id(said.get("inbox")) if isinstance(said, dict) else None
        number = words(value.get("phone")) or words(value.get("target"))
        if inbox and number:
            found[number.lstrip("+"), inbox] = None
    return tuple(found)[:CONVERSATIONS_MAX]
