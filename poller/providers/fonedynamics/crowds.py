"""Crowds of Fone Dynamics: seconds with more rows than one answer holds, and how long one that was walked to its end rests.

The vendor has no count that would prove cheaply that nothing moved in a second. So a crowd that was walked after it was over
rests for a minute; meanwhile sweeps go round it. A row that turns up late in it waits for the next walk, statuses come by
look-ups as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from ...model import SECOND, Gap, Instant

CROWDS_MAX = 32
"""Crowds of one property that are remembered, the newest ones: a broadcast comes in some dozens of seconds."""

REST_S = 60
"""Seconds for which a crowd rests at most between two walks; no deep rung is read that often, by default."""

YOUNG_S = 3
"""Seconds from the begin of a second until all that is listed on time is listed, with one for a ``Date`` of whole seconds. A walk before says little."""

ROWS_MIN = 10
"""A second that fewer rows of an answer name is no crowd."""


class Crowd(Struct, frozen=True, array_like=True):
    """One second since the epoch that no answer holds. Stored by position."""

    second: int
    walked: int = 0
    """The provider's clock when its last walk began; 0 = none did."""
    whole: bool = True
    """False: its last walk ended in a possible gap."""

    def rests(self, now: int) -> bool:
        """Whether a sweep of the query time ``now`` goes round it."""
        return self.walked - self.second >= YOUNG_S and now - self.walked < REST_S

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What a sweep that goes round it has to say again, or it would prove what it has not read."""
        return () if self.whole else (full_second(self.second),)


Crowds = tuple[Crowd, ...]


def full_second(second: int) -> Gap:
    """The possible gap of a second whose pages were never the same."""
    return Gap("full_second", second * SECOND, (second + 1) * SECOND)


def at(crowds: Crowds, second: int) -> Crowd | None:
    """The crowd of that second, if it is one."""
    return next((crowd for crowd in crowds if crowd.second == second), None)


def above(crowds: Crowds, low: int, end: int) -> int:
    """Where a slice of ``[low, end)`` begins that holds no crowd, or is one."""
    inside = [crowd.second for crowd in crowds if low <= crowd.second < end]
    return low if not inside else end - 1 if max(inside) == end - 1 else max(inside) + 1


def noted(crowds: Crowds, crowd: Crowd) -> Crowds:
    """The crowds with what is known of one of them now."""
    others = (each for each in crowds if each.second != crowd.second)
    return tuple(sorted((*others, crowd), key=_second)[-CROWDS_MAX:])


def _second(crowd: Crowd) -> int:
    return crowd.second


def crowded(stamps: Iterable[tuple[Instant, ...]], begin: int, end: int) -> int | None:
    """The second of ``[begin, end)`` that at least half of the rows of an answer name; None where there is none."""
    rows = [{stamp // SECOND for stamp in each} for each in stamps]
    named = Counter(second for each in rows for second in each if begin <= second < end)
    second, count = max(named.items(), key=_count, default=(0, 0))
    return second if count >= max(ROWS_MIN, len(rows) / 2) else None


def _count(named: tuple[int, int]) -> tuple[int, int]:
    second, count = named
    return count, second
