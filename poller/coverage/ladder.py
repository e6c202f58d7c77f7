"""The ladder of a stream: which slices of message ages are read again, and how often. Pure.

A message may turn up late, and its status may change days later. So every age down to the look-back is read again: young
ages often, old ages seldom. Each slice is a rung; the live rung is read at every interval. docs/glossary.md has a picture.
"""

from __future__ import annotations

from msgspec import Struct

from ..model import MINUTE, SECOND, Instant

RATIO = 4
"""Each rung reaches this many times deeper than the one before it."""

AHEAD_FROM: Instant = 5 * MINUTE
"""How far ahead of now the live rung ends, at a provider that lists messages of the future. The rung ``ahead`` reads beyond it."""

AHEAD_PERIOD: Instant = 5 * MINUTE
"""How often the rung ``ahead`` is read at the most. It is in no hurry: a scheduled message is on the live rung before it is sent."""

SLACK: Instant = 60 * SECOND
"""How far neighbouring windows overlap at their upper end, in addition to the largest clock error seen."""


class Rung(Struct, frozen=True):
    """The ages ``(inner, reach]``, re-read every ``period`` (all in microseconds)."""

    inner: Instant
    reach: Instant
    period: Instant
    open: bool = False
    """The window has no upper end: the provider is asked for its newest rows."""


def build(
    *,
    interval: Instant,
    overlap: Instant,
    status_horizon: Instant,
    every: Instant,
    back: Instant,
    filtered: bool = True,
    ahead: Instant = 0,
) -> tuple[Rung, ...]:
    """The rungs in the order in which they are served: ahead of now, live, then deeper and deeper.

    A provider that does not filter by time is read whole, so its rungs collapse to one.
    """
    depth = max(back, status_horizon)
    if not filtered:
        return (Rung(0, depth, interval, open=True),)
    reaches = [min(overlap, depth)]
    while reaches[-1] * 6 < depth:
        reaches.append(reaches[-1] * RATIO)
    if reaches[-1] < depth:
        reaches.append(depth)
    inners = [-AHEAD_FROM if ahead else 0, *reaches[:-1]]
    rungs = [
        Rung(inner, reach, max(interval, reach * every // back), open=not ahead and not number)
        for number, (inner, reach) in enumerate(zip(inners, reaches, strict=True))
    ]
    rungs[0] = Rung(rungs[0].inner, rungs[0].reach, interval, open=rungs[0].open)
    if ahead:
        rungs.insert(0, Rung(-ahead, -AHEAD_FROM, max(interval, AHEAD_PERIOD)))
    return tuple(rungs)


def _bounds(rung: Rung) -> tuple[Instant, Instant]:
    return rung.inner, rung.reach


def live(rungs: tuple[Rung, ...]) -> int:
    """The index of the live rung: the first one that reaches into the past."""
    return next(index for index, rung in enumerate(rungs) if rung.reach > 0)


def owner(rungs: tuple[Rung, ...], age: Instant) -> int:
    """The index of the rung that owns an age, the deepest one's where it is older than all of them."""
    return next((index for index, rung in enumerate(rungs) if age <= rung.reach), len(rungs) - 1)


def name(rung: Rung) -> str:
    """A rung's name for people: ``live``, ``ahead``, or how deep it reaches."""
    if rung.reach < 0:
        return "ahead"
    hours = rung.reach / (60 * MINUTE)
    return "live" if rung.inner <= 0 else f"{hours:.3g}h" if hours < 48 else f"{hours / 24:.3g}d"
