"""How a window of Fone Dynamics is cut into slices that one answer holds, and how an answer is read."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct

from ...errors import BadPage, CursorIgnored, Unreachable
from ...model import DAY, HOUR, SECOND, BadRow, Instant, Row, Stream
from ..contract import Json
from ..kit.rows import decoded, listed, read_once
from ..kit.times import epoch
from .message import STAMPS, row_of

COUNT, COUNT_DOCUMENTED = 1000, 200
"""Asked for, what comes back teaches the cap; and the documented default, where so many are refused."""


MODEST_S = 86_400


FILL = 0.75
"""A slice is as long as is expected to fill this part of the longest answer seen."""


SHORTEST_CAP = 30
"""No limit of answers is taken to be lower, so what little was seen yet does not make slices short."""


PASSES_MAX = 6


SECOND_IDS_MAX = 20_000


DRIFT_MAX = 2
"""A pass that has skipped so many times the rows that it saw is not going to see others."""


FAR_S = 6 * 3600
"""What a shorter window holds is reckoned by what is sent just now, what a longer one holds by the last such one."""


CONFIRMED: Instant = HOUR
"""An answer without rows that speaks for so long a time is asked for twice."""


SURPRISING = 10
"""So is one where so many were expected; and the page after an answer that was as long as the longest."""


def _usual(step: Json, until: int) -> float:
    """Rows a second that earlier windows of the kind found; what is sent just now says nothing of what is scheduled."""
    kind, memo = _kind(step, until), step["memo"]
    return memo.get(kind, 0.0 if kind == "ahead" else memo.get("near", memo.get("rate", 0.0)))


def _kind(step: Json, until: int) -> str:
    """Of the future, of just now, or of the past: which of the memo's rates speaks of a window."""
    return "ahead" if until > step["now"] else "rate" if step.get("far") else "near"


def _longest(step: Json) -> int:
    """The longest answer that is known to be possible."""
    return max(SHORTEST_CAP, step["most"])


def _room(step: Json) -> float:
    """Rows that a slice is expected to hold: until an answer was cut at the longest length, slices grow to find where it is."""
    longest = _longest(step)
    return FILL * (longest if step["cut"] >= step["most"] > 0 else min(_count(step), 2 * longest))


def _count(step: Json) -> int:
    """How many rows are asked for; what was refused is tried again after a day: it may have been refused for another reason."""
    return COUNT_DOCUMENTED if step["now"] - step["memo"].get("modest", -MODEST_S) < MODEST_S else COUNT


def _slice(step: Json, until: int, density: float) -> list[int]:
    """The newest piece of what is left below ``until``, as long as ``density`` rows a second fill an answer; none crosses the query time."""
    low = step["now"] if step["since"] < step["now"] < until else step["since"]
    return [max(low, until - max(1, int(min(until - low, _room(step) / density)))) if density > 0 else low, until]


def _learned(step: Json) -> Json:
    """The memo, with the density of the part of the window that ends here, of the future only where more than a day of it was read."""
    since, until = step["slice"][0], step["until"]
    ahead = until > step["now"]
    if ahead and until - step["now"] <= DAY // SECOND:
        return step["memo"]
    return {**step["memo"], _kind(step, until): round(step["total"] / (until - since), 5)}


def _like_a_cap(rows: int) -> bool:
    """Whether an answer this long may have been cut by a limit that is lower than it once was: limits are round."""
    return rows % 10 == 0 or rows % 25 == 0


def _plain(step: Json) -> Json:
    return {name: value for name, value in step.items() if name not in ("ids", "pass", "seen", "still")}


def _path(stream: Stream) -> str:
    return f"/v2/Properties/{quote(stream.name, safe='')}/Messages"


def _messages(body: bytes) -> list[bytes]:
    """The list, wrapped or bare; without one an answer is empty only if it reports no trouble."""
    try:
        return listed(body, ("messages",))[0]
    except BadPage:
        members = _members(body)
        if members is None or "responsestatus" in members:
            raise
        return []


def _members(body: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return {name.lower(): raw for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}
    except (msgspec.ValidationError, RecursionError):
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreachable("the answer is not whole JSON") from None


def _single(body: bytes) -> list[bytes]:
    """One message, wrapped in ``Message`` or bare."""
    members = _members(body)
    if members is None or "responsestatus" in members:
        raise BadPage("the answer is not a message")
    return [bytes(members["message"])] if "message" in members else [body]


@read_once
def _rows(body: bytes) -> tuple[Row | BadRow, ...]:
    """The rows of an answer."""
    return tuple(row_of(raw) for raw in _messages(body))


class Facts(Struct, frozen=True):
    """What the rows of an answer say of the question that it answers."""

    stamps: tuple[tuple[Instant, ...], ...]
    """Every stamp of each good row."""
    properties: frozenset[str]
    """The properties that rows say they are of."""


@read_once
def _facts(body: bytes) -> Facts:
    """The facts of an answer."""
    stamps, properties = list[tuple[Instant, ...]](), set[str]()
    for row in _rows(body):
        value = decoded(row.raw) if isinstance(row, Row) else row
        if isinstance(value, BadRow):
            continue
        found = [epoch(each) for name, each in value.items() if name.lower() in STAMPS]
        stamps.append(tuple(stamp.instant for stamp in found if stamp is not None))
        properties |= {each for name, each in value.items() if name.lower() == "propertysid" and isinstance(each, str) and each}
    return Facts(tuple(stamps), frozenset(properties))


def _honoured(stamps: tuple[tuple[Instant, ...], ...], window: list[int]) -> None:
    """Rows whose every stamp lies outside the window that was asked for: the filter was ignored."""
    since, until = window[0] * SECOND, window[1] * SECOND
    strangers = sum(not any(since <= stamp < until for stamp in each) for each in stamps)
    if strangers * 2 > len(stamps):
        raise CursorIgnored("rows lie outside the window that was asked for")
