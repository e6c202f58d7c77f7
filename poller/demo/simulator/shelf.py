"""One stream's invented messages as a provider keeps them: found by creation, schedule, change and id, never by looking at all of them."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import nsmallest

from ...model import SECOND, Instant

RECEIVED_STEP: Instant = 60 * SECOND
"""The unit of the difference between the time of receiving and the time of creation."""

RECEIVED_MAX: Instant = 4 * RECEIVED_STEP
"""The largest difference between the time of receiving and the time of creation."""

UNREADABLE = "unreadable"
"""The kind of a row that no reader can make a message of."""

OTHERS = ("comment", "email", UNREADABLE)
"""Rows that are listed, and no messages."""


@dataclass(order=True)
class Sms:
    """One message. ``steps`` are (instant, status) in the vendor's words; the first is its creation. Instants are the provider's."""

    created: Instant
    id: str = field(compare=True)
    provider: str = field(compare=False, default="")
    stream: str = field(compare=False, default="")
    visible: Instant = field(compare=False, default=0)
    """From when it is listed (our time)."""
    away: tuple[Instant, Instant] = field(compare=False, default=(0, 0))
    """While it is not listed after all (our time)."""
    dated: Instant | None = field(compare=False, default=None)
    """The date that is printed, where it is not that of its creation."""
    kind: str = field(compare=False, default="")
    """What it is, where it is no message: see ``OTHERS``."""
    hole: bool = field(compare=False, default=False)
    """Counted, and never listed."""
    sticky: bool = field(compare=False, default=False)
    inbound: bool = field(compare=False, default=False)
    text: str = field(compare=False, default="")
    other: str = field(compare=False, default="")
    conversation: int = field(compare=False, default=0)
    receipt: bool = field(compare=False, default=True)
    scheduled: Instant = field(compare=False, default=0)
    classified: Instant | None = field(compare=False, default=None)
    channel: str = field(compare=False, default="sms")
    media: int = field(compare=False, default=0)
    """How many files it carries."""
    priced: Instant | None = field(compare=False, default=None)
    """When its price is known (Twilio)."""
    edited: tuple[Instant, str] | None = field(compare=False, default=None)
    """When its text became another."""
    steps: list[tuple[Instant, str]] = field(compare=False, default_factory=list)
    drawn: tuple[object, bytes] = field(compare=False, default=(None, b""))
    """The row as it was listed last, and what it depends on."""

    @property
    def printed(self) -> Instant:
        """The date of its creation, as it is printed."""
        return self.created if self.dated is None else self.dated

    @property
    def received(self) -> Instant:
        """When it was received, up to ``RECEIVED_MAX`` before or after it was created; only what is inbound is."""
        return self.created + (sum(self.id.encode()) % 9 - 4) * RECEIVED_STEP if self.inbound else self.created

    @property
    def texts(self) -> tuple[str, ...]:
        """All that it ever had."""
        return (self.text,) if self.edited is None else (self.text, self.edited[1])

    def text_at(self, at: Instant) -> str:
        """The one that it has."""
        return self.text if self.edited is None or self.edited[0] > at else self.edited[1]

    def step(self, at: Instant) -> int:
        """How many statuses lie behind it."""
        return next((number for number in range(len(self.steps) - 1, 0, -1) if self.steps[number][0] <= at), 0)

    def status(self, at: Instant) -> str:
        """In the vendor's words."""
        return self.steps[self.step(at)][1]

    def changed(self, at: Instant) -> Instant:
        """When the status last changed, as far as the provider tells."""
        return self.created if self.sticky else self.steps[self.step(at)][0]

    def when(self, status: str, at: Instant) -> Instant | None:
        """When it reached a status, if it has; what is listed has reached its first."""
        return next((since for since, each in self.steps if each == status and since <= max(at, self.created)), None)

    def shown(self, now: Instant, *, counted: bool = False) -> bool:
        """Whether it is listed, or counted, at our time ``now``."""
        return self.visible <= now and not self.away[0] <= now < self.away[1] and (counted or not self.hole)


class Shelf:
    """Ranges are half-open, of creation; ``now`` is our time."""

    def __init__(self) -> None:
        self._rows: list[Sms] = []
        self._scheduled: list[tuple[Instant, Sms]] = []
        self._changes: list[tuple[Instant, Sms]] = []
        self._by_id: dict[str, Sms] = {}
        self._restless: list[Sms] = []
        """Those that may not be there yet, or may go away and return."""

    def __iter__(self) -> Iterator[Sms]:
        """Every message, shown or not, oldest first."""
        return iter(self._rows)

    def add(self, sms: Sms) -> None:
        """One more, with its whole life."""
        insort(self._rows, sms)
        insort(self._scheduled, (sms.scheduled, sms))
        for at in {sms.created} if sms.sticky else {since for since, _ in sms.steps}:
            insort(self._changes, (at, sms))
        self._by_id[sms.id] = sms
        self._restless.append(sms)

    def get(self, id_: str, now: Instant) -> Sms | None:
        """The one with this id, if it is shown."""
        found = self._by_id.get(id_)
        return found if found is not None and found.shown(now) else None

    def between(self, since: Instant, until: Instant, now: Instant) -> list[Sms]:
        """What is shown, oldest first."""
        low, high = self._ends(since, until)
        return [sms for sms in self._rows[low:high] if sms.shown(now)]

    def scheduled(self, since: Instant, until: Instant, now: Instant) -> list[Sms]:
        """What is shown and scheduled in the range."""
        low, high = (bisect_left(self._scheduled, (bound, Sms(0, ""))) for bound in (since, until))
        return [sms for _, sms in self._scheduled[low:high] if sms.shown(now)]

    def newest(self, since: Instant, until: Instant, now: Instant, most: int, rng: random.Random) -> list[Sms]:
        """The newest ones first, equal timestamps in no stable order."""
        low, high = self._ends(since, until)
        found: list[Sms] = []
        for place in range(high - 1, low - 1, -1):
            sms = self._rows[place]
            if len(found) >= most and sms.created != found[-1].created:
                break
            if sms.shown(now):
                found.append(sms)
        return nsmallest(most, found, key=lambda sms: (-sms.created, rng.random()))

    def changed(self, since: Instant, until: Instant, now: Instant, most: int, at: Instant) -> list[Sms]:
        """Those whose status changed last first, as the provider tells it at its time ``at``."""
        found: list[Sms] = []
        for place in range(bisect_left(self._changes, (at + 1, Sms(0, ""))) - 1, -1, -1):
            when, sms = self._changes[place]
            if len(found) >= most:
                break
            if since <= sms.created < until and sms.changed(at) == when and sms.shown(now):
                found.append(sms)
        return found

    def count(self, since: Instant, until: Instant, now: Instant) -> int:
        """How many are counted. ``now`` never goes back by more than ``settle`` was told."""
        low, high = self._ends(since, until)
        return high - low - sum(since <= sms.created < until and not sms.shown(now, counted=True) for sms in self._restless)

    def settle(self, now: Instant) -> None:
        """Nobody will ask for a time before ``now`` any more."""
        self._restless = [sms for sms in self._restless if max(sms.visible, sms.away[1]) > now]

    def _ends(self, since: Instant, until: Instant) -> tuple[int, int]:
        return bisect_left(self._rows, Sms(since, "")), bisect_left(self._rows, Sms(until, ""))
