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

import math

import msgspec
from msgspec.structs import replace

from ...errors import BadPage, CursorIgnored
from ...model import DAY, HOUR, MINUTE, SECOND, BadRow, Gap, Instant, Row
from ...times import format_rfc3339
from ..contract import Json, Page, Request, Response, Window
from ..kit.rows import decoded, listed
from ..kit.values import optional_id, words
from . import page_order as heymarket_page

PATH = "/v1/messages/all"
LIMIT, LIMIT_FALLBACK, LIMIT_MAX = 100, 30, 1000
SAME_MAX = 3
"""The same page so many times in a row, with rows newer than the cursor, and the cursor is taken to be ignored."""

DATED = "dated"
"""In the memo: the provider answers only where a cursor is given."""

TALKS_MAX = 20
GROUP_MAX = 5_000
CONFIRMED: Instant = HOUR
"""An empty page that ends a walk with so much left is asked for twice."""

LAGS: Instant = HOUR
"""Counts of what is older are taken to be up to date."""


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
        step["cursor"] = _tomorrow(step)
    span = (window.now if window.until is None else window.until) - window.since
    return _ask(step, memo["rate"] * span / SECOND if "rate" in memo else None)


def _ask(step: Json, expected: float | None = None) -> Request:
    """The page before the step's cursor, only as long as so many ``expected`` rows are likely to need."""
    length: int = step["limit"]
    if expected is not None:
        length = min(length, max(LIMIT_FALLBACK, heymarket_page.OLDER_ROWS + math.ceil(expected + 2 * math.sqrt(expected))))
    body: Json = {"limit": length}
    if step["cursor"] is not None:
        body["created_at"] = format_rfc3339(max(SECOND, step["cursor"] - step.get("less", 0)))
    return Request("POST", PATH, body=msgspec.json.encode(body), continuation={**step, "length": length})


def refused(request: Request, response: Response) -> Request | None:
    """What to ask instead after a 400: with the cursor that the older page requires, a shorter page, or no longer one of a group."""
    step = request.continuation
    if response.status not in (400, 422):
        return None
    if "got" in step:
        return _count({**step, "ends": [], "talks": []})
    if step.get("asked"):
        return None
    if step["cursor"] is None:
        return _ask({**step, "cursor": _tomorrow(step), DATED: True})
    if step["limit"] > LIMIT_FALLBACK:
        return _ask({**step, "limit": LIMIT_FALLBACK, "usual": LIMIT_FALLBACK})
    return None


