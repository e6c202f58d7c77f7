"""What was published, held against what the simulated providers really had.

A *message* is right when it was created exactly once and its events are numbered without gap
or repetition, in the order in which they were read. A *status* is counted for every message that is not inbound: it is right when the
newest status that the provider showed is the newest one that was published, on the status topic.
A row that cannot be read is right when it is a dead letter. What each event must say is in :mod:`.truth`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from ...model import Instant
from ...publishing.message_state import message_key
from ...telemetry.event_types import DEAD_LETTER
from .shelf import UNREADABLE
from .truth import DISORDER, DOUBLED, STALE, UNTRUE, Published, faults, listed, status_of
from .world import NEVER, World


class Verdict(NamedTuple):
    """The counts, and the keys behind the faults (for finding out why)."""

    messages_expected: int
    messages_published: int
    statuses_expected: int
    statuses_published: int
    missing: list[str]
    """Silently: nothing that was published or said tells of them."""
    flagged: list[str]
    """Missing or stale too, but in a range that was called a possible gap, or of a stream that is known to be in trouble."""
    stale: list[str]
    """Not what the provider shows, or never what it showed."""
    duplicates: list[str]
    out_of_order: list[str]

    @property
    def good(self) -> bool:
        """Nothing silently missing, stale, doubled or out of order."""
        return not (self.missing or self.stale or self.duplicates or self.out_of_order)

    @property
    def line(self) -> str:
        """The proof, in one line."""
        return (
            f"published {self.messages_published} of {self.messages_expected} messages, "
            f"{self.statuses_published} of {self.statuses_expected} statuses, "
            f"{len(self.missing) + len(self.flagged) + len(self.stale)} missing, {len(self.duplicates) + len(self.out_of_order)} duplicates"
        )


class Flag(NamedTuple):
    """A range ``[since, until)`` of creations of a provider's stream that something was said about."""

    provider: str
    stream: str
    since: Instant = 0
    until: Instant = NEVER


def judge(
    world: World, events: list[Published], *, accounts: dict[str, str], now: Instant, flags: Iterable[Flag] = (), plain: bool = True
) -> Verdict:
    """``accounts`` maps providers to account names; the world should be frozen. ``plain``: privacy keeps nothing back."""
    ids, dead = Counter(event.id for event in events), {event.key for event in events if event.type == DEAD_LETTER}
    lives: dict[str, list[Published]] = {}
    read: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if event.type != DEAD_LETTER:
            lives.setdefault(event.key, []).append(event)
            read.setdefault((event.topic, event.key), []).append(event.revision)
    created = {key: sum(event.type.startswith("sms.message.created") for event in life) for key, life in lives.items()}
    wrong: dict[str, set[str]] = {UNTRUE: set(), STALE: set(), DOUBLED: set(), DISORDER: set()}
    expected, due, behind, said, unread = set[str](), set[str](), set[str](), set[str](), set[str]()
    flags, clock = tuple(flags), world.clock(now)
    for sms in world.all():
        if sms.visible > now or sms.kind not in ("", UNREADABLE) or not listed(sms, world.switches, clock):
            continue
        key = message_key(f"{sms.provider}/{accounts[sms.provider]}", sms.id)
        if any(f[:2] == (sms.provider, sms.stream) and any(f.since <= at < f.until for at in (sms.created, sms.printed)) for f in flags):
            said.add(key)
        if sms.kind == UNREADABLE:
            unread.add(key)
            continue
        expected.add(key)
        life = sorted(lives.get(key, ()), key=lambda event: event.revision)
        newest = [event.value["status"] for event in life if event.of_status][-1:]
        if not sms.inbound:
            due.add(key)
            if newest != [status_of(sms, sms.status(clock))]:
                behind.add(key)
        for fault in faults(sms, life, world.switches, clock, plain=plain) if created.get(key) else ():
            wrong[fault].add(key)
    missing = {key for key in expected if not created.get(key)} | (unread - dead)
    numbered = {key for key, life in lives.items() if sorted(e.revision for e in life) == list(range(1, len(life) + 1))}
    doubled = (dead - unread) | {key for key, count in created.items() if count > 1} | {id_ for id_, count in ids.items() if count > 1}
    return Verdict(
        messages_expected=len(expected),
        messages_published=len(expected - missing),
        statuses_expected=len(due),
        statuses_published=len(due - behind),
        missing=sorted(missing - said),
        flagged=sorted((missing | wrong[STALE]) & said),
        stale=sorted((wrong[STALE] - said) | wrong[UNTRUE]),
        duplicates=sorted(doubled | wrong[DOUBLED] | (lives.keys() - expected)),
        out_of_order=sorted((lives.keys() - numbered) | wrong[DISORDER] | _falling(read)),
    )


def _falling(read: dict[tuple[str, str], list[int]]) -> set[str]:
    """The keys whose revisions do not rise on each topic, in the order in which they were read."""
    return {key for (_, key), revisions in read.items() if any(sooner >= later for sooner, later in pairwise(revisions))}
