"""Walking a list backwards by a timestamp that may be cut off, shared, or not honoured.

Rules, each safe under every reading of the vendor's pages:

- Only descending. The next cursor is the latest date among the last three rows plus one printed
  unit (the coarsest seen), so that a page that ends inside a group of equal dates, dates cut
  off to the second, and one or two old-dated imports at its end lose nothing; re-read rows are
  the price. A page that is out of order or jumps may end with more of them: then half of it counts as its end.
- A walk that does not get past one date is at a crowd (see :mod:`.crowd`), or at rows of a broadcast that is known.
- It ends when a whole page is older than the window, or the last thirty rows of one in order, or when it is empty (twice, where
  more than an hour is left); never at a short page.
- A page is asked as long as what is left of the window is likely to need, with those thirty.
- A cursor that lists its own date again where the walk has passed it, and nothing to go on by, is given a microsecond less.
- Most rows newer than the cursor, or the same page again and again, means that the list goes by another stamp, or that the cursor is not
  honoured (see :mod:`.stride`). Rows dated ahead of now (a bulk schedule) say nothing of that, nor of where a page ends.
"""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import BadPage
from ...model import HOUR, MINUTE, SECOND, BadRow, Instant, Row
from ..contract import Page, Request, Response, Window
from ..kit.rows import listed
from . import crowd, page_order, resting, stride
from .asking import LIMIT, LIMIT_FALLBACK, LIMIT_MAX, Learned, Walk, ask, tomorrow

SAME_MAX = 3
"""How often in a row the same page may come, with rows newer than the cursor, before the vendor is taken to ignore the cursor."""

CONFIRMED: Instant = HOUR
"""The least part of a window that must be left for an empty page, which ends the walk, to be asked for twice."""


def begin(window: Window, learned: Learned) -> Request:
    """The first request of a walk over the window."""
    limit, live = learned.limit or LIMIT, window.until is None
    cursor = tomorrow(window.now) if live and learned.dated else window.until
    walk = Walk(window.since, window.now, cursor, live=live, learned=learned, usual=limit, limit=limit)
    span = max(0, (window.now if window.until is None else window.until) - window.since)
    return ask(walk, None if learned.rate is None else learned.rate * span / SECOND)


