"""Walking a list backwards by a timestamp that may be cut off, shared, or not honoured.

Rules, each safe under every reading of the vendor's pages:

- Only descending. The next cursor is the latest date among the last three rows plus one printed
  unit (the coarsest seen), so that a page that ends inside a group of equal dates, dates cut
  off to the second, and one or two old-dated imports at its end lose nothing; re-read rows are
  the price. A page that is out of order or jumps may end with more of them: then half of it counts as its end.
- A walk that does not get past one date asks for longer pages; then counts both ends of that
  date and reads the conversations seen there; what is still short is a possible gap.
- It ends when a whole page is older than the window, or the last thirty rows of one in order, or when it is empty (twice, where
  more than an hour is left); never at a short page.
- A page is asked as long as what is left of the window is likely to need, with those thirty.
- A cursor that lists its own date again where the walk has passed it, and nothing to go on by, is given a microsecond less.
- Most rows newer than the cursor, or the same page again and again, means the cursor was not honoured. Rows dated ahead of now (a
  bulk schedule) say nothing of that, nor of where a page ends.
- What asks for conversations by their numbers is fleeting: it is never kept, and after a restart the page before it is read again.
"""

from __future__ import annotations

from msgspec.structs import replace

from ...errors import BadPage, CursorIgnored
from ...model import HOUR, MINUTE, SECOND, BadRow, Instant, Row
from ..contract import Json, Page, Request, Response, Window
from ..kit.rows import listed
from . import crowd
from . import page_order as heymarket_page
from .asking import DATED, LIMIT, LIMIT_FALLBACK, LIMIT_MAX, ask, bound, tomorrow, usual

SAME_MAX = 3
"""The same page so many times in a row, with rows newer than the cursor, and the cursor is taken to be ignored."""

CONFIRMED: Instant = HOUR
"""An empty page that ends a walk with so much left is asked for twice."""


def begin(window: Window, memo: Json) -> Request:
    """The first request of a walk over the window."""
    limit = int(memo.get("limit", LIMIT))
    step: Json = {
        "kind": "walk",
        "since": window.since,
        "now": window.now,
        "limit": limit,
        "usual": limit,
        "unit": 1,
        "most": 0,
        "memo": memo,
    }
    step |= {"cursor": window.until, "live": window.until is None, "total": 0}
    if window.until is None and DATED in memo:
        step["cursor"] = tomorrow(step)
    span = (window.now if window.until is None else window.until) - window.since
    return ask(step, memo["rate"] * span / SECOND if "rate" in memo else None)


