"""What the simulated providers really have: invented messages, their lives, and when each fact can be seen.

Pure and seeded; the clock is always given. Whatever the providers' answers make of it, this is
the truth that the judge compares with what was published.
"""

from __future__ import annotations

import random

from ...model import DAY, SECOND, Instant
from .profiles import FIRST_THREE, FONE, HEYMARKET, PROFILES, STUUT, TWILIO, WORDS
from .shelf import OTHERS, Shelf, Sms
from .switches import Switches

IMPORT_ROWS = 40
"""Messages of one import of old messages."""

SCHEDULED = frozenset({FONE, TWILIO})
"""The vendors that send at a later time where they are asked to."""
NEVER = 1 << 62
"""An instant that does not come."""


class World:
    """Providers with a history, and a future that is invented as time goes on. ``now`` is always our time."""

    def __init__(
        self,
        seed: int,
        start: Instant,
        switches: Switches | None = None,
        *,
        per_second: float = 3.0,
        backlog: int = 60,
        backlog_s: float = 43_200.0,
        providers: tuple[str, ...] = FIRST_THREE,
    ) -> None:
        self.switches, self.start = switches or Switches(), start
        self._random = random.Random(seed)
        self.providers = providers
        self._per_second, self._now, self._number = per_second, start, 0
        self._frozen = False
        self.shelves = {(provider, stream): Shelf() for provider, profile in PROFILES.items() for stream in profile.streams}
        self._due = start + SECOND // 2
        for age in sorted((self._random.random() * backlog_s for _ in range(backlog)), reverse=True):
            self._invent(start - round(age * SECOND), backlog=True)

    def clock(self, now: Instant) -> Instant:
        """The providers' clock."""
        return self.switches.clock(now, self.start)

    def advance(self, now: Instant) -> None:
        """Invent what happened up to now."""
        while self._due <= now and not self._frozen:
            self._invent(self._due, backlog=False)
            self._due += round(self._random.expovariate(self._per_second) * SECOND) + 1
        if not self._frozen and self._random.random() < self.switches.between:
            self._invent(now, backlog=False)
        self._now = max(self._now, now)

    def freeze(self, now: Instant) -> None:
        """No more news: nothing is invented, no status changes, nothing hidden ever shows, and nothing is away."""
        self._frozen = True
        clock = self.clock(now)
        for sms in self.all():
            sms.steps = [step for step in sms.steps if step[0] <= clock or step[0] == sms.created] or sms.steps[:1]
            if sms.classified is not None and sms.classified > clock:
                sms.classified = None
            if sms.edited is not None and sms.edited[0] > clock:
                sms.edited = None
            if sms.away[0] <= now < sms.away[1]:
                sms.away = (sms.away[0], now)
            elif sms.away[0] > now:
                sms.away = (0, 0)
            if sms.visible > now:
                sms.visible = NEVER

    def all(self) -> list[Sms]:
        """Every message, seen or not."""
        return [sms for shelf in self.shelves.values() for sms in shelf]

    def _invent(self, at: Instant, *, backlog: bool) -> None:
        rng, switches = self._random, self.switches
        provider = rng.choice(self.providers)
        count = rng.randrange(2, switches.tie_rows + 1) if PROFILES[provider].delayed and rng.random() < switches.ties else 1
        created = self.clock(at)
        stream = rng.choice([stream for of, stream in self.shelves if of == provider])
        for after in range(switches.crowd_seconds if count > 1 else 1):
            for _ in range(count):
                self._message(provider, created + after * SECOND, at + after * SECOND, backlog=backlog, stream=stream)
        if provider == HEYMARKET and not backlog and rng.random() < switches.broadcasts:
            self._broadcast(created, at)
        if provider == HEYMARKET and not backlog and rng.random() < switches.imports:
            for _ in range(IMPORT_ROWS):
                age = round(rng.random() * switches.import_age_s * SECOND)
                self._message(provider, max(created - age, self.start - DAY // 2), at, backlog=True).visible = at

    def _broadcast(self, queued: Instant, at: Instant) -> None:
        """Rows that are queued in one moment, which is what cursors and counts test, and print the date at which each is sent."""
        for number in range(self.switches.broadcast_rows):
            apart = round(number / self.switches.broadcast_per_s * SECOND)
            sms = self._message(HEYMARKET, queued, at + apart, backlog=False)
            sms.dated, sms.visible, sms.away, sms.hole, sms.inbound = queued + apart, at + apart, (0, 0), False, False
            sms.steps = [(queued + apart, "pending"), (queued + apart + SECOND, "sent")]

    def _message(self, provider: str, created: Instant, at: Instant, *, backlog: bool, stream: str | None = None) -> Sms:
        rng, switches = self._random, self.switches
        self._number += 1
        profile = PROFILES[provider]
        sms = Sms(
            created // profile.unit * profile.unit,
            profile.id.format(self._number),
            provider,
            stream or rng.choice(profile.streams),
            inbound=rng.random() < 0.4,
            text=rng.choice(WORDS) + f" #{self._number}",
            other=f"+1415555{rng.randrange(10_000):04d}",
            conversation=rng.randrange(1, 30),
            sticky=rng.random() < switches.sticky,
            hole=provider == HEYMARKET and not backlog and rng.random() < switches.holes,
        )
        sms.visible = min(sms.created, at) if backlog else at + self._lateness(provider)
        if rng.random() < switches.vanish:
            gone = sms.visible + round(rng.expovariate(1 / switches.vanish_s) * SECOND)
            sms.away = (gone, gone + round(rng.expovariate(1 / switches.vanish_s) * SECOND))
        if provider == HEYMARKET and not backlog and rng.random() < switches.misdated:
            apart = round(rng.random() * switches.import_age_s * SECOND)
            sms.dated = created + apart // 4 if rng.random() < 0.3 else max(created - apart, self.start - DAY // 2)
            sms.visible, sms.away = at, (0, 0)
        elif provider == HEYMARKET and not sms.hole and rng.random() < switches.others:
            sms.kind = rng.choice(OTHERS)
        if provider == TWILIO:
            sms.channel = "whatsapp" if rng.random() < switches.channels else "sms"
            sms.media = rng.randrange(1, 4) if rng.random() < switches.media else 0
        self._live(sms)
        self.shelves[provider, sms.stream].add(sms)
        return sms

    def _lateness(self, provider: str) -> Instant:
        rng, switches = self._random, self.switches
        if not PROFILES[provider].delayed:
            return 0
        if rng.random() < switches.very_late:
            return round(rng.random() * switches.very_late_s * SECOND)
        return round(rng.expovariate(1 / switches.late_s) * SECOND) if rng.random() < switches.late else 0

    def _live(self, sms: Sms) -> None:
        rng, switches, profile = self._random, self.switches, PROFILES[sms.provider]
        life = (profile.received,) if sms.inbound else rng.choices(profile.lives, (8, 2, 1))[0]
        if not sms.inbound and rng.random() < switches.stuck:
            life = life[:1]
        if sms.provider == STUUT and not sms.inbound and rng.random() < switches.drafts:
            life = ("draft", *life) if rng.random() < 0.8 else ("draft",)
        if sms.channel == "whatsapp" and life[-1] == "delivered":
            life = (*life, "read")
        sms.receipt = life[-1] == "Delivered" or rng.random() < 0.5
        waits = 0
        if sms.provider in SCHEDULED and not sms.inbound and rng.random() < switches.scheduled:
            waits = round(rng.random() * switches.scheduled_s) * SECOND
            if profile.scheduled is not None:
                life = (profile.scheduled, *life) if rng.random() < 0.8 else (profile.scheduled, "canceled")
        sms.scheduled = at = sms.created
        for number, status in enumerate(life):
            sms.steps.append((at, status))
            if not number:
                sms.scheduled = at = at + waits
            step = round(rng.uniform(0.1, 1.7) * switches.status_s * SECOND)
            at += max(1, -(-step // profile.unit)) * profile.unit if profile.unit > 1 else step + 1
        self._change(sms)

    def _change(self, sms: Sms) -> None:
        """What becomes of its contents: a text that is another later, or none; a classification; a price."""
        rng, switches = self._random, self.switches
        if rng.random() < switches.edits:
            text = "" if sms.provider == TWILIO else sms.text + " (edited)"
            sms.edited = sms.created + round(rng.uniform(0.3, 2) * switches.status_s * SECOND), text
        if sms.provider == STUUT and rng.random() < switches.classify_later:
            sms.classified = sms.created + round(rng.uniform(0.3, 2) * switches.status_s * SECOND)
        if sms.provider == TWILIO:
            sms.priced = sms.steps[-1][0] + round(rng.uniform(0.3, 2) * switches.price_s * SECOND)
