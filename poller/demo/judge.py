"""What was published, held against what the simulated providers really had.

A *message* is right when it was created exactly once and its events are numbered without gap
or repetition. A *status* is counted for every message that is not inbound: it is right when the
newest status that the provider showed is the newest one that was published, on the status topic.
A row that cannot be read is right when it is a dead letter.
Contents are right when the newest event of a message has the text, direction and classification that the provider shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..codec import DEAD_LETTER
from ..diff import message_key
from ..model import Instant
from ..providers import fonedynamics, heymarket, stuut
from .shelf import UNREADABLE, Sms
from .world import FONE, HEYMARKET, NEVER, STUUT, World


class Published(NamedTuple):
    """One event as a reader got it."""

    topic: str
    key: str
    id: str
    type: str
    revision: int
    value: dict[str, Any]
    headers: dict[str, str] = {}


class Verdict(NamedTuple):
    """The counts, and the keys behind the faults (for finding out why)."""

    messages_expected: int
    messages_published: int
    statuses_expected: int
    statuses_published: int
    missing: list[str]
    """Silently: nothing that was published or said tells of them."""
    flagged: list[str]
    """Missing too, but in a range that was called a possible gap, or of a stream that is known to be in trouble."""
    stale: list[str]
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


def judge(world: World, events: list[Published], *, accounts: dict[str, str], now: Instant, flags: Iterable[Flag] = ()) -> Verdict:
    """``accounts`` maps providers to account names; the world should be frozen."""
    created: Counter[str] = Counter(event.key for event in events if event.type.startswith("sms.message.created"))
    revisions: dict[str, list[int]] = {}
    newest: dict[str, tuple[int, str]] = {}
    contents: dict[str, tuple[int, dict[str, Any]]] = {}
    ids, dead = Counter(event.id for event in events), {event.key for event in events if event.type == DEAD_LETTER}
    events = [event for event in events if event.type != DEAD_LETTER]
    for event in events:
        revisions.setdefault(event.key, []).append(event.revision)
        if event.type.startswith("sms.message.status-changed"):
            newest[event.key] = max(newest.get(event.key, (0, "")), (event.revision, event.value["status"]))
        elif event.revision > contents.get(event.key, (0, {}))[0]:
            contents[event.key] = (event.revision, event.value)
    expected: dict[str, str | None] = {}
    said: set[str] = set()
    unread: set[str] = set()
    other: list[str] = []
    flags, clock = tuple(flags), world.clock(now)
    for sms in world.all():
        if sms.visible <= now and sms.kind in ("", UNREADABLE):
            key = message_key(f"{sms.provider}/{accounts[sms.provider]}", sms.id)
            if sms.kind == UNREADABLE:
                unread.add(key)
            else:
                expected[key] = None if sms.inbound else canonical(sms.provider, sms.status(clock))
            if key in contents and not _same(sms, contents[key][1], clock):
                other.append(key)
            if any(
                f[:2] == (sms.provider, sms.stream) and any(f.since <= at < f.until for at in (sms.created, sms.printed)) for f in flags
            ):
                said.add(key)
    due = {key: status for key, status in expected.items() if status is not None}
    stale = [key for key, status in due.items() if newest.get(key, (0, ""))[1] != status and key not in said]
    statuses_published = len(due) - len(stale)
    stale += [key for key in other if key not in said]
    missing = (expected.keys() - created.keys()) | (unread - dead)
    doubled = (dead - unread) | {key for key, count in created.items() if count > 1} | {id_ for id_, count in ids.items() if count > 1}
    return Verdict(
        messages_expected=len(expected),
        messages_published=len(created.keys() & expected.keys()),
        statuses_expected=len(due),
        statuses_published=statuses_published,
        missing=sorted(missing - said),
        flagged=sorted(missing & said),
        stale=sorted({key for key in stale if key in created}),
        duplicates=sorted(doubled | (revisions.keys() - expected.keys())),
        out_of_order=sorted(key for key, seen in revisions.items() if sorted(seen) != list(range(1, len(seen) + 1))),
    )


def _same(sms: Sms, value: dict[str, Any], clock: Instant) -> bool:
    """Whether text, direction and classification of the newest contents are what the provider shows; a text that privacy keeps back is not."""
    classified = bool((value.get("provider_data") or {}).get("classifications"))
    shown = sms.text, "inbound" if sms.inbound else "outbound", sms.classified is not None and sms.classified <= clock
    return (value.get("text", sms.text), value["direction"], classified) == shown


def canonical(provider: str, status: str) -> str:
    """The vendor's word as ours."""
    words = {STUUT: stuut.STATUSES, HEYMARKET: heymarket.STATUSES, FONE: fonedynamics.STATUSES}[provider]
    return words[status.lower() if provider == FONE else status]
