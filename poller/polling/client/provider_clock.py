"""The provider's clock, from the ``Date`` headers of its usable answers (RFC 9110 section 6.6.1).

Watermarks are the provider's time, so that our own clock, and its difference to another
worker's, cannot lose a row. A reading that differs much from what is believed is doubted until
others agree with it, the first one too: before it, our own clock is what is believed. While a
reading is doubted, windows begin by the earlier and end by the later clock.
"""

from __future__ import annotations

from ...model import MINUTE, SECOND, Instant

JUMP: Instant = 2 * MINUTE
"""A reading that differs by more than this from what is believed is doubted."""

SETTLED = 3
"""Doubted readings that must agree before their offset is believed."""

SETTLED_OVER: Instant = 2 * MINUTE
"""The time over which doubted readings must agree before their offset is believed."""

READINGS_MAX = 10
"""Doubted readings without agreement after which a new stream begins by our own clock."""

DOUBTED_MAX = 100
"""Doubted readings that are remembered at most; of more, every second one, so that the first ones stay however often the clock is read."""

RESOLUTION: Instant = SECOND
"""A ``Date`` is whole seconds, cut off."""


class ProviderClock:
    """Offsets of the provider's clock to ours, in microseconds. ``at`` is always our clock."""

    def __init__(self) -> None:
        self.known = False
        """Whether the provider has told its time credibly."""
        self.offset: Instant = 0
        """Provider minus ours, as it is believed; 0 while unknown."""
        self._newest: Instant = 0
        """Provider minus ours by the newest reading, believed or not."""
        self._doubted: list[tuple[Instant, Instant]] = []
        self.error: Instant = 0
        """The largest change of the offset that was ever seen without being called a jump."""

    def observe(self, date: Instant | None, at: Instant) -> None:
        """A usable answer said ``date`` and arrived at ``at``."""
        if date is None:
            return
        seen = date - at
        self._newest = seen
        change = abs(seen - self.offset)
        if change > JUMP:
            self._doubt(seen, at)
            return
        if self.known:
            self.error = max(self.error, change - RESOLUTION)
        self.known, self.offset, self._doubted = True, seen, []

    def _doubt(self, seen: Instant, at: Instant) -> None:
        """Believe what is doubted only when it stays."""
        if len(self._doubted) >= DOUBTED_MAX:
            self._doubted = self._doubted[::2]
        self._doubted.append((seen, at))
        agreeing = self._agreeing(seen)
        if len(agreeing) >= SETTLED and at - agreeing[0][1] >= SETTLED_OVER:
            self.known, self.offset, self._doubted = True, seen, []

    def _agreeing(self, seen: Instant) -> list[tuple[Instant, Instant]]:
        """The doubted readings that agree with one."""
        return [(offset, when) for offset, when in self._doubted if abs(offset - seen) <= JUMP]

    @property
    def undecided(self) -> bool:
        """Whether another answer may decide by which clock a new stream begins: the readings so far differ from ours, and do not agree."""
        return not self.known and 0 < len(self._doubted) < READINGS_MAX and self._agreed() is None

    def _agreed(self) -> Instant | None:
        """The offset that enough doubted readings agree on, if any; the newest such."""
        return next((seen for seen, _ in reversed(self._doubted) if len(self._agreeing(seen)) >= SETTLED), None)

    def origin(self, at: Instant) -> Instant:
        """What the floor of a new stream is reckoned from: the earlier of both clocks, the provider's as far as readings agree."""
        agreed = None if self.known else self._agreed()
        return at + min(0, self.offset, agreed or 0) - RESOLUTION

    def heard(self, at: Instant) -> Instant:
        """The time by the newest reading, credible or not: what a signature must say to a provider that has just refused one."""
        return at + self._newest - RESOLUTION

    def earliest(self, at: Instant) -> Instant:
        """The provider's time at ``at``, at the earliest: what a query then has certainly seen."""
        return at + min([self.offset, *(offset for offset, _ in self._doubted)]) - RESOLUTION

    def latest(self, at: Instant) -> Instant:
        """The provider's time at ``at``, at the latest."""
        return at + max([self.offset, *(offset for offset, _ in self._doubted)]) + RESOLUTION
