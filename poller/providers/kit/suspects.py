"""When a disagreement is a hole: not at the first look, because lists move while they are read.

Ranges lie on a fixed grid, so that a known hole is wholly in a cell or wholly outside. A cell that
disagrees is looked at again; three looks over an hour that all disagree are a possible gap, said
once. A look that agrees clears the cell, and withdraws what was said of it.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ...model import HOUR, MINUTE, BadRow, Gap, Instant, Row

CELL: Instant = 10 * MINUTE
CLOSED: Instant = HOUR
"""Younger ranges are left alone: rows still come in, and counts lag."""

LOOKS, LOOK_EVERY, LOOKS_OVER = 3, 30 * MINUTE, HOUR
PUT_OFF_MAX = 200

Span = tuple[Instant, Instant]
"""From and until."""


class Suspect(NamedTuple):
    """A cell that disagreed."""

    looks: int
    first: Instant
    last: Instant
    """When it was looked at first and last."""
    until: Instant


class Memory(Struct, frozen=True):
    """What the next look must know; a vendor adds its own. The names are those of the first release's state."""

    suspects: dict[str, Suspect] = {}
    """By the cell's first instant, in digits."""
    raised: tuple[Instant, ...] = ()
    """Cells that were told as possible gaps."""
    withdrawn: tuple[Instant, ...] = ()
    """Those that agreed afterwards."""
    todo: tuple[Span, ...] = ()
    """What was put off."""


M = TypeVar("M", bound=Memory)


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


def kept(memory: M, since: Instant) -> M:
    """The memory without what lies before ``since``."""
    return replace(
        memory,
        suspects={cell: suspect for cell, suspect in memory.suspects.items() if int(cell) >= since},
        raised=tuple(cell for cell in memory.raised if cell >= since),
        withdrawn=tuple(cell for cell in memory.withdrawn if cell >= since),
        todo=tuple(span for span in memory.todo if span[0] >= since)[:PUT_OFF_MAX],
    )


def due(memory: M, now: Instant) -> tuple[Span | None, M]:
    """The range to look at next and the memory without it: what was put off, else a suspect cell whose time has come."""
    if memory.todo:
        return memory.todo[0], replace(memory, todo=memory.todo[1:])
    for cell, suspect in memory.suspects.items():
        if now - suspect.last >= LOOK_EVERY:
            return (int(cell), suspect.until), memory
    return None, memory


def looked(
    memory: M, span: Span, now: Instant, *, wrong: bool, reason: str, halve: bool = True
) -> tuple[M, tuple[Gap, ...], tuple[str, ...]]:
    """The memory after a look, a gap that is certain now, and what is worth saying.

    ``halve``: a range that disagrees is narrowed to a cell first.
    """
    since, until = span
    if wrong and halve and until - since > CELL:
        middle = below((since + until) // 2)
        middle = middle if middle > since else since + CELL
        return replace(memory, todo=((since, middle), (middle, until), *memory.todo)), (), ()
    if not wrong:
        return _agreed(memory, span)
    if since in memory.raised:
        return memory, (), ()
    suspect = memory.suspects.get(str(since), Suspect(0, now, 0, until))
    if now - suspect.last >= LOOK_EVERY:
        suspect = suspect._replace(looks=suspect.looks + 1, last=now)
    others = {cell: other for cell, other in memory.suspects.items() if cell != str(since)}
    if suspect.looks >= LOOKS and now - suspect.first >= LOOKS_OVER:
        return replace(memory, suspects=others, raised=(*memory.raised, since)), (Gap(reason, since, until),), ()
    return replace(memory, suspects={**others, str(since): suspect._replace(until=until)}), (), ()


def _agreed(memory: M, span: Span) -> tuple[M, tuple[Gap, ...], tuple[str, ...]]:
    """The memory after a look that agreed: no cell of it is suspect, and what was said of one is withdrawn."""
    since, until = span
    suspects = {cell: suspect for cell, suspect in memory.suspects.items() if not since <= int(cell) < until}
    back = tuple(cell for cell in memory.raised if since <= cell < until and cell not in memory.withdrawn)
    return replace(memory, suspects=suspects, withdrawn=(*memory.withdrawn, *back)), (), ("gap_withdrawn",) * bool(back)