def _tomorrow(step: Json) -> Instant:
    """A cursor that every row is before."""
    return int(step["now"]) + DAY


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a page: a bare array, or one wrapped in ``messages`` or ``data``; null is empty."""
    return listed(body, ("messages", "data"))[0]


def read(request: Request, rows: list[Row | BadRow], now: Instant | None = None) -> Page:
    """The page and what to ask next. ``now``: when the provider answered, as far as it says."""
    step = request.continuation
    if step["kind"] == "talk":
        return _after_talk(step, rows)
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
    reached = [row for row in good if row.created <= _bound(step)]
    if not reached and now is not None and all(row.created > now + MINUTE for row in good):
        return _undated(step, rows, total)
    reached = reached or good
    following = heymarket_page.following(reached, step["unit"], _bound(step))
    if following is None:
        return _standing(step, rows, reached, oddities)
    step = {name: value for name, value in step.items() if name not in ("group", "got", "less")}
    step |= {"cursor": following, "page": fingerprint, "same": same, "limit": _usual(step), "moved": True}
    return Page(rows, _ask(step, heymarket_page.left(good, following - step["since"])), oddities=oddities)


def _doubtful(step: Json) -> bool:
    """Whether an empty page must be confirmed: a provider in trouble may give one, and what is left would be taken for read."""
    return not step.get("empty") and min(_bound(step), step["now"]) - step["since"] > CONFIRMED


def _ended(step: Json, rows: list[Row | BadRow], good: list[Row]) -> bool:
    """Whether the list ends with rows that print later dates than the ones they are listed by: the last few of the page before, and no other."""
    known = len(rows) <= heymarket_page.LAST_ROWS and {row.id for row in good} <= {*step.get("tail", ())}
    return known and 2 * sum(row.created >= _bound(step) for row in good) > len(good)


def _undated(step: Json, rows: list[Row | BadRow], total: int) -> Page:
    """No row of the page says where it is: a longer page may, unless the list ends here."""
    if len(rows) < LIMIT_FALLBACK:
        return Page(rows, None, learned=_memo(step, total))
    if step["limit"] >= LIMIT_MAX or len(rows) < step.get("length", 0):
        raise BadPage("no row of the page has a date")
    return Page(rows, _ask({**step, "limit": min(LIMIT_MAX, step["limit"] * 2)}))


def _honoured(step: Json, good: list[Row], same: int, now: Instant | None) -> None:
    """Most rows newer than the cursor, or the same page again and again: it was not honoured. What is dated ahead of now says nothing."""
    present = [row for row in good if now is None or row.created <= now + MINUTE]
    newer = sum(row.created > _bound(step) + SECOND for row in present)
    if newer * 2 > len(present):
        raise CursorIgnored("rows are newer than the cursor")
    if newer and same >= SAME_MAX:  # once or twice where a row prints a later date than the one that it is listed by
        raise CursorIgnored("the same page came again")


def _bound(step: Json) -> Instant:
    """What the next cursor must be below for the walk to move."""
    return step["cursor"] if step["cursor"] is not None else 1 << 62


def _usual(step: Json) -> int:
    """Back to the usual page once a long group is passed."""
    return int(step.get("usual", LIMIT))


def _standing(step: Json, rows: list[Row | BadRow], reached: list[Row], oddities: tuple[str, ...]) -> Page:
    """The page does not say where to go on.

    Where the walk has passed the cursor's own date and the page lists that again, the cursor includes it; what is new
    begins a microsecond below. Else the page holds more of one date than it can list.
    """
    below = [row for row in reached if row.created != step["cursor"]]
    again = 2 * len(below) < len(reached) or reached[0].created == step["cursor"]
    if again and step.get("moved") and not step.get("less"):
        step = {name: value for name, value in step.items() if name != "page"}
        return Page(rows, _ask({**step, "less": 1}), oddities=oddities)
    return _stuck(step, rows, reached if again else below, oddities)


def _stuck(step: Json, rows: list[Row | BadRow], good: list[Row], oddities: tuple[str, ...]) -> Page:
    """The walk does not get past one date, as far as it is printed: ask for more of it, else count it."""
    edge = max(row.created for row in good) // step["unit"] * step["unit"]
    group = _group(step, [row for row in good if edge <= row.created < edge + step["unit"]])
    step = {**{name: value for name, value in step.items() if name != "page"}, "group": group}
    full = len(rows) > heymarket_page.LAST_ROWS and 2 * len(rows) >= min(step["most"], step.get("length", LIMIT_MAX))
    # a page that lacks rows which we may not see is not the list's end; and older rows at its end say that a few of one date are no crowd
    over = not full or min(row.created for row in good[-heymarket_page.LAST_ROWS :]) < edge
    if over and len(group) <= heymarket_page.LAST_ROWS:
        return Page(rows, _leave(step, edge), oddities=oddities)
    if len(group) > step.get("got", 0) and step["limit"] < LIMIT_MAX:
        step |= {"edge": edge, "got": len(group), "limit": min(LIMIT_MAX, step["limit"] * 2)}
        return Page(rows, _ask(step), oddities=oddities)
    step |= {"edge": edge, "talks": _talks(good)}
    return Page(rows, _count({**step, "ends": []}), oddities=oddities)


def _group(step: Json, good: list[Row]) -> list[str]:
    """The distinct ids of the group so far."""
    return sorted({*step.get("group", ()), *(row.id for row in good)})[:GROUP_MAX]


def _leave(step: Json, edge: Instant) -> Request:
    """The page before ``edge``; just below it where the cursor was there already and includes its own date."""
    cursor = edge if edge < _bound(step) else edge - 1
    if cursor >= _bound(step):
        raise CursorIgnored("the walk does not get below one date")
    kept = {
        name: step[name]
        for name in ("kind", "since", "now", "unit", "most", "asked", "memo", "live", "total", "usual", "tail", DATED)
        if name in step
    }
    return _ask({**kept, "kind": "walk", "cursor": cursor, "moved": True, "limit": _usual(step)})


def _count(step: Json) -> Request:
    """Ask for the count before the group's end, then before its beginning; then both a microsecond earlier, where cursors may include their date; at once where they do."""
    asked = len(step["ends"])
    at = step["edge"] + (0 if asked % 2 else step["unit"]) - (step.get("less") or asked // 2)
    body = msgspec.json.encode({"created_at": format_rfc3339(at)})
    return Request("POST", f"{PATH}/count", body=body, continuation={**step, "kind": "count"}, resumable=False)


def counted(request: Request, count: int) -> Page:
    """Both ends counted: the group is whole, or its conversations are read one by one."""
    step = {**request.continuation, "ends": [*request.continuation["ends"], count]}
    listed = len(step["group"])
    both = len(step["ends"]) == 4 or "less" in step
    if len(step["ends"]) % 2 or (not both and listed not in _expected(step)):
        return Page([], _count(step))
    return _settled(step, [])


def _expected(step: Json) -> list[int]:
    """The size of the group, by each pair of counts."""
    return [step["ends"][n] - step["ends"][n + 1] for n in range(0, len(step["ends"]), 2)]


def uncounted(request: Request) -> Page:
    """The provider will not count: nobody can say whether the group is whole."""
    edge, unit = request.continuation["edge"], request.continuation["unit"]
    return Page([], _leave(request.continuation, edge), gaps=(Gap("tie_group", edge, edge + unit),))


def _settled(step: Json, rows: list[Row | BadRow]) -> Page:
    """Go on below the group when it is whole or nothing is left to try; what is short is a possible gap."""
    expected, edge = _expected(step), step["edge"]
    past = _leave(step, edge)
    listed, settled = len(step["group"]), edge < step["now"] - LAGS
    if listed in expected or (settled and 0 < max(expected) < listed):  # a young count that is too low lags: it proves nothing
        return Page(rows, past)
    if step["talks"]:
        phone, inbox = step["talks"][0]
        until = -(-(edge + step["unit"]) // SECOND) + 1
        query = (("phoneNumber", phone), ("inboxID", inbox), ("timestamp", str(until)))
        return Page(
            rows, Request("GET", "/v1/messages", query, continuation={**step, "kind": "talk", "talks": step["talks"][1:]}, resumable=False)
        )
    return Page(rows, past, gaps=(Gap("tie_group", edge, edge + step["unit"]),))


def _after_talk(step: Json, rows: list[Row | BadRow]) -> Page:
    """One conversation's messages up to the end of the group."""
    return _settled({**step, "group": _group(step, [row for row in of_walk(step, rows) if isinstance(row, Row)])}, rows)


def of_walk(step: Json, rows: list[Row | BadRow]) -> list[Row | BadRow]:
    """The rows that belong to a walk: of a conversation's messages only those of the group that was asked for."""
    if step["kind"] != "talk":
        return rows
    return [row for row in rows if isinstance(row, Row) and step["edge"] <= row.created < step["edge"] + step["unit"]]


def _talks(good: list[Row]) -> list[list[str]]:
    """The conversations seen in the group, as phone number and inbox."""
    talks: dict[tuple[str, str], None] = {}
    for row in good:
        value = decoded(row.raw)
        if isinstance(value, BadRow):
            continue
        talk = value.get("conversation")
        inbox = optional_id(talk.get("inbox")) if isinstance(talk, dict) else None
        number = words(value.get("phone")) or words(value.get("target"))
        if inbox and number:
            talks[(number.lstrip("+"), inbox)] = None
    return [list(pair) for pair in list(talks)[:TALKS_MAX]]


def _memo(step: Json, total: int) -> Json | None:
    """What to know the next time: the page length that was accepted where the usual one was refused, and how much is sent just now."""
    memo: Json = {**step.get("memo", {})}
    if _usual(step) == LIMIT_FALLBACK:
        memo["limit"] = LIMIT_FALLBACK
    if step.get("live"):
        memo["rate"] = float(f"{total * SECOND / max(SECOND, step['now'] - step['since']):.2g}")
    if DATED in step:
        memo[DATED] = True
    return memo if memo != step.get("memo", {}) else None
