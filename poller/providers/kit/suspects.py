"""When a disagreement between lists is a hole. Pure.

Two lists of one range may disagree although nothing is lost, because they move while they are read. So a range that
disagrees is a suspect at first. It is looked at again; three looks within at least an hour that all disagree make it a
possible gap, which is said once. A look that agrees clears the suspect, and withdraws the gap if it was said.

Ranges lie on a fixed grid of cells: so a hole that is known is wholly inside a range or wholly outside.
"""

from __future__ import annotations

import hashlib
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ...model import HOUR, MINUTE, BadRow, Gap, Instant, Row

CELL: Instant = 10 * MINUTE
"""The width of a cell of the grid: how exactly a gap says where messages are missing."""

CLOSED: Instant = HOUR
"""The age from which a range is looked at. In a younger one rows still come in, and counts lag behind."""

LOOKS = 3
"""How many looks must disagree before a suspect is a gap."""

LOOK_EVERY: Instant = 30 * MINUTE
"""How long a suspect rests between two looks that count."""

LOOKS_OVER: Instant = HOUR
"""The least time between the first and the last look that make a suspect a gap."""

PUT_OFF_MAX = 200
"""How many ranges that were put off are remembered; further ones are found again by the next round."""

Span = tuple[Instant, Instant]
"""A range of creation instants: ``[since, until)``."""


class Suspect(NamedTuple):
    """A range that disagreed. Stored by position."""

    looks: int
    """How many looks have disagreed."""
    first: Instant
    """When the first of them was."""
    last: Instant
    """When the last of them was."""
    until: Instant
    """Where the range ends."""


class Memory(Struct, frozen=True):
    """What the next look must know; a vendor adds its own. Field names are stored names and never change."""

    suspects: dict[str, Suspect] = {}
    """Suspects by their range's first instant, written in digits."""
    raised: tuple[Instant, ...] = ()
    """The first instants of ranges that were said to be possible gaps."""
    withdrawn: tuple[Instant, ...] = ()
    """Those of them that agreed afterwards."""
    todo: tuple[Span, ...] = ()
    """Ranges that were put off: they are looked at before anything else."""


M = TypeVar("M", bound=Memory)


class Outcome(NamedTuple, Generic[M]):
    """What follows from one look."""

    memory: M
    gaps: tuple[Gap, ...] = ()
    """The possible gap that is certain now, if any."""
    oddities: tuple[str, ...] = ()
    """What is worth saying: ``gap_withdrawn``."""


def id_of(row: Row | BadRow) -> str:
    """What a listed row is known by: its id, or a digest of its bytes. A row without an id is counted like any other."""
    return row.id if row.id is not None else hashlib.blake2b(row.raw, digest_size=16).hexdigest()


def ids_of(rows: list[Row | BadRow]) -> set[str]:
    """What the rows of a page are known by."""
    return set(map(id_of, rows))


def below(instant: Instant) -> Instant:
    """The last bound of the grid that is not after an instant."""
    return instant // CELL * CELL


def above(instant: Instant) -> Instant:
    """The first bound of the grid that is not before an instant."""
    return -(-instant // CELL) * CELL


def forget_before(memory: M, since: Instant) -> M:
    """The memory without the ranges that begin before ``since``."""
    return replace(
        memory,
        suspects={first: suspect for first, suspect in memory.suspects.items() if int(first) >= since},
        raised=tuple(first for first in memory.raised if first >= since),
        withdrawn=tuple(first for first in memory.withdrawn if first >= since),
        todo=tuple(span for span in memory.todo if span[0] >= since)[:PUT_OFF_MAX],
    )


def next_look(memory: M, now: Instant) -> tuple[Span | None, M]:
    """The range to look at next, and the memory without it: one that was put off, else a suspect that has rested. None = nothing is due."""
    if memory.todo:
        return memory.todo[0], replace(memory, todo=memory.todo[1:])
    for first, suspect in memory.suspects.items():
        if now - suspect.last >= LOOK_EVERY:
            return (int(first), suspect.until), memory
    return None, memory


def after_look(memory: M, span: Span, now: Instant, *, wrong: bool, reason: str, halve: bool = True) -> Outcome[M]:
    """What follows from a look at a range. ``wrong``: the lists disagree; ``reason`` names the gap that this may become.

    ``halve``: a range of several cells that disagrees is first halved, again and again, until single cells disagree.
    """
    if not wrong:
        return _agreed(memory, span)
    if halve and span[1] - span[0] > CELL:
        return Outcome(replace(memory, todo=(*_halves(span), *memory.todo)))
    return _disagreed(memory, span, now, reason)


def _halves(span: Span) -> tuple[Span, Span]:
    """Both halves of a range, divided at a bound of the grid."""
    since, until = span
    middle = below((since + until) // 2)
    middle = middle if middle > since else since + CELL
    return (since, middle), (middle, until)


def _disagreed(memory: M, span: Span, now: Instant, reason: str) -> Outcome[M]:
    """The range is a suspect; or a gap, where it was one long enough."""
    since, until = span
    if since in memory.raised:
        return Outcome(memory)
    suspect = memory.suspects.get(str(since), Suspect(0, now, 0, until))
    if now - suspect.last >= LOOK_EVERY:
        suspect = suspect._replace(looks=suspect.looks + 1, last=now)
    others = {first: other for first, other in memory.suspects.items() if first != str(since)}
    if suspect.looks >= LOOKS and now - suspect.first >= LOOKS_OVER:
        return Outcome(replace(memory, suspects=others, raised=(*memory.raised, since)), gaps=(Gap(reason, since, until),))
    return Outcome(replace(memory, suspects={**others, str(since): suspect._replace(until=until)}))


def _agreed(memory: M, span: Span) -> Outcome[M]:
    """Nothing within the range is suspect any more, and a gap that was said of it is withdrawn."""
    since, until = span
    suspects = {first: suspect for first, suspect in memory.suspects.items() if not since <= int(first) < until}
    back = tuple(first for first in memory.raised if since <= first < until and first not in memory.withdrawn)
    after = replace(memory, suspects=suspects, withdrawn=(*memory.withdrawn, *back))
    return Outcome(after, oddities=("gap_withdrawn",) if back else ())
