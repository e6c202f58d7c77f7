"""The sums over an account's streams, kept as its streams change, so that a scrape costs nothing between changes."""

from __future__ import annotations

import heapq
from collections import Counter

from msgspec import Struct

from ..model import Instant

PICKED_MAX = 1_000
"""Streams that are picked from all in one pass; where more are wanted, sorting all is cheaper."""

HEALTHY: Instant = 1 << 62
"""What is taken from the instant of a trouble, so that it sorts before every watermark."""


class StreamFigures(Struct, frozen=True):
    """What one stream adds to the sums of its account."""

    state: str
    watermark: Instant | None = None
    kind: str | None = None
    """Its trouble, if any."""
    since: Instant = 0
    """When its trouble began."""
    first_look_back: bool = False
    gaps: tuple[str, ...] = ()
    """The reasons of its open gaps."""
    backfill: bool = False
    """A past range of it is being published."""
    standing: bool = False
    """One of its jobs waits by itself."""


class Census:
    """The streams of one account, counted."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamFigures] = {}
        self._sick: dict[str, Instant] = {}
        self._marked: dict[str, Instant] = {}
        self._oldest: Instant | None = None
        self._stale = False
        self.states: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()
        self.first_look_back = 0
        self.with_gaps: dict[str, None] = {}
        """Streams with open gaps, in the order in which they were found."""
        self.with_backfills: dict[str, None] = {}
        self.with_standing: dict[str, None] = {}

    def __len__(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    def put(self, stream_id: str, figures: StreamFigures) -> None:
        """A stream is new, or changed."""
        old = self._streams.get(stream_id)
        if old == figures:
            return
        if old is not None:
            self._forget(stream_id, old)
        self._streams[stream_id] = figures
        self._count(figures, 1)
        if figures.kind is not None:
            self._sick[stream_id] = figures.since
        if figures.gaps:
            self.with_gaps[stream_id] = None
        if figures.backfill:
            self.with_backfills[stream_id] = None
        if figures.standing:
            self.with_standing[stream_id] = None
        if figures.watermark is not None:
            self._marked[stream_id] = figures.watermark
            if not self._stale:
                self._oldest = figures.watermark if self._oldest is None else min(self._oldest, figures.watermark)

    def remove(self, stream_id: str) -> None:
        """A stream is no longer polled."""
        old = self._streams.pop(stream_id, None)
        if old is not None:
            self._forget(stream_id, old)

    def _forget(self, stream_id: str, old: StreamFigures) -> None:
        self._count(old, -1)
        for kept in (self._sick, self.with_gaps, self.with_backfills, self.with_standing):
            kept.pop(stream_id, None)
        self._stale = self._stale or self._marked.pop(stream_id, None) == self._oldest

    def oldest(self) -> Instant | None:
        """The oldest watermark; looked for anew only when the stream that had it has moved."""
        if self._stale:
            self._oldest, self._stale = min(self._marked.values(), default=None), False
        return self._oldest

    def worst(self, most: int) -> list[str]:
        """The streams whose trouble is the oldest."""
        return heapq.nsmallest(most, self._sick, key=self._sick.__getitem__)

    def some(self, offset: int, limit: int) -> list[str]:
        """Streams from ``offset`` on: the oldest trouble first, then what was never polled, then the oldest watermark first."""
        ids, upto = self._streams, offset + limit
        return (heapq.nsmallest(upto, ids, key=self._rank) if upto <= PICKED_MAX else sorted(ids, key=self._rank)[:upto])[offset:]

    def _rank(self, stream_id: str) -> Instant:
        """Troubles come first: since the epoch there is no instant below ``-HEALTHY``."""
        since = self._sick.get(stream_id)
        return self._marked.get(stream_id, -1) if since is None else since - HEALTHY

    def _count(self, figures: StreamFigures, step: int) -> None:
        self.states[figures.state] += step
        self.first_look_back += step * figures.first_look_back
        if figures.kind is not None:
            self.kinds[figures.kind] += step
        for reason in figures.gaps:
            self.gaps[reason] += step
