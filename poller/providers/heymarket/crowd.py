"""More rows with one printed date than a page holds: a group, which is counted, and looked for by every way that the vendor documents.

Longer pages come first; then both ends of the printed unit are counted. What is short is asked for between the two, where dates are
stored more finely than they are printed; then once more, in each order; then by the conversations that were seen there. What is still
short is a possible gap. Requests of conversations hold phone numbers, so none of these requests is kept.
"""

from __future__ import annotations

import msgspec

from ...errors import CursorIgnored
from ...model import HOUR, SECOND, BadRow, Gap, Instant, Row
from ...times import format_rfc3339
from ..contract import Json, Page, Request
from ..kit.rows import decoded
from ..kit.values import optional_id, words
from . import page_order as heymarket_page
from .asking import DATED, LIMIT_MAX, PATH, ask, bound, usual

TALKS_MAX = 20
ORDERS = ("created_at", "created_at", "updated_at")
"""In which a page that holds only a part of a group is asked for again: equal dates need not come in one order, and rows change at other times."""

LOOKS_MAX = 30
"""Pages that are asked for one group at most, before its conversations are."""

FINER = 1_000
"""Dates may be stored so many times finer than they are printed."""

GROUP_MAX = 5_000

LAGS: Instant = HOUR
"""Counts of what is older are taken to be up to date."""


def stuck(step: Json, rows: list[Row | BadRow], good: list[Row], oddities: tuple[str, ...]) -> Page:
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
        return Page(rows, ask(step), oddities=oddities)
    step |= {"edge": edge, "talks": _talks(good)}
    return Page(rows, ask_count({**step, "ends": []}), oddities=oddities)


def _group(step: Json, good: list[Row]) -> list[str]:
    """The distinct ids of the group so far."""
    return sorted({*step.get("group", ()), *(row.id for row in good)})[:GROUP_MAX]


def _leave(step: Json, edge: Instant) -> Request:
    """The page before ``edge``; just below it where the cursor was there already and includes its own date."""
    cursor = edge if edge < bound(step) else edge - 1
    if cursor >= bound(step):
        raise CursorIgnored("the walk does not get below one date")
    kept = {
        name: step[name]
        for name in ("kind", "since", "now", "unit", "most", "asked", "memo", "live", "total", "usual", "tail", DATED)
        if name in step
    }
    return ask({**kept, "kind": "walk", "cursor": cursor, "moved": True, "limit": usual(step)})


def ask_count(step: Json) -> Request:
    """Ask for the count before the group's end, then before its beginning; then both a microsecond earlier, where cursors may include their date; at once where they do."""
    asked = len(step["ends"])
    at = step["edge"] + 1 if step.get("within") else step["edge"] + (0 if asked % 2 else step["unit"]) - (step.get("less") or asked // 2)
    body = msgspec.json.encode({"created_at": format_rfc3339(at)})
    return Request("POST", f"{PATH}/count", body=body, continuation={**step, "kind": "count"}, resumable=False)


def counted(request: Request, count: int) -> Page:
    """Both ends counted: the group is whole, or more of it is asked for."""
    step = request.continuation
    if step.get("within"):  # nothing lies between the unit's beginning and its end: its rows are not stored more finely
        finer = count not in step["ends"][::2]
        return _settled({**step, "pieces": [[step["edge"], step["edge"] + step["unit"]]] if finer else []}, [])
    step = {**step, "ends": [*step["ends"], count]}
    listed = len(step["group"])
    both = len(step["ends"]) >= 4 or "less" in step
    if len(step["ends"]) % 2 or (not both and listed not in _expected(step)):
        return Page([], ask_count(step))
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
    if "pieces" not in step:
        return Page(rows, ask_count({**step, "within": True}))
    if (step["pieces"] or step.get("orders", ORDERS)) and step.get("looks", 0) < LOOKS_MAX:
        return Page(rows, _look(step))
    if step["talks"]:
        phone, inbox = step["talks"][0]
        until = -(-(edge + step["unit"]) // SECOND) + 1
        query = (("phoneNumber", phone), ("inboxID", inbox), ("timestamp", str(until)))
        return Page(
            rows, Request("GET", "/v1/messages", query, continuation={**step, "kind": "talk", "talks": step["talks"][1:]}, resumable=False)
        )
    return Page(rows, past, gaps=(Gap("tie_group", edge, edge + step["unit"]),))


def _look(step: Json) -> Request:
    """A page from within the printed unit, where dates are stored more finely; else the group's page once more, in the next order."""
    body: Json = {"limit": step["limit"]}
    if step["pieces"]:
        until = sum(step["pieces"][-1]) // 2
    else:
        until = step["edge"] + step["unit"] - step.get("less", 0)
        body["order"] = step.get("orders", ORDERS)[0]
    body["created_at"] = format_rfc3339(until)
    step = {**step, "kind": "look", "looks": step.get("looks", 0) + 1}
    return Request("POST", PATH, body=msgspec.json.encode(body), continuation=step, resumable=False)


def after_look(step: Json, rows: list[Row | BadRow]) -> Page:
    """What the page adds to the group, and what is left to look at.

    A page from within the unit that holds rows of the group only may hide more of them below; what lies above it is
    looked at in any case. An order that gave rows which were not listed yet is asked for again.
    """
    mine = [row for row in of_walk(step, rows) if isinstance(row, Row)]
    group = _group(step, mine)
    if not step["pieces"]:
        orders = step.get("orders", ORDERS)
        return _settled({**step, "group": group, "orders": orders if len(group) > len(step["group"]) else orders[1:]}, rows)
    *pieces, (low, high) = step["pieces"]
    middle = (low + high) // 2
    halves = [[middle, high], [low, middle]] if rows and len(mine) == len(rows) else [[middle, high]]
    pieces += [half for half in halves if half[1] - half[0] > max(1, step["unit"] // FINER)]
    return _settled({**step, "group": group, "pieces": pieces}, rows)


def after_talk(step: Json, rows: list[Row | BadRow]) -> Page:
    """One conversation's messages up to the end of the group."""
    return _settled({**step, "group": _group(step, [row for row in of_walk(step, rows) if isinstance(row, Row)])}, rows)


def of_walk(step: Json, rows: list[Row | BadRow]) -> list[Row | BadRow]:
    """The rows that belong to a walk: of what is asked for a group, only those of the group."""
    if step["kind"] not in ("talk", "look"):
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
