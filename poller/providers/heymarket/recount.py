"""Counts against lists: whether Heymarket lists all that it counts.

The ruler is the server's own: the messages between two bounds are those listed from the upper one
and not from the lower one, and as many as the difference of the two counts. Both go through the
same filter, so it does not matter whether that is exclusive, to which precision, or on which of a
message's dates. Counts are asked before and after a walk and must agree, else the look is void.

What was walked once is watched by two counts alone: where their difference grows, blocks are
halved by more counts and the block that grew is walked again; so a row that turns up late, below
the reach of the quick rungs, is found within minutes, and the audit costs little.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Protocol

import msgspec

from ...model import HOUR, MINUTE, Instant, Row
from ...times import format_rfc3339
from ..contract import Json, Page, Request, Response, View, Window
from ..kit import suspects as looks
from ..kit.answers import accept
from ..kit.rows import count_of
from . import crowd, page_order, walk
from .asking import PATH, Learned, Walk

BLOCK: Instant = HOUR
TRIES_MAX = 5
IDS_MAX = 100_000
LOWER_PAGES_MAX = 20
NEVER: Instant = 1 << 62

QUIET: Instant = HOUR
"""A stream on which nothing changed for so long is quiet."""

QUIET_MINUTES = 8
"""The counts around what was walked are asked for in each minute; of a quiet stream in one of so many."""

REASON = "counted_not_listed"


class Reader(Protocol):
    """The provider's own reading of a walk's page."""

    def read_page(self, request: Request, response: Response) -> Page:
        """See :class:`poller.providers.Provider`."""
        ...


def begin(view: View) -> Request | None:
    """A look that is due, else the next block that is old enough, else the counts around all that was walked."""
    start, edge = looks.above(max(view.floor, view.now - view.depth)), looks.below(view.now - looks.CLOSED)
    memo = looks.kept({"blocks": [], "agreed": 0, "tries": 0, "waiting": [], **(view.remembered or {})}, start)
    for kept in ("blocks", "waiting"):
        memo[kept] = [block for block in memo[kept] if block[0] >= start]
    if memo.get("off") or start >= edge:
        return None
    span, memo = looks.due(memo, view.now)
    upto = max(start, memo["blocks"][-1][1] if memo["blocks"] else start)
    if span is None and upto + BLOCK <= edge:
        span = [upto, upto + BLOCK]
    if span is None and not memo["blocks"]:
        return None
    step: Json = {"kind": "audit", "now": view.now, "memo": memo, "got": []}
    if span is None and view.quiet > QUIET and view.now // MINUTE % QUIET_MINUTES:
        return None
    if span is not None:
        return _count({**step, "span": span, "ask": [span[1], span[0]], "phase": "before"})
    return _count({**step, "ask": [memo["blocks"][-1][1], memo["blocks"][0][0]], "phase": "watch"})


def _count(step: Json) -> Request:
    """The next count that is wanted."""
    body = msgspec.json.encode({"created_at": format_rfc3339(step["ask"][len(step["got"])])})
    return Request("POST", f"{PATH}/count", body=body, continuation=step)


def read(reader: Reader, request: Request, response: Response) -> Page:
    """One answer of the audit."""
    step = request.continuation
    if step["phase"] in ("upper", "lower"):
        return _walked(reader, request, response)
    step = {**step, "got": [*step["got"], count_of(accept(response))]}
    if len(step["got"]) < len(step["ask"]):
        return Page([], _count(step))
    if step["phase"] == "before":
        return Page([], _walk({**step, "phase": "upper", "upper": {}, "pages": 0}, step["span"]))
    return _verdict(step) if step["phase"] == "after" else _watched(step)


def _walk(step: Json, span: list[Instant]) -> Request:
    """The first page of a walk over a span, from its upper end."""
    inner = walk.begin(Window(span[0], span[1], step["now"]), Learned())
    return msgspec.structs.replace(inner, continuation={**step, "inner": inner.continuation})


def _walked(reader: Reader, request: Request, response: Response) -> Page:
    """One page of a walk, read as always; ids and dates of what it lists are kept."""
    step = request.continuation
    page = reader.read_page(msgspec.structs.replace(request, continuation=step["inner"]), response)
    rows = crowd.of_walk(step["inner"], page.rows)
    seen = {**{looks.id_of(row): row.created if isinstance(row, Row) else NEVER for row in rows}, **step[step["phase"]]}
    step = {
        **step,
        step["phase"]: dict(itertools.islice(seen.items(), IDS_MAX)),
        "pages": step["pages"] + (isinstance(step["inner"], Walk)),
    }
    if page.next is not None and not (step["phase"] == "lower" and _found(step)):
        following = msgspec.structs.replace(page.next, continuation={**step, "inner": page.next.continuation})
    elif step["phase"] == "upper":
        oldest = min([step["span"][0], *step["upper"].values()])
        following = _walk({**step, "phase": "lower", "lower": {}, "pages": 0}, [oldest, step["span"][0]])
    else:
        following = _count({**step, "phase": "after", "before": step["got"], "got": []})
    return Page(page.rows, following, gaps=page.gaps)


def _found(step: Json) -> bool:
    """Whether the walk from the lower bound has listed all that the other one listed below it, or went far for rows that it never lists."""
    under = {id_ for id_, date in step["upper"].items() if date < step["span"][0]}
    return under <= step["lower"].keys() or step["pages"] >= LOWER_PAGES_MAX


def _verdict(step: Json) -> Page:
    """What was listed against what was counted, where the counts stood still."""
    memo, span, now = step["memo"], step["span"], step["now"]
    counted, listed = step["got"][0] - step["got"][1], _between(step["upper"], step["lower"], span[0])
    wrong = counted > listed
    if step["before"] != step["got"] and memo["tries"] < TRIES_MAX:
        return Page([], learned={**memo, "tries": memo["tries"] + 1, "todo": [*memo["todo"], span]})
    memo = {**_blocked(memo, span, counted), "tries": 0, "agreed": memo["agreed"] + (not wrong and listed > 0)}
    if wrong and not memo["agreed"]:
        return _incomparable(memo, span)
    if memo["agreed"]:
        memo |= {"todo": [*memo["todo"], *memo["waiting"]], "waiting": []}
    memo, gaps, said = looks.looked(memo, span, now, wrong=wrong, reason=REASON)
    return Page([], learned=memo, gaps=gaps, proved=() if wrong else ((span[0], span[1]),), oddities=said)


def _incomparable(memo: Json, span: list[Instant]) -> Page:
    """No count agreed with a list yet: a block waits until one did; where several blocks do, counts mean something else."""
    waiting = [*(each for each in memo["waiting"] if each != span), span]
    off = len(waiting) >= TRIES_MAX
    return Page([], learned={**memo, "waiting": waiting, "suspects": {}, "off": off}, oddities=("counts_not_comparable",) * off)


def _between(upper: dict[str, Instant], lower: dict[str, Instant], bound: Instant) -> int:
    """How many were listed from the upper bound and not from the lower one.

    An older row is below the bound too where a group with its date is: of one longer than a page, each walk may list others.
    """
    dates = {date for date, rows in Counter(lower.values()).items() if rows > page_order.LAST_ROWS}
    return sum(id_ not in lower and not (date < bound and date in dates) for id_, date in upper.items())


def _blocked(memo: Json, span: list[Instant], counted: int) -> Json:
    """Remember a whole block with its count: a new one at the end, or one that was walked again."""
    blocks = [[*span, counted] if block[:2] == span else block for block in memo["blocks"]]
    if not blocks or span[0] == blocks[-1][1]:
        blocks.append([*span, counted])
    return {**memo, "blocks": blocks}


def _watched(step: Json) -> Page:
    """Halve what changed until single blocks are left: one that grew is walked, one that shrank is only noted.

    Each half to its end before the other, so that what was found is remembered whenever a run is cut off.
    """
    memo = step["memo"]
    blocks = [list(block) for block in memo["blocks"]]
    if "spans" not in step:
        spans = [[0, len(blocks), step["got"][1], step["got"][0]]]
    else:
        low, high, below, above = step["spans"][0]
        middle = (low + high) // 2
        spans = [[low, middle, below, step["got"][0]], [middle, high, step["got"][0], above], *step["spans"][1:]]
    todo, left = list(memo["todo"]), []
    for low, high, below, above in spans:
        if above - below == sum(block[2] for block in blocks[low:high]):
            continue
        if high - low > 1:
            left.append([low, high, below, above])
        elif above - below > blocks[low][2]:
            todo.append(blocks[low][:2])
        else:
            blocks[low][2] = above - below
    memo = {**memo, "blocks": blocks, "todo": todo}
    if not left:
        return Page([], learned=memo)
    low, high = left[0][:2]
    return Page([], _count({**step, "memo": memo, "spans": left, "ask": [blocks[(low + high) // 2][0]], "got": []}), learned=memo)
