"""New messages first, judged from outside: how long each new message waited until an answer that listed it had arrived.

The law (docs/laws.md): a new message is read within one interval and two pages of the time its request could be sent. So a wait
is without what it is not to blame for, and that is said exactly: a stream or an account that its provider refused or did not
answer may ask again when its back-off is over, and needs a page for that; what turned up at the same time takes its pages.
Nobody reads what turns up while every worker is away; that is what the look-back is for, and is no new message.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from poller.demo.accounts import ACCOUNTS
from poller.demo.simulator.profiles import FONE, HEYMARKET, STUUT, TWILIO
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.truth import Published, listed
from poller.demo.simulator.world import World
from poller.errors import PollerError
from poller.model import SECOND, Instant
from poller.telemetry.account_facts import AccountFacts
from poller.telemetry.event_types import DEAD_LETTER
from poller.telemetry.facts import Telemetry
from poller.times import parse_rfc3339
from tests.support.story import Story

ON_TIME: Instant = SECOND
"""A message is new where it can be listed within this time of the date that it prints."""

SHARE = 0.7
"""The part of the requests that the newest messages get at least."""

AHEAD_S = 300.0
"""How often Fone Dynamics' rung ahead of now is read, which alone lists what is scheduled further ahead where dates test that stamp."""

TIMEOUT_S = 5.0
"""How long these histories wait for an answer. A request that hangs is asked again at once after it, and nobody is told of that."""
Span = tuple[Instant, Instant]


class Held(Telemetry):
    """Hears how long streams and accounts wait, because requests of them failed."""

    story: Story
    held: dict[str, list[Span]]
    """By the id of what waits. The request that failed belongs to the wait: it may have been waited for until its time was over."""

    def account(self, provider: str, name: str) -> AccountFacts:
        """Its facts, listened to."""
        facts = super().account(provider, name)
        trouble = facts.trouble

        def waits(stream: str, error: PollerError, wait_s: float, job: str = "") -> None:
            now = self.story.clock.now()
            if job in ("", "edge"):  # what else waits by itself delays no new message
                self.held.setdefault(stream, []).append((now - round(TIMEOUT_S * SECOND), now + round(wait_s * SECOND)))
            trouble(stream, error, wait_s, job)

        facts.trouble = waits  # type: ignore[method-assign]
        return facts


class Terms(NamedTuple):
    """What a history grants; seconds."""

    interval_s: float
    page_s: float
    """What one request takes at least: its place in the rate limit, or its answer."""
    quietness: float
    """Look-back over its period: a thread without news for a time is read again after that part of it."""


class Wait(NamedTuple):
    """How long one new message waited, and how long it may; seconds."""

    id: str
    seconds: float
    """Without what it is not to blame for."""
    bound: float
    unexcused: float
    """From when it could be listed to the answer that listed it."""

    @property
    def ratio(self) -> float:
        """Above 1 the law is broken."""
        return self.seconds / self.bound


def observed(events: Iterable[Published]) -> dict[str, Instant]:
    """When the answer arrived that a message was first seen in, by its id."""
    return {
        event.key.rpartition("/")[2]: time.instant
        for event in events
        if event.type.startswith("sms.message.created") and (time := parse_rfc3339(event.value["observed_at"]))
    }


def new(world: World, since: Instant, until: Instant) -> list[Sms]:
    """What turned up on time, and stayed to be listed. A vendor that lists only what is finished lists most of it late.

    A Heymarket that does not honour its cursor is in trouble, and said to be: nothing is granted of it.

    Counts that lag do not count a broadcast yet, and a walk that goes on by counts passes it, with what was created in its moment: the
    sweeps after it read that.

    What a Twilio lists last, because it is never sent, is at the end of 400 days: it is read in time once filters are known to let it
    pass, and within the deepest rung's period until then.
    """
    passed = {sms.created for sms in world.all() if sms.dated is not None} if world.switches.count_lag_s else set[Instant]()
    return [
        sms
        for sms in world.all()
        if since <= sms.visible < until and sms.visible >= world.start and not (sms.kind or sms.hole or sms.away[1] or sms.dated)
        if abs(world.clock(sms.visible) - sms.printed) < ON_TIME and sms.created not in passed
        if listed(sms, world.switches, world.clock(sms.visible))
        if not (sms.provider == HEYMARKET and world.switches.cursor in ("ignored", "after"))
        if not (sms.provider == TWILIO and world.switches.unsent == "last" and not sms.inbound and "sent" not in {status for _, status in sms.steps})
    ]  # fmt: skip


