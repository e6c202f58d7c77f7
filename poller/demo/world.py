"""What the simulated providers really have: invented messages, their lives, and when each fact can be seen.

Pure and seeded; the clock is always given. Whatever the providers' answers make of it, this is
the truth that the judge compares with what was published.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from dataclasses import dataclass, field

from ..model import DAY, SECOND, Instant

STUUT, HEYMARKET, FONE = "stuut", "heymarket", "fonedynamics"
THREADS = ("thr_1", "thr_2", "thr_3")
PROPERTIES = ("PR1", "PR2")
WORDS = ("Your parcel is on its way", "Thanks!", "See you at ten", "Invoice attached", "Please call back", "Yes", "STOP")


@dataclass(frozen=True)
class Switches:
    """How the providers behave. The defaults are well-behaved but not perfect: some rows are late, statuses come later."""

    late: float = 0.15
    """The part of rows that become visible only some time after their creation (Heymarket, Fone Dynamics)."""
    late_s: float = 3.0
    """Mean of that time, in seconds."""
    classify_later: float = 0.3
    """The part of Stuut messages that get a classification later, without ``modified_at`` moving (Stuut c)."""
    ties: float = 0.1
    """The part of Heymarket messages that come in groups with one timestamp (Heymarket B)."""
    limit_max: int = 100
    """Heymarket's and Fone Dynamics' silent cap of a page."""
    printed: str = "milliseconds"
    """The precision of Heymarket's printed dates; microseconds are stored (Heymarket B)."""
    cursor_inclusive: bool = False
    """Heymarket's cursor includes its own timestamp."""
    order: str = "descending"
    """Fone Dynamics' order: ascending, descending or random per request (Fone Dynamics C)."""
    faults: float = 0.0
    """The part of requests answered with 429, 500, a cut body or a web page."""
    skew_s: float = 0.0
    """The provider's clock minus ours."""
    count_as_string: bool = True
    """Heymarket's count is a JSON string (Heymarket J)."""
    envelope: bool = False
    """Stuut wraps its list (Stuut a)."""


HOSTILE = Switches(
    late=0.3,
    late_s=5.0,
    ties=0.3,
    limit_max=30,
    printed="seconds",
    cursor_inclusive=True,
    order="random",
    faults=0.08,
    skew_s=-40.0,
    envelope=True,
)


@dataclass(order=True)
class Sms:
    """One message. ``steps`` are (instant, status) in the vendor's words; the first is its creation."""

    created: Instant
    id: str = field(compare=True)
    provider: str = field(compare=False, default="")
    stream: str = field(compare=False, default="")
    visible: Instant = field(compare=False, default=0)
    inbound: bool = field(compare=False, default=False)
    text: str = field(compare=False, default="")
    other: str = field(compare=False, default="")
    conversation: int = field(compare=False, default=0)
    receipt: bool = field(compare=False, default=True)
    classified: Instant | None = field(compare=False, default=None)
    steps: list[tuple[Instant, str]] = field(compare=False, default_factory=list)

    def status(self, now: Instant) -> str:
        """In the vendor's words."""
        return next(status for at, status in reversed(self.steps) if at <= now or at == self.created)

    def changed(self, now: Instant) -> Instant:
        """When the status last changed."""
        return next(at for at, _ in reversed(self.steps) if at <= now or at == self.created)

    def when(self, status: str, now: Instant) -> Instant | None:
        """When it reached a status, if it has."""
        return next((at for at, each in self.steps if each == status and at <= now), None)


LIVES = {
    STUUT: (("pending", "sent", "delivered"), ("pending", "sent", "undelivered"), ("pending", "failed")),
    HEYMARKET: (("pending", "sent", "delivered"), ("pending", "sent", "delivered", "seen"), ("pending", "failed")),
    FONE: (("Processing", "Submitted", "Delivered"), ("Processing", "Submitted"), ("Processing", "Failed")),
}
RECEIVED = {STUUT: "delivered", HEYMARKET: "received", FONE: "Received"}


