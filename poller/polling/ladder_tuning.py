"""One account's ladder as it follows what is learned: the overlap by how late rows come, the periods by what sweeps cost."""

from __future__ import annotations

from collections import Counter

from ..coverage import ladder, lateness
from ..coverage.cursor import Cursor
from ..coverage.cursor import lateness as lateness_of
from ..coverage.ladder import Rung
from ..coverage.lateness import Lateness
from ..model import SECOND, Instant
from ..providers.contract import ByTime, Listing
from ..publishing.shard_state import ShardState
from ..telemetry.account_facts import AccountFacts
from .demand import Demand
from .settings import AccountSettings
from .streams import Run, StreamPoll

STRETCH_SAID = 4.0
"""A stretch above this is worth a warning."""


class LadderTuner:
    """The rungs of one account, its lateness, and how far its periods stretch."""

    def __init__(self, settings: AccountSettings, listing: Listing, shard_state: ShardState, facts: AccountFacts, *, now: Instant) -> None:
        self._settings, self._listing, self._shard_state, self._facts = settings, listing, shard_state, facts
        self.demand = Demand(settings.rate)
        self.lateness = shard_state.lateness(settings.key) or Lateness(now, now)
        self.rungs = self._built(settings.overlap or self.lateness.overlap)
        """Today's ladder; each stream takes it over when none of its pages is in flight."""
        self._said = False

    def _built(self, overlap: Instant) -> tuple[Rung, ...]:
        wanted, listing = self._settings, self._listing
        return ladder.build(
            interval=wanted.interval,
            overlap=overlap,
            status_horizon=wanted.status_horizon,
            every=wanted.every,
            back=wanted.back,
            filtered=isinstance(listing, ByTime),
            ahead=listing.ahead if isinstance(listing, ByTime) else 0,
        )

    def swept(self, poll: StreamPoll, rung: int, run: Run, period_s: float) -> float:
        """A sweep of the rung ended; its period as far as the rate limit stretches it."""
        live = ladder.live(poll.rungs)
        per_second = run.pages / run.longer / period_s
        self.demand.swept(poll.stream.id, rung, per_second, deep=rung != live)
        if rung > live:
            self.demand.expect(poll.stream.id, range(rung + 1, len(poll.rungs)), per_second)
        self._watch_stretch()
        return period_s if rung == live else period_s * self.demand.stretch

    def _watch_stretch(self) -> None:
        """Say once that the rate limit is too small for the look-back that is asked for."""
        stretch = self.demand.stretch
        if stretch > STRETCH_SAID and not self._said:
            self._facts.stretched(stretch)
        was, self._said = self._said, stretch > STRETCH_SAID or (self._said and stretch > STRETCH_SAID / 2)
        if was and not self._said:
            self._facts.stretched(stretch, over=True)

    def observe(self, poll: StreamPoll, cursor: Cursor, created: list[Instant], *, now: Instant) -> list[Instant]:
        """How late new messages were, learned from: those that were, in microseconds.

        Of one bucket only some rows count until the rung that owns them was swept, whether it lists them or a hint does.
        """
        if not created or not isinstance(self._listing, ByTime):
            return []
        found = [lateness_of(poll.rungs, cursor, each, now=now) for each in created]
        fresh: Counter[int] = Counter()
        for late in filter(None, found):
            owner, number = ladder.owner(poll.rungs, late), lateness.bucket(late)
            mark = cursor.marks[owner].complete
            since, count = poll.taught.get((owner, number), (mark, 0))
            count = count if since == mark else 0
            if count < lateness.PER_SWEEP_MAX:
                poll.taught[owner, number] = (mark, count + 1)
                fresh[number] += 1
        self.lateness = lateness.observe(self.lateness, now=now, on_time=found.count(0), late=fresh)
        return [late for late in found if late]

    def learn(self, *, now: Instant) -> None:
        """Where the overlap is learned: follow what the lateness of rows teaches. ``now`` is the provider's time."""
        if self._settings.overlap is not None or not isinstance(self._listing, ByTime):
            return
        share = self.demand.live / self.demand.rate
        chosen = lateness.choose(self.lateness, now=now, interval=self._settings.interval, live_share=share)
        if chosen.overlap != self.lateness.overlap:
            self.rungs = self._built(chosen.overlap)
            self._facts.overlap(chosen.overlap / SECOND, lateness.reason(chosen, now=now))
        self.lateness = chosen
        self._shard_state.keep_lateness(self._settings.key, chosen)

    def overlap_s(self) -> float:
        """The overlap in force, in seconds; 0 where streams are read whole."""
        return self.rungs[ladder.live(self.rungs)].reach / SECOND if isinstance(self._listing, ByTime) else 0.0

    def overlap_reason(self, *, now: Instant) -> str:
        """Why the overlap is what it is, for people."""
        if not isinstance(self._listing, ByTime):
            return "read whole"
        return "configured" if self._settings.overlap is not None else lateness.reason(self.lateness, now=now)
