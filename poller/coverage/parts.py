"""A long first reading in several parts at once, each with a window of its own. Pure.

One request after another gets on no faster than the vendor answers, whatever the rate limit is. So what is left of a sweep that turns
out to be long is cut by time. The parts lie over each other as neighbouring rungs do, and the sweep is complete when all of them are.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..model import Instant
from .cursor import Range, Sweep
from .ladder import SLACK

PARTS = 3
"""Into how many parts a sweep is cut: with a request for the newest messages they are as many as a stream may have in flight."""

LONG_PAGES = 10
"""Pages that a sweep must have read, and must be expected to have left, to be cut: each part costs a request or two more."""

PART_MIN: Instant = 10 * SLACK
"""The shortest part: what is read twice, where two lie over each other, is a tenth of it at most."""


def cut(sweep: Sweep, reached: Instant) -> tuple[Range, ...]:
    """What is left of a sweep, all of which above ``reached`` was read, in parts; none where it is not long enough for them."""
    if sweep.until is None or sweep.pages < LONG_PAGES:
        return ()
    left, read = reached - sweep.since, sweep.until - reached
    if left < PARTS * PART_MIN or sweep.pages * left < LONG_PAGES * read:
        return ()
    bounds = [sweep.since + left * number // PARTS for number in range(PARTS)]
    return (*((low, high + SLACK) for low, high in zip(bounds, bounds[1:], strict=False)), (bounds[-1], reached))


def having(whole: Sweep, number: int, part: Sweep | None) -> Sweep:
    """The sweep with one of its parts as given; None = that one came to its end."""
    others = {each: held for each, held in whole.parts.items() if each != number}
    return replace(whole, parts=others if part is None else {**others, number: part})