class World:
    """Three providers with a history, and a future that is invented as time goes on."""

    def __init__(self, seed: int, start: Instant, switches: Switches | None = None, *, per_second: float = 3.0, backlog: int = 60) -> None:
        self.switches = switches or Switches()
        self._random = random.Random(seed)
        self._per_second, self._now, self._number = per_second, start, 0
        self._frozen = False
        self.messages: dict[tuple[str, str], list[Sms]] = {}
        self._due = start + SECOND // 2
        for _ in range(backlog):
            self._invent(start - self._random.randrange(DAY // 2), backlog=True)

    def advance(self, now: Instant) -> None:
        """Invent what happened up to now."""
        while self._due <= now and not self._frozen:
            self._invent(self._due, backlog=False)
            self._due += round(self._random.expovariate(self._per_second) * SECOND) + 1
        self._now = max(self._now, now)

    def freeze(self, now: Instant) -> None:
        """No more news: nothing is invented, no status changes, and nothing that is still hidden ever shows."""
        self._frozen = True
        for sms in self.all():
            sms.steps = [step for step in sms.steps if step[0] <= now or step[0] == sms.created]
            if sms.classified is not None and sms.classified > now:
                sms.classified = None
            if sms.visible > now:
                sms.visible = 1 << 62

    def all(self) -> list[Sms]:
        """Every message, seen or not."""
        return [sms for each in self.messages.values() for sms in each]

    def shown(self, provider: str, stream: str, now: Instant) -> list[Sms]:
        """What the provider shows now, oldest first."""
        return [sms for sms in self.messages.get((provider, stream), ()) if sms.visible <= now]

    def between(self, provider: str, stream: str, since: Instant, until: Instant, now: Instant) -> list[Sms]:
        """What it shows with a creation in ``[since, until)``, oldest first."""
        each = self.messages.get((provider, stream), [])
        low, high = bisect_left(each, Sms(since, "")), bisect_left(each, Sms(until, ""))
        return [sms for sms in each[low:high] if sms.visible <= now]

    def _invent(self, at: Instant, *, backlog: bool) -> None:
        rng, switches = self._random, self.switches
        provider = rng.choice((STUUT, HEYMARKET, FONE))
        stream = {STUUT: rng.choice(THREADS), HEYMARKET: "team", FONE: rng.choice(PROPERTIES)}[provider]
        count = rng.randrange(2, 6) if provider == HEYMARKET and rng.random() < switches.ties else 1
        created = at // SECOND * SECOND if provider == FONE else at
        for _ in range(count):
            self._number += 1
            late = provider != STUUT and not backlog and rng.random() < switches.late
            sms = Sms(
                created,
                self._name(provider),
                provider,
                stream,
                visible=created + (round(rng.expovariate(1 / switches.late_s) * SECOND) if late else 0),
                inbound=rng.random() < 0.4,
                text=rng.choice(WORDS) + f" #{self._number}",
                other=f"+1415555{rng.randrange(10_000):04d}",
                conversation=rng.randrange(1, 30),
            )
            self._live(sms)
            insort(self.messages.setdefault((provider, stream), []), sms)

    def _live(self, sms: Sms) -> None:
        rng = self._random
        life = (RECEIVED[sms.provider],) if sms.inbound else rng.choices(LIVES[sms.provider], (8, 2, 1))[0]
        sms.receipt = life[-1] == "Delivered" or rng.random() < 0.5
        at = sms.created
        for status in life:
            sms.steps.append((at, status))
            step = round(rng.uniform(0.3, 5.0) * SECOND)
            at += -(-step // SECOND) * SECOND if sms.provider == FONE else step
        if sms.provider == STUUT and rng.random() < self.switches.classify_later:
            sms.classified = sms.created + round(rng.uniform(1, 6) * SECOND)

    def _name(self, provider: str) -> str:
        if provider == HEYMARKET:
            return str(9_000_000 + self._number)
        return f"sms_{self._number:08d}" if provider == STUUT else f"M{self._number:031d}"
