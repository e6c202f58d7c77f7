"""What earlier windows of a property have taught, and how long a slice is therefore: as long as is expected to fill an answer."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ...model import DAY, SECOND
from .crowds import Crowds

COUNT = 1000
"""Rows that are asked for; how many come back teaches the vendor's limit."""

COUNT_DOCUMENTED = 200
"""Rows that are asked for where ``COUNT`` is refused: the documented default."""

MODEST_S = 86_400
"""Seconds for which ``COUNT_DOCUMENTED`` is asked for after a refusal; it may have been refused for another reason."""

FILL = 0.75
"""A slice is as long as is expected to fill this part of the longest answer seen."""

SHORTEST_CAP = 30
"""No limit of answers is taken to be lower, so what little was seen yet does not make slices short."""

FAR_S = 6 * 3600
"""Seconds. What a shorter window holds is reckoned by what is sent just now; what a longer one holds, by the last such window."""

NEAR_S = 60
"""Seconds. A shorter window says nothing of what is usually sent."""


class Learned(Struct, frozen=True, omit_defaults=True):
    """What sweeps of a property have taught."""

    most: int = 0
    """Rows of the longest answer."""
    cut: int = 0
    """The length at which an answer was cut last; 0 = never."""
    rate: float | None = None
    """Rows a second in the past."""
    near: float | None = None
    """Rows a second just now."""
    ahead: float | None = None
    """Rows a second that are scheduled."""
    modest: int | None = None
    """When ``COUNT`` was refused."""
    crowds: Crowds = ()
    """Seconds that no answer holds."""


class Course(Struct, frozen=True, omit_defaults=True):
    """What stays the same while a window is read, but for what is learned meanwhile."""

    path: str
    since: int
    now: int
    far: bool
    """The window reaches back further than ``FAR_S``."""
    learned: Learned
    direction: str | None = None
    """Only messages of this direction; never combined with paging by status."""


def usual_of(course: Course, until: int) -> float:
    """Rows a second that earlier windows of the kind found; what is sent just now says nothing of what is scheduled."""
    known = course.learned
    if until > course.now:
        return known.ahead or 0.0
    rates = (known.rate if course.far else known.near, known.near, known.rate)
    return next((rate for rate in rates if rate is not None), 0.0)


def longest(most: int) -> int:
    """The longest answer that is known to be possible."""
    return max(SHORTEST_CAP, most)


def room_of(course: Course, most: int, cut: int) -> float:
    """Rows that a slice is expected to hold: until an answer was cut at the longest length, slices grow to find where it is."""
    rows = longest(most)
    return FILL * (rows if cut >= most > 0 else min(asked_rows(course), 2 * rows))


def asked_rows(course: Course) -> int:
    """How many rows are asked for."""
    modest = course.learned.modest
    return COUNT if modest is None or course.now - modest >= MODEST_S else COUNT_DOCUMENTED


def begin_of(course: Course, end: int, density: float, room: float) -> int:
    """Where a slice below ``end`` begins, as long as ``density`` rows a second fill an answer; none crosses the query time."""
    low = course.now if course.since < course.now < end else course.since
    return max(low, end - max(1, int(min(end - low, room / density)))) if density > 0 else low


def taught_by(course: Course, total: int, begin: int, part_end: int) -> Learned:
    """With the density of ``total`` rows in the part ``[begin, part_end)`` of the window; of the future only where more than a day of it was read."""
    density = round(total / (part_end - begin), 5)
    if part_end > course.now:
        read_s = part_end - course.now
        return course.learned if read_s <= DAY // SECOND else replace(course.learned, ahead=density)
    if part_end - begin < NEAR_S:
        return course.learned
    return replace(course.learned, rate=density) if course.far else replace(course.learned, near=density)
