"""What the topic of latest messages must hold, made of the events alone by a reader's own rules."""

from __future__ import annotations

from typing import Any

from poller.demo.simulator.truth import Published

STATUS_FIELDS = (
    "status",
    "provider_status",
    "final",
    "sent_at",
    "delivered_at",
    "received_at",
    "error",
    "revision",
    "observed_at",
    "stream",
)
"""What a status event tells of the whole message."""

UNTOLD = ("updated_at", "changed", "media")
"""What no status event tells of, or only the newest full event: stamps, names of changes, and the signatures of URLs."""


def split(records: list[Published]) -> tuple[list[Published], list[Published]]:
    """Events, and latest messages, each in their order."""
    latest = [each for each in records if each.type == "sms.message.latest.v1"]
    return [each for each in records if each.type != "sms.message.latest.v1"], latest


def newest(events: list[Published]) -> dict[str, dict[str, Any]]:
    """The whole message of every key after its newest event."""
    found: dict[str, dict[str, Any]] = {}
    for event in sorted(events, key=lambda each: each.revision):
        if event.of_status:
            told = {name: event.value.get(name) for name in STATUS_FIELDS}
            found[event.key] = found[event.key] | told
        elif "dead-letter" not in event.type:
            found[event.key] = dict(event.value)
    return {key: _compared(value) for key, value in found.items()}


def wrong(events: list[Published], latest: list[Published]) -> list[str]:
    """Keys whose latest message goes back, comes twice, or is not what the events say."""
    held: dict[str, Published] = {}
    faults: list[str] = []
    for record in latest:
        before = held.get(record.key)
        if before is not None and before.revision >= record.revision:
            faults.append(f"{record.key}: {before.revision} before {record.revision}")
        held[record.key] = record
    want = newest(events)
    faults += [f"{key}: not the newest" for key in want if key not in held or _compared(held[key].value) != want[key]]
    return faults + [f"{key}: of no event" for key in held.keys() - want.keys()]


def _compared(value: dict[str, Any]) -> dict[str, Any]:
    told = {name: each for name, each in value.items() if each is not None and name not in UNTOLD}
    data = {name: each for name, each in told.pop("provider_data", {}).items() if name != "price"}
    return told | ({"provider_data": data} if data else {})
