"""Crowds of Heymarket that were walked to their end a while ago: sweeps go round them.

Counts lag, so they do not prove that nothing moved in a crowd. One that was walked once it was over rests instead, for a minute while it
is young, and the longer the older it is, up to ten minutes: one that no walk lists whole, for as long as it is old, because each walk of
it tries all that the vendor documents. A row that turns up late in it waits for the next walk; its statuses come by the hint for what
changed as well. A broadcast, whose rows print later dates than they are listed by, is found by counts in any case, and rests only while
as many rows are counted in its place as when it was walked.
"""

from __future__ import annotations

from operator import attrgetter

from msgspec.structs import replace

from ...model import MINUTE, SECOND, Instant
from .asking import Walk, Walked

REST_MIN, REST_MAX = MINUTE, 10 * MINUTE
"""For how long a crowd rests at least and at most between two walks; by default only the rungs above two hours are read more often."""

REST_PART = 7
"""Between the two a crowd rests for this part of its age, as a message that turns up late is looked for by default; see :func:`_rests`."""

YOUNG: Instant = 3 * SECOND
"""From the end of a crowd's date until all that is listed on time is listed. A walk before says little."""

CROWDS_MAX = 32
"""Crowds that are remembered, those that were walked last."""


def around(walk: Walk) -> Walked | None:
    """The crowd that the walk stands at, where it rests: the walk goes round it. The place of a broadcast may end at another stamp this time."""
    mine = (
        each
        for each in walk.learned.crowds
        if (each.edge, each.size) == (walk.edge, walk.counted) and (walk.counted or each.end == walk.end)
    )
    return next((each for each in mine if _rests(each, walk.now)), None)


def ending(walk: Walk, end: Instant) -> Walked | None:
    """The broadcast that rests in the place which ends there, if as many rows are counted in it as then."""
    return next((each for each in walk.learned.crowds if each.size and each.end == end and _rests(each, walk.now)), None)


def broadcast(walk: Walk, oldest: Instant) -> Walked | None:
    """A broadcast that was walked, in whose place a page's ``oldest`` row may be: its rows print that date, and later ones."""
    return next((each for each in walk.learned.crowds if each.size and oldest < each.end <= walk.bound), None)


def below(walk: Walk) -> Walked | None:
    """The next broadcast below the cursor that rests, within the walk's window."""
    mine = (each for each in walk.learned.crowds if each.size and walk.since <= each.edge and each.end <= walk.bound)
    return max((each for each in mine if _rests(each, walk.now)), key=attrgetter("end"), default=None)


def _rests(known: Walked, now: Instant) -> bool:
    """Whether the time to walk it again has not come."""
    age = now - known.end
    rest = min(REST_MAX, max(REST_MIN, age // REST_PART if known.whole else known.began - known.end))
    return known.began - known.end >= YOUNG and now - known.began < rest


def walked(walk: Walk, *, whole: bool) -> Walk:
    """The walk, once it has read the crowd that it stands at; it remembers that.

    Not where the window begins in it: a backfill that is asked for at once may want its other part.
    """
    if walk.edge < walk.since:
        return walk
    known = Walked(walk.edge, walk.end, walk.now, whole, walk.counted)
    others = [each for each in walk.learned.crowds if each.edge != known.edge and walk.now - each.began < REST_MAX]
    return replace(walk, learned=replace(walk.learned, crowds=(*others, known)[-CROWDS_MAX:]))