def waits(world: World, events: list[Published], terms: Terms, *, lives: list[Span], held: dict[str, list[Span]]) -> list[Wait]:
    """How long each new message waited that somebody could have read in time, and was published.

    ``lives``: while a worker was there. ``held``: while a stream or an account (by its id) waited, because a request of it had failed.
    """
    seen, found = observed(events), list[Wait]()
    changes: dict[str, list[Instant]] = {}
    for event in events:
        if event.type != DEAD_LETTER and (time := parse_rfc3339(event.value["observed_at"])):
            changes.setdefault(event.value["stream"].rpartition("/")[2], []).append(time.instant)
    for begins, ends in lives:
        rows = new(world, begins, ends)
        crowds = Counter((sms.stream, sms.visible // SECOND) for sms in rows)
        dated = Counter((sms.stream, sms.created // SECOND) for sms in world.all() if sms.visible < ends)  # late ones fill pages, too
        for sms in rows:
            stream = f"{sms.provider}/{ACCOUNTS[sms.provider]}/{sms.stream}"
            at = min(seen.get(sms.id, ends), ends)
            spans = [*held.get(stream, ()), *held.get(stream.rpartition("/")[0], ())]
            near = [span for span in spans if span[0] < at and span[1] > sms.visible]
            beside = max(
                sum(crowds[sms.stream, sms.visible // SECOND + step] for step in (-1, 0, 1)), dated[sms.stream, sms.created // SECOND]
            )
            interval_s = _interval_s(world, terms, sms, changes.get(sms.stream, []))
            newer = [count for (name, second), count in dated.items() if name == sms.stream and sms.created < second * SECOND <= at]
            pages = _pages(world, beside) + sum(_asks(world, count) for count in newer) + len(near)
            bound = _sweeps(world, sms, beside) * interval_s + pages * terms.page_s / SHARE + (TIMEOUT_S if world.switches.hangs else 0.0)
            excused = _length(near, sms.visible, at)
            if sms.id in seen and (seen[sms.id] <= ends or sms.visible + excused + round(bound * SECOND) <= ends):
                found.append(Wait(sms.id, (at - sms.visible - excused) / SECOND, bound, (at - sms.visible) / SECOND))
    return found


def _interval_s(world: World, terms: Terms, sms: Sms, changes: list[Instant]) -> float:
    """How often what lists the message is asked for."""
    if sms.provider == STUUT:
        quiet = sms.visible - max((at for at in changes if at <= sms.visible), default=world.start)
        return max(terms.interval_s, quiet / SECOND / terms.quietness)
    ahead = sms.provider == FONE and world.switches.filter == "scheduled" and sms.scheduled > sms.created
    return max(terms.interval_s, AHEAD_S) if ahead else terms.interval_s


def _sweeps(world: World, sms: Sms, beside: int) -> int:
    """Sweeps that may be needed to meet the message: one, and one more where its row may lie behind the walk when the walk comes by.

    An older state of a Twilio message has no time of sending, so it is listed at the other end. Of more rows of one moment than a page
    holds, that come in another order each time, a walk may miss one.
    """
    older = sms.provider == TWILIO and world.switches.regress > 0 and world.switches.unsent != "hidden"
    shuffled = beside > world.switches.limit_max and world.switches.order in ("random", "shuffled")
    return 2 if older or shuffled else 1


def _asks(world: World, rows: int) -> int:
    """Requests that rows of one newer moment take before what is older is met; of rows that fit into a page, none.

    Rows that come in another order each time may take one for each conversation.
    """
    if rows <= world.switches.limit_max:
        return 0
    return rows if world.switches.order in ("random", "shuffled") else 2 * math.ceil(rows / world.switches.limit_max)


def _pages(world: World, beside: int) -> float:
    """Pages that may be read before the message: two, and where more turned up with it than one holds, those that hold it all, twice."""
    return 2 + (2 * math.ceil(beside / world.switches.limit_max) if beside > world.switches.limit_max else 0)


def _length(spans: list[Span], since: Instant, until: Instant) -> Instant:
    """How much of a time lies in any of the spans."""
    total, reached = 0, since
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, until)
        if end > begin:
            total, reached = total + end - begin, end
    return total
