"""The completeness audits alone against the kit, on a clock of their own: holes that are there, holes that are not, and how soon.

Much faster than whole histories: thirty days of an account take about a minute.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, NamedTuple

from poller.demo.simulator.profiles import FONE, HEYMARKET, PROPERTIES, STUUT, THREADS
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors import answers
from poller.demo.simulator.vendors import routes as kit
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.errors import ProviderError
from poller.model import DAY, HOUR, MINUTE, SECOND, Gap, Instant, Stream
from poller.providers.contract import Page, Provider, Request, Response, View, Window
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.fonedynamics.slices import Learned
from poller.providers.heymarket.provider import Heymarket
from poller.providers.kit.suspects import CELL, Memory
from poller.providers.stuut.provider import Stuut
from tests.support.asking import side_query
from tests.support.story import START

DEPTH, EVERY = 7 * DAY, 6 * HOUR
PROMISED_H = 2 * EVERY / HOUR
STEP = 10 * MINUTE
REQUEST = 3 * SECOND
"""How long one request of the audit's budget takes."""

ORDINARY = Switches(
    late=0.1, late_s=7200.0, very_late=0.01, very_late_s=7 * 86400.0, vanish=0.01, vanish_s=7200.0, imports=0.0005,
    import_age_s=6 * 86400.0, ties=0.1, between=0.02, count_lag_s=2400.0, printed="seconds", cursor="inclusive", status_s=300.0,
    errors=0.02, order="shuffled",
)  # fmt: skip
"""Rows that are late by up to seven days, counts that lag by up to 40 minutes, rows that vanish and return, imports."""

CROWDS = Switches(ties=0.2, tie_rows=40, limit_max=30, printed="seconds", cursor="inclusive")
"""Groups with one timestamp that are longer than a page, so that conversations are read for them, and more is asked for at once."""


class Found(NamedTuple):
    """What one history of an audit found."""

    holes: int
    raised: int
    twice: int
    false: int
    hours: list[float]
    """From when a hole could be known to the alarm."""
    requests: int


PREFIXES = {"/v1/messages": "/heymarket", "/v2/sms-threads": "/stuut", "/v2/": "/fonedynamics"}


class Kit(Providers):
    """Answers to a provider's requests, without a client between."""

    def page(self, request: Request, now: Instant) -> Response:
        """One answer to a provider's request."""
        query = "&".join(f"{name}={value}" for name, value in request.query)
        prefix = next(name for start, name in PREFIXES.items() if request.path.startswith(start))
        found = self.answer(request.method, f"{prefix}{request.path}?{query}", {}, request.body or b"", now)
        if found.status in (answers.HANG, answers.RESET):
            return Response(500, {}, b"")
        return Response(found.status, {"content-type": found.kind}, found.body)


