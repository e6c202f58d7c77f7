"""When a disagreement is a hole: not at the first look, because lists move while they are read.

Ranges lie on a fixed grid, so that a known hole is wholly in a cell or wholly outside. A cell that
disagrees is looked at again; three looks over an hour that all disagree are a possible gap, said
once. A look that agrees clears the cell, and withdraws what was said of it. The memory is plain JSON (see ``Page.memo``)::

    {"suspects": {"<since>": [looks, first look, last look, until]}, "raised": [cell, ...], "withdrawn": [cell, ...], "todo": [[since, until], ...]}
"""

from __future__ import annotations

import hashlib
from typing import Any

from ...model import HOUR, MINUTE, BadRow, Gap, Instant, Row
from ..contract import Json

CELL: Instant = 10 * MINUTE
CLOSED: Instant = HOUR
"""Younger ranges are left alone: rows still come in, and counts lag."""

LOOKS, LOOK_EVERY, LOOKS_OVER = 3, 30 * MINUTE, HOUR
PUT_OFF_MAX = 200

Span = list[Instant]


def id_of(row: Row | BadRow) -> str:
    """What to know a listed row by; one without an id, which is counted like any other, by its bytes."""
    return row.id if row.id is not None else hashlib.blake2b(row.raw, digest_size=16).hexdigest()


def ids_of(rows: list[Row | BadRow]) -> set[str]:
    """What a page listed."""
    return set(map(id_of, rows))


def below(instant: Instant) -> Instant:
    """The last bound of the grid that is not after an instant."""
    return instant // CELL * CELL


def above(instant: Instant) -> Instant:
    """The first bound of the grid that is not before an instant."""
    return -(-instant // CELL) * CELL


def kept(memo: Json, since: Instant) -> Json:
    """The memory without what lies before ``since``."""
    return {
        **memo,
        "suspects": {cell: seen for cell, seen in memo.get("suspects", {}).items() if int(cell) >= since},
        "raised": [cell for cell in memo.get("raised", []) if cell >= since],
        "withdrawn": [cell for cell in memo.get("withdrawn", []) if cell >= since],
        "todo": [span for span in memo.get("todo", []) if span[0] >= since][:PUT_OFF_MAX],
    }


def due(memo: Json, now: Instant) -> tuple[Span | None, Json]:
    """The range to look at next and the memory without it: what was put off, else a suspect cell whose time has come."""
    if memo["todo"]:
        return memo["todo"][0], {**memo, "todo": memo["todo"][1:]}
    for cell, (_, _, last, until) in memo["suspects"].items():
        if now - last >= LOOK_EVERY:
            return [int(cell), until], memo
    return None, memo


def looked(
    memo: Json, span: Span, now: Instant, *, wrong: bool, reason: str, halve: bool = True
) -> tuple[Json, tuple[Gap, ...], tuple[str, ...]]:
    """The memory after a look, a gap that is certain now, and what is worth saying.

    ``halve``: a range that disagrees is narrowed to a cell first.
    """
    since, until = span
    if wrong and halve and until - since > CELL:
        middle = below((since + until) // 2)
        middle = middle if middle > since else since + CELL
        return {**memo, "todo": [[since, middle], [middle, until], *memo["todo"]]}, (), ()
    suspects: dict[str, Any] = dict(memo["suspects"])
    raised: list[Instant] = memo["raised"]
    if not wrong:
        for cell in [cell for cell in suspects if since <= int(cell) < until]:
            del suspects[cell]
        back = [cell for cell in raised if since <= cell < until and cell not in memo.get("withdrawn", [])]
        return {**memo, "suspects": suspects, "withdrawn": [*memo.get("withdrawn", []), *back]}, (), ("gap_withdrawn",) * bool(back)
    if since in raised:
        return memo, (), ()
    looks, first, last = suspects.get(str(since), [0, now, 0, until])[:3]
    if now - last >= LOOK_EVERY:
        looks, last = looks + 1, now
    if looks >= LOOKS and now - first >= LOOKS_OVER:
        suspects.pop(str(since), None)
        return {**memo, "suspects": suspects, "raised": [*raised, since]}, (Gap(reason, since, until),), ()
    return {**memo, "suspects": {**suspects, str(since): [looks, first, last, until]}}, (), ()
