"""The provider's clock, from the ``Date`` headers of its answers (RFC 9110 section 6.6.1).

Watermarks are the provider's time, so that our own clock, and its difference to another
worker's, cannot lose a row. While the provider's clock jumps about, windows begin by the
earlier and end by the later of its readings.
"""

from __future__ import annotations

from ...model import MINUTE, SECOND, Instant

JUMP: Instant = 2 * MINUTE
"""A change of the offset by more than this is a jump, and doubted until it is settled."""

SETTLED = 3
"""So many answers ..."""

SETTLED_OVER: Instant = 2 * MINUTE
"""... over so long a time must agree on the new offset."""

RESOLUTION: Instant = SECOND
"""A ``Date`` is whole seconds, cut off."""


class ProviderClock:
    """Offsets of the provider's clock to ours, in microseconds. ``at`` is always our clock."""

    def __init__(self) -> None:
        self._offset: Instant | None = None
        self._doubted: list[tuple[Instant, Instant]] = []
        self.error: Instant = 0
        """The largest change of the offset that was ever seen without being called a jump."""

    @property
    def known(self) -> bool:
        """Whether the provider has told it."""
        return self._offset is not None

    @property
    def offset(self) -> Instant:
        """Provider minus ours; 0 while unknown."""
        return self._offset or 0

    def observe(self, date: Instant | None, at: Instant) -> None:
        """An answer said ``date`` and arrived at ``at``."""
        if date is None:
            return
        seen = date - at
        if self._offset is None:
            self._offset = seen
        elif abs(seen - self._offset) <= JUMP:
            self.error = max(self.error, abs(seen - self._offset) - RESOLUTION)
            self._offset, self._doubted = seen, []
        else:
            self._doubt(seen, at)

    def _doubt(self, seen: Instant, at: Instant) -> None:
        """Believe a jump only when it stays."""
        agreeing = [(offset, when) for offset, when in self._doubted if abs(offset - seen) <= JUMP]
        self._doubted = [*agreeing, (seen, at)][-100:]
        if len(self._doubted) >= SETTLED and at - self._doubted[0][1] >= SETTLED_OVER:
            self._offset, self._doubted = seen, []

    def earliest(self, at: Instant) -> Instant:
        """The provider's time at ``at``, at the earliest: what a query then has certainly seen."""
        return at + min([self.offset, *(offset for offset, _ in self._doubted)]) - RESOLUTION

    def latest(self, at: Instant) -> Instant:
        """The provider's time at ``at``, at the latest."""
        return at + max([self.offset, *(offset for offset, _ in self._doubted)]) + RESOLUTION