def play(
    provider: Provider, named: str, world: World, *, days: float, seed: int, said: list[str] | None = None, rate: float = 0.02
) -> tuple[list[tuple[Instant, Gap]], int]:
    """Run the audit every ten minutes; the gaps it raised and when, and the number of requests. ``said`` takes its oddities; ``rate`` is what polling has learned."""
    kit.authorized = lambda provider, given, now: True  # the harness has no secrets
    answers, now, raised, requests = Kit(world, seed), START, [], 0
    memory: Memory | None = None
    said = [] if said is None else said
    stream = Stream(provider.name, "a", PROPERTIES[0] if provider.name == FONE else "team")
    learned = Learned(most=200, rate=rate) if provider.name == FONE else {"most": 200, "rate": rate}
    while now < START + days * DAY:
        now += STEP
        view = View(world.clock(now), START - DAY // 2, DEPTH, EVERY, memory, learned)
        request = side_query(provider, named).begin(stream, view)
        at = now
        try:
            while request is not None and at < now + STEP:
                page: Page = side_query(provider, named).read(request, answers.page(request, at))
                requests, at = requests + 1, at + REQUEST
                memory = page.learned if page.learned is not None else memory
                raised += [(at, gap) for gap in page.gaps]
                said += page.oddities
                request = page.next
                if request is None and memory is not None and memory.todo:
                    request = side_query(provider, named).begin(
                        stream, View(world.clock(at), START - DAY // 2, DEPTH, EVERY, memory, view.learned)
                    )
        except ProviderError:
            continue
    return raised, requests


def counts(
    seed: int, *, days: float = 30.0, holes: int = 6, rate: float = 0.02, said: list[str] | None = None, switches: Switches = ORDINARY
) -> Found:
    """Heymarket: some rows are counted and never listed."""
    rng = random.Random(seed)
    world = World(seed, START, switches, per_second=rate, providers=(HEYMARKET,))
    planted: list[Sms] = []
    for _ in range(holes):
        at = START + round(rng.uniform(0.1, days - 1.0) * DAY)
        hidden = world._message(HEYMARKET, at, at, backlog=False)
        hidden.hole, hidden.away, hidden.visible = True, (0, 0), at
        planted.append(hidden)
    raised, requests = play(Heymarket(), "audit", world, days=days, seed=seed, said=said)
    return _judged(planted, [(at, gap) for at, gap in raised if gap.reason == "counted_not_listed"], requests)


def tilings(seed: int, *, days: float = 10.0, torn: bool = False, rate: float = 0.02) -> int:
    """Fone Dynamics: how many ranges are called possible gaps. ``torn``: the filter loses the first minute of any longer window."""
    world = World(seed, START, ORDINARY, per_second=rate, providers=(FONE,))
    if torn:
        shelf = world.shelves[FONE, PROPERTIES[0]]
        shown = shelf.between

        def lossy(since: Instant, until: Instant, now: Instant) -> list[Sms]:
            return shown(since + MINUTE if until - since > HOUR else since, until, now)

        shelf.between = lossy  # type: ignore[method-assign]
    raised, _ = play(FoneDynamics(), "tilings", world, days=days, seed=seed, rate=rate / len(PROPERTIES))
    return sum(gap.reason == "tilings_disagree" for _, gap in raised)


def threads(seed: int, *, days: float = 30.0, cap: int = 0, each: int = 260) -> int:
    """Stuut: how many of three threads are called capped, in which ``each`` messages come to be in that time, past every round length below.

    They are quiet, so they are read once an hour; a third of their messages is away for some days.
    """
    kit.authorized = lambda provider, given, now: True
    rate = len(THREADS) * each / (days * DAY / SECOND)
    world = World(seed, START, replace(ORDINARY, cap=cap, vanish=0.33, vanish_s=4 * 86_400.0), per_second=rate, providers=(STUUT,))
    answers, provider, told = Kit(world, seed), Stuut(), set[str]()
    memos: dict[str, Any] = dict.fromkeys(THREADS)
    for now in range(START + HOUR, START + round(days * DAY), HOUR):
        for name, memo in memos.items():
            request: Request | None = provider.first_page(Stream(STUUT, "a", name), Window(START, None, now), memo)
            try:
                while request is not None:
                    page = provider.read_page(request, answers.page(request, now))
                    memos[name] = page.learned if page.learned is not None else memos[name]
                    told |= {name for _ in page.gaps}
                    request = page.next
            except ProviderError:
                continue
    return len(told)


def _judged(planted: list[Sms], raised: list[tuple[Instant, Gap]], requests: int) -> Found:
    """Each hole against the alarms of its cell."""
    cells = {sms.created // CELL: sms for sms in sorted(planted, reverse=True)}
    alarms: dict[int, list[Instant]] = {}
    for at, gap in raised:
        alarms.setdefault(gap.since // CELL, []).append(at)
    hours = [(alarms[cell][0] - max(sms.created, sms.visible)) / HOUR for cell, sms in cells.items() if cell in alarms]
    false = sum(len(times) for cell, times in alarms.items() if cell not in cells)
    twice = sum(len(times) > 1 for cell, times in alarms.items() if cell in cells)
    return Found(len(cells), len(hours), twice, false, sorted(hours), requests)


def whole(seed: int) -> int:
    """Fone Dynamics, thirty days of ordinary misbehaviour."""
    return tilings(seed, days=30.0)


def uncut(seed: int) -> int:
    """Stuut, thirty days of ordinary misbehaviour."""
    return threads(seed)


def cut(seed: int) -> int:
    """The same where only the newest fifty messages of a thread are listed."""
    return threads(seed, cap=50)


def torn(seed: int) -> int:
    """The same with a filter that loses rows."""
    return tilings(seed, days=5.0, torn=True)