def refused(walk: Walk, response: Response) -> Request | None:
    """What to ask instead after a 400: with the cursor that the older page requires, a shorter page, or no longer one of a crowd."""
    if response.status not in (400, 422):
        return None
    if walk.got:
        return crowd.no_longer_page(walk)
    if walk.asked:
        return None
    if walk.cursor is None:
        return ask(replace(walk, cursor=tomorrow(walk.now), dated=True))
    if walk.limit > LIMIT_FALLBACK:
        return ask(replace(walk, limit=LIMIT_FALLBACK, usual=LIMIT_FALLBACK))
    return None


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a page: a bare array, or one wrapped in ``messages`` or ``data``; null is empty."""
    return listed(body, ("messages", "data"))[0]


def read(walk: Walk, rows: list[Row | BadRow], now: Instant | None = None) -> Page:
    """The page and what to ask next. ``now``: when the provider answered, as far as it says."""
    if not rows and _doubtful(walk):
        return Page(rows, ask(replace(walk, empty=True)))
    page = _read(replace(walk, above=()), rows, now)
    return replace(page, gaps=page.gaps + stride.unproved(walk, rows))


def _read(walk: Walk, rows: list[Row | BadRow], now: Instant | None) -> Page:
    """As :func:`read`, whatever was on the page above."""
    oddities = ("empty_answer",) if rows and walk.empty else ()
    good, since, bound = [row for row in rows if isinstance(row, Row)], walk.since, walk.bound
    walk = replace(walk, empty=False, total=walk.total + sum([row.created >= since for row in good]))
    if not rows or (good and (page_order.over(good, since) or _ended(walk, rows, good))):
        return Page(rows, None, learned=_learned(walk), oddities=oddities)
    if not good:
        return _undated(walk, rows)
    fingerprint = page_order.fingerprint(good)
    same = walk.same + 1 if fingerprint == walk.page else 0
    newer, present = page_order.newer(good, bound + SECOND, now)
    if newer * 2 > present or (newer and same >= SAME_MAX):
        return _by_another_stamp(walk, rows)
    unit, tail = page_order.unit_of(good, walk.unit), tuple(row.id for row in good[-page_order.LAST_ROWS :])
    walk = replace(walk, asked=True, unit=unit, most=max(walk.most, len(rows)), tail=tail)
    if page_order.unsorted(good):
        oddities += ("non_monotonic_page",)
    reached = [row for row in good if row.created <= bound]
    if not reached and now is not None and all(row.created > now + MINUTE for row in good):
        return _undated(walk, rows)
    reached = reached or good
    following = page_order.following(reached, walk.unit, bound)
    if following is None and page_order.newer(good, bound - walk.less, now)[0] > page_order.LAST_ROWS:
        return _by_another_stamp(walk, rows)
    if following is None:
        return _standing(walk, rows, reached, oddities)
    walk = replace(walk, cursor=following, page=fingerprint, same=same, limit=walk.usual, moved=True, group=(), got=0, less=0)
    return Page(rows, ask(walk, page_order.left(good, following - since)), oddities=oddities)


def _doubtful(walk: Walk) -> bool:
    """Whether an empty page must be confirmed: a provider in trouble may give one, and what is left would be taken for read."""
    return not walk.empty and min(walk.bound, walk.now) - walk.since > CONFIRMED


def _ended(walk: Walk, rows: list[Row | BadRow], good: list[Row]) -> bool:
    """Whether the list ends with rows that print later dates than the ones they are listed by: the last few of the page before, and no other."""
    known = len(rows) <= page_order.LAST_ROWS and {row.id for row in good} <= {*walk.tail}
    return known and 2 * sum(row.created >= walk.bound for row in good) > len(good)


def _undated(walk: Walk, rows: list[Row | BadRow]) -> Page:
    """No row of the page says where it is: a longer page may, unless the list ends here."""
    if len(rows) < LIMIT_FALLBACK:
        return Page(rows, None, learned=_learned(walk))
    if walk.limit >= LIMIT_MAX or len(rows) < walk.length:
        raise BadPage("no row of the page has a date")
    return Page(rows, ask(replace(walk, limit=min(LIMIT_MAX, walk.limit * 2))))


def _by_another_stamp(walk: Walk, rows: list[Row | BadRow]) -> Page:
    """Rows are newer than the cursor: the list goes by another stamp than they print, or ignores the cursor."""
    return Page(rows, None, learned=_learned(walk)) if walk.bound - walk.less <= walk.since else stride.begin(walk, rows)


def _standing(walk: Walk, rows: list[Row | BadRow], reached: list[Row], oddities: tuple[str, ...]) -> Page:
    """The page does not say where to go on.

    Where the walk has passed the cursor's own date and the page lists that again, the cursor includes it; what is new
    begins a microsecond below. Else the page holds more of one date than it can list.
    """
    below = [row for row in reached if row.created != walk.cursor]
    again = 2 * len(below) < len(reached) or reached[0].created == walk.cursor
    if again and walk.moved and not walk.less:
        return Page(rows, ask(replace(walk, less=1, page=None)), oddities=oddities)
    good = reached if again else below
    if resting.broadcast(walk, min(row.created for row in good)) is not None:
        return _by_another_stamp(walk, rows)
    return crowd.stuck(walk, rows, good, oddities)


def _learned(walk: Walk) -> Learned | None:
    """What to know the next time: the page length that was accepted where the usual one was refused, and how much is sent just now."""
    learned = walk.learned
    if walk.usual == LIMIT_FALLBACK:
        learned = replace(learned, limit=LIMIT_FALLBACK)
    if walk.live:
        learned = replace(learned, rate=float(f"{walk.total * SECOND / max(SECOND, walk.now - walk.since):.2g}"))
    if walk.dated:
        learned = replace(learned, dated=True)
    return learned if learned != walk.learned else None
