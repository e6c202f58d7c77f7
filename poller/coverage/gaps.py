"""Possible gaps: ranges of a stream that cannot be proved complete. They are kept with the cursor until they are proved.

A gap that a sweep reports is proved by a later sweep of its whole range that does not report it again. What a side query
found is proved only by what a side query finds. A gap below the floor is out of scope, like every message there. Pure.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ..model import Gap, Instant

GAPS_MAX = 100
"""Gaps kept of one stream; beyond, the two of one reason that lie closest become one, so that no range is forgotten."""


class KeptGap(Struct, frozen=True):
    """An open gap, as it is kept in state."""

    reason: str
    since: Instant
    until: Instant
    found: Instant
    """The provider's clock when it was reported first."""
    seen: Instant
    """The provider's clock when it was reported last."""
    lasting: bool = False
    """No sweep can prove it."""


Gaps = tuple[KeptGap, ...]


def reported(gaps: Gaps, found: tuple[Gap, ...], *, now: Instant, lasting: bool) -> Gaps:
    """The open gaps once a page has reported some; one that is reported again, or overlaps another of its reason, is the same gap."""
    for gap in found:
        same = [held for held in gaps if held.reason == gap.reason and held.since <= gap.until and gap.since <= held.until]
        since, until = min([gap.since, *(h.since for h in same)]), max([gap.until, *(h.until for h in same)])
        first = min((held.found for held in same), default=now)
        joined = KeptGap(gap.reason, since, until, first, now, lasting or gap.lasting or any(held.lasting for held in same))
        gaps = (*(held for held in gaps if held not in same), joined)
    return _bounded(gaps)


def swept(gaps: Gaps, *, since: Instant, until: Instant | None, started: Instant) -> Gaps:
    """What is open after a sweep of ``[since, until)`` came to its end that began at ``started``."""
    return tuple(
        gap for gap in gaps if gap.lasting or gap.seen >= started or gap.since < since or (until is not None and gap.until > until)
    )


def proved(gaps: Gaps, ranges: tuple[tuple[Instant, Instant], ...]) -> Gaps:
    """What is open after a side query has found ranges to be complete."""
    return tuple(gap for gap in gaps if not any(since <= gap.since and gap.until <= until for since, until in ranges))


def above(gaps: Gaps, floor: Instant) -> Gaps:
    """What is open above the floor."""
    return tuple(gap for gap in gaps if gap.until > floor)


def changes(before: Gaps, after: Gaps) -> tuple[Gaps, Gaps]:
    """``(opened, closed)``: which ranges opened that no open gap held, and which closed that no open gap holds."""
    return _beyond(after, before), _beyond(before, after)


def _beyond(gaps: Gaps, known: Gaps) -> Gaps:
    return tuple(g for g in gaps if not any(k.reason == g.reason and k.since <= g.since and g.until <= k.until for k in known))


def _bounded(gaps: Gaps) -> Gaps:
    while len(gaps) > GAPS_MAX:
        ordered = sorted(gaps, key=lambda gap: (gap.reason, gap.since))
        pairs = [(b.since - a.until, i) for i, (a, b) in enumerate(zip(ordered, ordered[1:], strict=False)) if a.reason == b.reason]
        at = min(pairs)[1] if pairs else 0
        one, two = ordered[at], ordered[at + 1]
        joined = replace(one, until=max(one.until, two.until), found=min(one.found, two.found), seen=max(one.seen, two.seen))
        gaps = (*ordered[:at], replace(joined, lasting=one.lasting or two.lasting), *ordered[at + 2 :])
    return gaps
