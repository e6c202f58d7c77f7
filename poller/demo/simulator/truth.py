"""What the events of one message must say, made of the simulated message alone: not a word of it comes from the adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from ...model import CONTENT_FIELDS, STATUS_FIELDS, Instant
from .profiles import FONE, HEYMARKET, PLIVO, PROFILES, STUUT, TELNYX, TWILIO
from .shelf import Sms
from .switches import Switches

STATUSES = {
    STUUT: {"draft": "draft", "pending": "queued", "sent": "sent", "delivered": "delivered", "undelivered": "undelivered", "failed": "failed"},
    HEYMARKET: {"pending": "queued", "sent": "sent", "delivered": "delivered", "seen": "read", "failed": "failed"},
    FONE: {"Processing": "queued", "Submitted": "sent", "Delivered": "delivered", "Failed": "failed"},
    TWILIO: {
        "accepted": "queued", "scheduled": "scheduled", "queued": "queued", "sent": "sent", "delivered": "delivered", "read": "read",
        "undelivered": "undelivered", "failed": "failed", "canceled": "canceled",
    },
    TELNYX: {"": "sent", "dlr_timeout": "sent", "delivered": "delivered", "gw_reject": "failed"},
    PLIVO: {"queued": "queued", "sent": "sent", "delivered": "delivered", "undelivered": "undelivered", "rejected": "failed"},
}  # fmt: skip
"""The vendors' words as ours, of what is sent. A Telnyx record without a status has a time of sending."""

ENDS = frozenset({"delivered", "read", "failed", "undelivered", "received", "canceled"})
"""Statuses after which nothing follows."""

STAMPED = {
    STUUT: ("sent", "delivered"),
    FONE: ("Submitted", "Delivered"),
    HEYMARKET: (None, None),
    TWILIO: ("sent", None),
    TELNYX: ("", "delivered"),
    PLIVO: ("sent", None),
}
"""The statuses whose times are printed as those of sending and delivery."""

ERRORS = {
    TWILIO: (("failed", "undelivered"), {"code": "30003", "message": "Unreachable destination handset"}),
    TELNYX: (("gw_reject",), {"code": "40002"}),
    PLIVO: (("rejected", "undelivered"), {"code": "110", "message": "Message unroutable"}),
}
"""The statuses that come with an error, and the error."""

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
    """Some of an event's, times as instants; a price comes with any event, and is no change."""
    found = {name: _instant(value.get(name)) if name.endswith("_at") else value.get(name) for name in names}
    data = found.get("provider_data")
    if isinstance(data, dict):
        found["provider_data"] = {name: each for name, each in data.items() if name != "price"} or None
    return found


def _instant(text: str | None) -> Instant | None:
    """RFC 3339 in microseconds since the epoch."""
    return None if text is None else (datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, value in after.items() if value != before[name]]


def _is_about(sms: Sms, value: dict[str, Any]) -> bool:
    said = value["provider"], value["message_id"], value["stream"].rpartition("/")[2], value["direction"]
    return said == (sms.provider, sms.id, sms.stream, "inbound" if sms.inbound else "outbound")


def listed(sms: Sms, switches: Switches, at: Instant) -> bool:
    """Whether the vendor lists the message at all, once it is visible: Telnyx may list only what has a status."""
    return sms.provider != TELNYX or switches.unfinished == "null" or bool(sms.status(at))


def _true(sms: Sms, switches: Switches, contents: dict[str, Any], *, plain: bool) -> bool:
    """Whether contents are what they always were; the text one of those that it had."""
    ours = PROFILES[sms.provider].ours
    sender, receiver = (sms.other, ours) if sms.inbound else (ours, sms.other)
    right = dict.fromkeys(("media", "scheduled_at", "conversation_id", "segments", "automated"))
    right |= {"channel": sms.channel, "from": sender, "to": receiver and [receiver], "created_at": sms.printed}
    right |= _CONTENTS[sms.provider](sms, switches)
    seen = contents["text"] in _texts(sms) or not plain
    return seen and all(contents[name] == value for name, value in right.items() if plain or name not in HIDDEN)


_CONTENTS: dict[str, Callable[[Sms, Switches], dict[str, Any]]] = {
    STUUT: lambda sms, switches: {"automated": False},
    HEYMARKET: lambda sms, switches: {
        "created_at": sms.printed // switches.unit * switches.unit,
        "conversation_id": None if switches.sparse else str(sms.conversation),
    },
    FONE: lambda sms, switches: {"scheduled_at": sms.scheduled, "segments": None if sms.inbound else 1},
    TWILIO: lambda sms, switches: {"segments": 1, "media": [_files(sms)] if sms.media else None},
    TELNYX: lambda sms, switches: {"segments": 1},
    PLIVO: lambda sms, switches: {"segments": 1},
}
"""What a vendor's rows say of a message beside what all say."""


def _files(sms: Sms) -> dict[str, Any]:
    return {"url": f"/2010-04-01/Accounts/{sms.stream}/Messages/{sms.id}/Media.json", "count": sms.media}


def _texts(sms: Sms) -> set[str | None]:
    """All texts that it ever had; Telnyx and Plivo list none."""
    return {None} if sms.provider in (TELNYX, PLIVO) else {text or None for text in sms.texts}


def _current(sms: Sms, contents: dict[str, Any], at: Instant) -> bool:
    """Whether what changes of the contents is what the provider shows now."""
    classified = bool((contents["provider_data"] or {}).get("classifications"))
    text = None if sms.provider in (TELNYX, PLIVO) else sms.text_at(at) or None
    return (contents["text"], classified) == (text, sms.classified is not None and sms.classified <= at)


def _standing(sms: Sms, switches: Switches, at: Instant) -> dict[str, Any]:
    """The status fields that the provider shows now."""
    word, (sent, delivered) = sms.status(at), STAMPED[sms.provider]
    status = status_of(sms, word)
    failing, error = ERRORS.get(sms.provider, ((), None))
    outbound = not sms.inbound or sms.provider == STUUT
    return {
        "status": status,
        "provider_status": (word.upper() if switches.shouted and sms.provider == TELNYX else word) or None,
        "final": status in ENDS or (word == "Submitted" and not sms.receipt) or word == "dlr_timeout",
        "sent_at": sms.when(sent, at) if outbound and sent is not None else None,
        "delivered_at": sms.when(delivered, at) if outbound and delivered is not None else None,
        "received_at": _received(sms, switches),
        "error": error if word in failing else None,
    }


def _received(sms: Sms, switches: Switches) -> Instant | None:
    """When it came in, where the vendor prints that."""
    if not sms.inbound:
        return None
    return {TWILIO: sms.created, FONE: sms.received if switches.filter == "received" else None}.get(sms.provider)


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
