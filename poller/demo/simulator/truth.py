"""What the events of one message must say, made of the simulated message alone: not a word of it comes from the adapters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from ...model import CONTENT_FIELDS, STATUS_FIELDS, Instant
from .shelf import Sms
from .switches import Switches
from .world import FONE, HEYMARKET, OURS, STUUT

STATUSES = {
    STUUT: {"draft": "draft", "pending": "queued", "sent": "sent", "delivered": "delivered", "undelivered": "undelivered", "failed": "failed"},
    HEYMARKET: {"pending": "queued", "sent": "sent", "delivered": "delivered", "seen": "read", "failed": "failed"},
    FONE: {"Processing": "queued", "Submitted": "sent", "Delivered": "delivered", "Failed": "failed"},
}  # fmt: skip
"""The vendors' words as ours, of what is sent."""

ENDS = frozenset({"delivered", "read", "failed", "undelivered", "received"})
STAMPED = {STUUT: ("sent", "delivered"), FONE: ("Submitted", "Delivered"), HEYMARKET: ("", "")}
"""The statuses whose times are printed as those of sending and delivery."""

UNTRUE, STALE, DOUBLED, DISORDER = "untrue", "stale", "duplicates", "out_of_order"
"""Says what never was so; what is no longer so; nothing new; comes where it cannot come."""

HIDDEN = ("text", "from", "to", "provider_data")
"""What privacy may keep back."""


class Published(NamedTuple):
    """One event as a reader got it."""

    topic: str
    key: str
    id: str
    type: str
    revision: int
    value: dict[str, Any]
    headers: dict[str, str] = {}

    @property
    def of_status(self) -> bool:
        """Whether it tells of a status only."""
        return self.type.startswith("sms.message.status-changed")


def status_of(sms: Sms, word: str) -> str:
    """The vendor's word as ours."""
    return "received" if sms.inbound else STATUSES[sms.provider][word]


def faults(sms: Sms, events: list[Published], switches: Switches, at: Instant, *, plain: bool = True) -> set[str]:
    """What is wrong with a message's events, which come by revision, when the provider's time is ``at``; ``plain`` without privacy.

    Each must tell of its message, say something new, and name what it changed. Statuses come as they
    did at the provider, none twice, none after a later one. The last says what the provider shows.
    """
    statuses = [_fields(event.value, STATUS_FIELDS) for event in events]
    fulls = [(place, _fields(event.value, CONTENT_FIELDS)) for place, event in enumerate(events) if not event.of_status]
    found = set[str]()
    if not all(_is_about(sms, event.value) for event in events) or not all(
        _true(sms, switches, contents, plain=plain) for _, contents in fulls
    ):
        found.add(UNTRUE)
    if statuses[-1:] != [_standing(sms, switches, at)] or not fulls or (plain and not _current(sms, fulls[-1][1], at)):
        found.add(STALE)
    if not _one_after_another(sms, events, statuses):
        found.add(DISORDER)
    for (_, before), (place, after) in pairwise(fulls):
        changed = sorted([*_differing(before, after), *_differing(statuses[place - 1], statuses[place])])
        if changed != events[place].value.get("changed"):
            found.add(UNTRUE if changed else DOUBLED)
    return found


def _fields(value: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some of an event's, times as instants."""
    return {name: _instant(value.get(name)) if name.endswith("_at") else value.get(name) for name in names}


def _instant(text: str | None) -> Instant | None:
    """RFC 3339 in microseconds since the epoch."""
    return None if text is None else (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in after.items() if value != before[name]]


def _is_about(sms: Sms, value: dict[str, Any]) -> bool:
    said = value["provider"], value["message_id"], value["stream"].rpartition("/")[2], value["direction"]
    return said == (sms.provider, sms.id, sms.stream, "inbound" if sms.inbound else "outbound")


def _true(sms: Sms, switches: Switches, contents: dict[str, Any], *, plain: bool) -> bool:
    """Whether contents are what they always were; the text one of those that it had."""
    ours, unit = OURS.get(sms.provider), switches.unit if sms.provider == HEYMARKET else 1
    sender, receiver = (sms.other, ours) if sms.inbound else (ours, sms.other)
    right = {
        "channel": "sms",
        "from": sender,
        "to": receiver and [receiver],
        "media": None,
        "created_at": sms.printed // unit * unit,
        "scheduled_at": sms.scheduled if sms.provider == FONE else None,
        "conversation_id": str(sms.conversation) if sms.provider == HEYMARKET and not switches.sparse else None,
        "segments": 1 if sms.provider == FONE and not sms.inbound else None,
        "automated": False if sms.provider == STUUT else None,
    }
    seen = contents["text"] in sms.texts or not plain
    return seen and all(contents[name] == value for name, value in right.items() if plain or name not in HIDDEN)


def _current(sms: Sms, contents: dict[str, Any], at: Instant) -> bool:
    """Whether what changes of the contents is what the provider shows now."""
    classified = bool((contents["provider_data"] or {}).get("classifications"))
    return (contents["text"], classified) == (sms.text_at(at), sms.classified is not None and sms.classified <= at)


def _standing(sms: Sms, switches: Switches, at: Instant) -> dict[str, Any]:
    """The status fields that the provider shows now."""
    word, (sent, delivered) = sms.status(at), STAMPED[sms.provider]
    status = status_of(sms, word)
    return {
        "status": status,
        "provider_status": word,
        "final": status in ENDS or (word == "Submitted" and not sms.receipt),
        "sent_at": sms.when(sent, at),
        "delivered_at": sms.when(delivered, at),
        "received_at": sms.received if sms.provider == FONE and sms.inbound and switches.filter == "received" else None,
        "error": None,
    }


def _one_after_another(sms: Sms, events: list[Published], statuses: list[dict[str, Any]]) -> bool:
    """Whether statuses came in the order of the message's life, and each event of one says what was before."""
    told = [place for place, event in enumerate(events) if event.of_status]
    if told[:1] != ([] if sms.inbound else [1]):
        return False
    for place in told:
        before, now = statuses[place - 1], statuses[place]
        previous = None if place == 1 else before["status"]
        if events[place].value.get("previous_status") != previous or (before["status"] == now["status"]) != (place == 1):
            return False
    moves = [place for place in range(1, len(events)) if statuses[place]["status"] != statuses[place - 1]["status"]]
    life = [status_of(sms, word) for _, word in sms.steps]
    places = [life.index(statuses[place]["status"]) if statuses[place]["status"] in life else -1 for place in (0, *moves)]
    return set(moves) <= set(told) and all(sooner < later for sooner, later in pairwise([-1, *places]))
