"""What the simulated providers really have: invented messages, their lives, and when each fact can be seen.

Pure and seeded; the clock is always given. Whatever the providers' answers make of it, this is
the truth that the judge compares with what was published.
"""

from __future__ import annotations

import random

from ...model import DAY, SECOND, Instant
from .shelf import OTHERS, Shelf, Sms
from .switches import Switches

STUUT, HEYMARKET, FONE = "stuut", "heymarket", "fonedynamics"
THREADS = ("thr_1", "thr_2", "thr_3")
PROPERTIES = ("PR1", "PR2")
WORDS = ("Your parcel is on its way", "Thanks!", "See you at ten", "Invoice attached", "Please call back", "Yes", "STOP")


LIVES = {
    STUUT: (("pending", "sent", "delivered"), ("pending", "sent", "undelivered"), ("pending", "failed")),
    HEYMARKET: (("pending", "sent", "delivered"), ("pending", "sent", "delivered", "seen"), ("pending", "failed")),
    FONE: (("Processing", "Submitted", "Delivered"), ("Processing", "Submitted"), ("Processing", "Failed")),
}
OURS = {STUUT: "+14155550100", FONE: "+61400000001"}
"""The companies' own numbers, where rows print them."""

RECEIVED = {STUUT: "delivered", HEYMARKET: "received", FONE: "Received"}
IMPORT_ROWS = 40
NEVER = 1 << 62


class World:
    """Three providers with a history, and a future that is invented as time goes on. ``now`` is always our time."""

    def __init__(
        self,
        seed: int,
        start: Instant,
        switches: Switches | None = None,
        *,
        per_second: float = 3.0,
        backlog: int = 60,
        backlog_s: float = 43_200.0,
        providers: tuple[str, ...] = (STUUT, HEYMARKET, FONE),
    ) -> None:
        self.switches, self.start = switches or Switches(), start
        self._random = random.Random(seed)
        self.providers = providers
        self._per_second, self._now, self._number = per_second, start, 0
        self._frozen = False
        self.shelves = {
            (provider, stream): Shelf()
            for provider, streams in ((STUUT, THREADS), (HEYMARKET, ("team",)), (FONE, PROPERTIES))
            for stream in streams
        }
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
            sms.steps = [step for step in sms.steps if step[0] <= clock or step[0] == sms.created]
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
        count = rng.randrange(2, switches.tie_rows + 1) if provider != STUUT and rng.random() < switches.ties else 1
        created = self.clock(at)
        stream = rng.choice([stream for of, stream in self.shelves if of == provider])
        for _ in range(count):
            self._message(provider, created, at, backlog=backlog, stream=stream)
        if provider == HEYMARKET and not backlog and rng.random() < switches.imports:
            for _ in range(IMPORT_ROWS):
                age = round(rng.random() * switches.import_age_s * SECOND)
                self._message(provider, max(created - age, self.start - DAY // 2), at, backlog=True).visible = at

    def _message(self, provider: str, created: Instant, at: Instant, *, backlog: bool, stream: str | None = None) -> Sms:
        rng, switches = self._random, self.switches
        self._number += 1
        sms = Sms(
            created // SECOND * SECOND if provider == FONE else created,
            self._name(provider),
            provider,
            stream or {STUUT: rng.choice(THREADS), HEYMARKET: "team", FONE: rng.choice(PROPERTIES)}[provider],
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
        self._live(sms)
        self.shelves[provider, sms.stream].add(sms)
        return sms

    def _lateness(self, provider: str) -> Instant:
        rng, switches = self._random, self.switches
        if provider == STUUT:
            return 0
        if rng.random() < switches.very_late:
            return round(rng.random() * switches.very_late_s * SECOND)
        return round(rng.expovariate(1 / switches.late_s) * SECOND) if rng.random() < switches.late else 0

    def _live(self, sms: Sms) -> None:
        rng, switches = self._random, self.switches
        life = (RECEIVED[sms.provider],) if sms.inbound else rng.choices(LIVES[sms.provider], (8, 2, 1))[0]
        if not sms.inbound and rng.random() < switches.stuck:
            life = life[:1]
        if sms.provider == STUUT and not sms.inbound and rng.random() < switches.drafts:
            life = ("draft", *life) if rng.random() < 0.8 else ("draft",)
        sms.receipt = life[-1] == "Delivered" or rng.random() < 0.5
        sms.scheduled = at = sms.created
        for number, status in enumerate(life):
            sms.steps.append((at, status))
            if not number and sms.provider == FONE and not sms.inbound and rng.random() < switches.scheduled:
                sms.scheduled = at = at + round(rng.random() * switches.scheduled_s) * SECOND
            step = round(rng.uniform(0.1, 1.7) * switches.status_s * SECOND)
            at += max(1, -(-step // SECOND)) * SECOND if sms.provider == FONE else step + 1
        if rng.random() < switches.edits:
            sms.edited = sms.created + round(rng.uniform(0.3, 2) * switches.status_s * SECOND), sms.text + " (edited)"
        if sms.provider == STUUT and rng.random() < switches.classify_later:
            sms.classified = sms.created + round(rng.uniform(0.3, 2) * switches.status_s * SECOND)

    def _name(self, provider: str) -> str:
        if provider == HEYMARKET:
            return str(9_000_000 + self._number)
        return f"sms_{self._number:08d}" if provider == STUUT else f"M{self._number:031d}"
