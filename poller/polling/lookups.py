"""Which message is looked up by its id next: those that are not final, the youngest first, ever more seldom.

A look-up is a hint for most messages: it shows a status sooner than the ladder would. For a message that was scheduled far
ahead it is a duty: by some readings of a provider's filter no window shows its status any more.

One rule serves both. A message is first looked up at its position (the latest of created and scheduled), then again each
time a fortieth of the time since its last change has passed, until the status horizon and a few times after it, because an
outage may have lain over it. A message that is not final then is unconfirmed, and only the ladder looks at it. Pure;
instants are the provider's time.
"""

from __future__ import annotations

import heapq

from msgspec import Struct

from ..model import SECOND, Instant
from ..publishing.message_state import MessageState

SPACING = 40
"""The time since a message's last change over the time between two looks: more looks are made of young messages."""

LAST_LOOKS = 3
"""How often a message is looked up after its status horizon: more than once, because a request may fail."""

WAITING_MAX = 200_000
"""Messages of one stream that are remembered for look-ups: of more, the youngest."""


class Waiting(Struct):
    """One message that is not final."""

    id: str
    position: Instant
    changed: Instant
    turn: int = 0
    last: int = 0
    """Looks after the horizon."""


class Lookups:
    """The messages of one stream that are looked up by id."""

    def __init__(self, *, interval: Instant, horizon: Instant) -> None:
        self._interval, self._horizon = interval, horizon
        self._waiting: dict[bytes, Waiting] = {}
        self._later: list[tuple[Instant, int, bytes]] = []
        self._now: list[tuple[Instant, int, bytes]] = []
        self._turn = 0
        self.unconfirmed = 0
        """How many were given up at the horizon since the start."""

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, digest: bytes, seen: MessageState, now: Instant, *, looked: Instant | None = None) -> None:
        """A copy was adopted: final ones are forgotten, others wait for their first or next look.

        ``looked``: the copy is from state, and the stream was polled until then.
        """
        if seen.id is None:
            self._waiting.pop(digest, None)
            return
        waiting = Waiting(seen.id, seen.position * SECOND, max(seen.stamp, seen.position * SECOND))
        if looked is not None and waiting.position + self._horizon <= looked:
            waiting.last = LAST_LOOKS
        if len(self._waiting) < WAITING_MAX or digest in self._waiting:
            self._waiting[digest] = waiting
            self._plan(digest, waiting, now)

    def due(self, now: Instant) -> str | None:
        """The id to look up now; it counts as looked up."""
        while self._later and self._later[0][0] <= now:
            _, turn, digest = heapq.heappop(self._later)
            waiting = self._waiting.get(digest)
            if waiting is not None and waiting.turn == turn:
                heapq.heappush(self._now, (-waiting.position, turn, digest))
        while self._now:
            _, turn, digest = heapq.heappop(self._now)
            waiting = self._waiting.get(digest)
            if waiting is None or waiting.turn != turn:
                continue
            if waiting.last >= LAST_LOOKS:
                del self._waiting[digest]
                self.unconfirmed += 1
                continue
            waiting.last += now >= waiting.position + self._horizon
            self._plan(digest, waiting, now)
            return waiting.id
        return None

    def _plan(self, digest: bytes, waiting: Waiting, now: Instant) -> None:
        self._turn += 1
        waiting.turn = self._turn
        spacing = max(self._interval, (now - waiting.changed) // SPACING)
        heapq.heappush(self._later, (max(waiting.position, now + spacing), self._turn, digest))