def refused(request: Request, response: Response) -> Request | None:
    """What to ask instead after a 400: with the cursor that the older page requires, a shorter page, or no longer one of a group."""
    step = request.continuation
    if response.status not in (400, 422):
        return None
    if "got" in step:
        return crowd.ask_count({**step, "limit": step["limit"] // 2, "ends": [], "talks": []})
    if step.get("asked"):
        return None
    if step["cursor"] is None:
        return ask({**step, "cursor": tomorrow(step), DATED: True})
    if step["limit"] > LIMIT_FALLBACK:
        return ask({**step, "limit": LIMIT_FALLBACK, "usual": LIMIT_FALLBACK})
    return None


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a page: a bare array, or one wrapped in ``messages`` or ``data``; null is empty."""
    return listed(body, ("messages", "data"))[0]


def read(request: Request, rows: list[Row | BadRow], now: Instant | None = None) -> Page:
    """The page and what to ask next. ``now``: when the provider answered, as far as it says."""
    step = request.continuation
    if step["kind"] == "talk":
        return crowd.after_talk(step, rows)
    if step["kind"] == "look":
        return crowd.after_look(step, rows)
    if not rows and _doubtful(step):
        return Page(rows, replace(request, continuation={**step, "empty": True}))
    oddities = ("empty_answer",) * bool(rows and step.get("empty"))
    step = {name: value for name, value in step.items() if name != "empty"}
    good = [row for row in rows if isinstance(row, Row)]
    total = step.get("total", 0) + sum(row.created >= step["since"] for row in good)
    if not rows or (good and heymarket_page.over(good, step["since"])):
        return Page(rows, None, learned=_memo(step, total), oddities=oddities)
    if not good:
        return _undated(step, rows, total)
    fingerprint = heymarket_page.fingerprint(good)
    if _ended(step, rows, good):
        return Page(rows, None, learned=_memo(step, total), oddities=oddities)
    same = step.get("same", 0) + 1 if fingerprint == step.get("page") else 0
    _honoured(step, good, same, now)
    step = {
        **step,
        "asked": True,
        "unit": max(step["unit"], *(heymarket_page.unit_of(row) for row in good)),
        "most": max(step["most"], len(rows)),
        "total": total,
        "tail": [row.id for row in good[-heymarket_page.LAST_ROWS :]],
    }
    oddities += ("non_monotonic_page",) * heymarket_page.unsorted(good)
    reached = [row for row in good if row.created <= bound(step)]
    if not reached and now is not None and all(row.created > now + MINUTE for row in good):
        return _undated(step, rows, total)
    reached = reached or good
    following = heymarket_page.following(reached, step["unit"], bound(step))
    if following is None:
        return _standing(step, rows, reached, oddities)
    step = {name: value for name, value in step.items() if name not in ("group", "got", "less")}
    step |= {"cursor": following, "page": fingerprint, "same": same, "limit": usual(step), "moved": True}
    return Page(rows, ask(step, heymarket_page.left(good, following - step["since"])), oddities=oddities)


def _doubtful(step: Json) -> bool:
    """Whether an empty page must be confirmed: a provider in trouble may give one, and what is left would be taken for read."""
    return not step.get("empty") and min(bound(step), step["now"]) - step["since"] > CONFIRMED


def _ended(step: Json, rows: list[Row | BadRow], good: list[Row]) -> bool:
    """Whether the list ends with rows that print later dates than the ones they are listed by: the last few of the page before, and no other."""
    known = len(rows) <= heymarket_page.LAST_ROWS and {row.id for row in good} <= {*step.get("tail", ())}
    return known and 2 * sum(row.created >= bound(step) for row in good) > len(good)


def _undated(step: Json, rows: list[Row | BadRow], total: int) -> Page:
    """No row of the page says where it is: a longer page may, unless the list ends here."""
    if len(rows) < LIMIT_FALLBACK:
        return Page(rows, None, learned=_memo(step, total))
    if step["limit"] >= LIMIT_MAX or len(rows) < step.get("length", 0):
        raise BadPage("no row of the page has a date")
    return Page(rows, ask({**step, "limit": min(LIMIT_MAX, step["limit"] * 2)}))


def _honoured(step: Json, good: list[Row], same: int, now: Instant | None) -> None:
    """Most rows newer than the cursor, or the same page again and again: it was not honoured. What is dated ahead of now says nothing."""
    present = [row for row in good if now is None or row.created <= now + MINUTE]
    newer = sum(row.created > bound(step) + SECOND for row in present)
    if newer * 2 > len(present):
        raise CursorIgnored("rows are newer than the cursor")
    if newer and same >= SAME_MAX:  # once or twice where a row prints a later date than the one that it is listed by
        raise CursorIgnored("the same page came again")


def _standing(step: Json, rows: list[Row | BadRow], reached: list[Row], oddities: tuple[str, ...]) -> Page:
    """The page does not say where to go on.

    Where the walk has passed the cursor's own date and the page lists that again, the cursor includes it; what is new
    begins a microsecond below. Else the page holds more of one date than it can list.
    """
    below = [row for row in reached if row.created != step["cursor"]]
    again = 2 * len(below) < len(reached) or reached[0].created == step["cursor"]
    if again and step.get("moved") and not step.get("less"):
        step = {name: value for name, value in step.items() if name != "page"}
        return Page(rows, ask({**step, "less": 1}), oddities=oddities)
    return crowd.stuck(step, rows, reached if again else below, oddities)


def _memo(step: Json, total: int) -> Json | None:
    """What to know the next time: the page length that was accepted where the usual one was refused, and how much is sent just now."""
    memo: Json = {**step.get("memo", {})}
    if usual(step) == LIMIT_FALLBACK:
        memo["limit"] = LIMIT_FALLBACK
    if step.get("live"):
        memo["rate"] = float(f"{total * SECOND / max(SECOND, step['now'] - step['since']):.2g}")
    if DATED in step:
        memo[DATED] = True
    return memo if memo != step.get("memo", {}) else None
