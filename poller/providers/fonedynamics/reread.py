"""One range of Fone Dynamics, read in several ways: what one way shows the others must show.

There is no count to hold lists against, so each closed range is read as a whole, under another
tiling, and by direction. An id that one reading has and another lacks means that a page, a cut or
a filter loses rows. It is looked at again before it is called a possible gap (see :mod:`.looks`).
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec.structs import replace

from ...model import SECOND, Instant, Stream
from ..contract import Json, Page, Request, Response, View, Window
from ..kit import suspects as looks

REASON = "tilings_disagree"
IDS_MAX = 50_000
PAGES_A_RANGE = 4
"""A range is chosen to hold about so many of the longest answers seen."""

SHORTER = 1.6
"""The other tiling expects so many times the rows, so its slices begin shorter, and none of the bounds between is shared."""


class Lists(Protocol):
    """What lists a window: the provider."""

    def first_page(self, stream: Stream, window: Window, learned: Any, **only: str) -> Request:
        """The request that begins a window, ``only`` rows with these values."""
        ...

    def read_page(self, request: Request, response: Response) -> Page:
        """One page of it."""
        ...


def begin(lists: Lists, stream: Stream, view: View) -> Request | None:
    """A look that is due, else the next range of the round; a round a period of the deepest rung."""
    start, edge = looks.above(max(view.floor, view.now - view.depth)), looks.below(view.now - looks.CLOSED)
    memo = looks.kept({"next": start, "round": view.now, **(view.remembered or {})}, start)
    if start >= edge:
        return None
    span, memo = looks.due(memo, view.now)
    length = _length(view)
    if span is None and _end(memo["next"], length) > edge and view.now - memo["round"] >= view.every:
        memo = {**memo, "next": start, "round": view.now}
    if span is None:
        since = max(start, memo["next"])
        span = [since, _end(since, length)]
        if span[1] > edge:
            return None
        memo = {**memo, "next": span[1]}
    middle = span[0] + (span[1] - span[0]) // 3 // SECOND * SECOND
    plan = [[0, *span, None], [1, middle, span[1], None], [1, span[0], middle, None], [2, *span, "Transmit"], [2, *span, "Receive"]]
    step: Json = {
        "kind": "tilings",
        "now": view.now,
        "memo": memo,
        "span": span,
        "ids": [[], [], []],
        "learned": _of_the_past(view.learned or {}),
    }
    return _reading(lists, stream.name, {**step, "plan": plan})


def _length(view: View) -> Instant:
    """Longer where little is sent, within half a round: cells, doubled as often as that allows, so that ranges of two rounds are the same or nested."""
    learned = _of_the_past(view.learned or {})
    room, rate = PAGES_A_RANGE * max(50, learned.get("most", 0)), learned.get("rate", 0.0)
    longest = min(view.every // 2, int(min(view.every, room / rate * SECOND))) if rate > 0 else view.every // 2
    return looks.CELL << max(0, (longest // looks.CELL).bit_length() - 1)


def _of_the_past(learned: Json) -> Json:
    """Without what is sent just now, unless nothing else is known."""
    known = {name: value for name, value in learned.items() if name != "near"}
    return {"rate": learned["near"], **known} if "near" in learned else known


def _end(since: Instant, length: Instant) -> Instant:
    """The next bound of ranges of that length."""
    return (since // length + 1) * length


def _reading(lists: Lists, name: str, step: Json) -> Request:
    """The first page of the next reading of the plan."""
    which, since, until, direction = step["plan"][0]
    only = {"Direction": direction} if direction else {}
    learned = {**step["learned"], "rate": SHORTER * step["learned"].get("rate", 0.0)} if which == 1 else step["learned"]
    inner = lists.first_page(Stream("fonedynamics", "", name), Window(since, until, step["now"]), learned, **only)
    return replace(inner, continuation={**step, "stream": name, "inner": inner.continuation})


def read(lists: Lists, request: Request, response: Response) -> Page:
    """One page of a reading; after the last the readings are compared."""
    step = request.continuation
    page = lists.read_page(replace(request, continuation=step["inner"]), response)
    which, ids = step["plan"][0][0], list(step["ids"])
    ids[which] = sorted(looks.ids_of(page.rows).union(ids[which]))[:IDS_MAX]
    step = {**step, "ids": ids}
    if page.next is not None:
        return Page(page.rows, replace(page.next, continuation={**step, "inner": page.next.continuation}), gaps=page.gaps)
    if len(step["plan"]) > 1:
        return Page(page.rows, _reading(lists, step["stream"], {**step, "plan": step["plan"][1:]}), gaps=page.gaps)
    whole, tiled, directed = map(set, ids)
    wrong = bool(whole ^ tiled or directed - whole or (directed and whole - directed))
    memo, gaps, said = looks.looked(step["memo"], step["span"], step["now"], wrong=wrong, reason=REASON, halve=False)
    since, until = step["span"]
    return Page(page.rows, learned=memo, gaps=(*page.gaps, *gaps), proved=() if wrong else ((since, until),), oddities=said)
