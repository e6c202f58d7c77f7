"""The types of the events that are published, and the identity of their schemas."""

from __future__ import annotations

CREATED, UPDATED = "sms.message.created.v1", "sms.message.updated.v1"
"""``ce_type`` of the events that hold the whole message: it is new, or its contents changed."""

STATUS_CHANGED, DEAD_LETTER = "sms.message.status-changed.v1", "sms.message.dead-letter.v1"
"""``ce_type`` of a new status, and of a row that cannot be normalized."""

TYPES = {"created": CREATED, "updated": UPDATED, "status": STATUS_CHANGED, "dead": DEAD_LETTER}
"""Event type by the kind of an event."""

LATEST = "sms.message.latest.v1"
"""Not an event: a message as its newest event left it. It is published with that event, and counted as none."""


def dataschema(event_type: str) -> str:
    """The identity of an event type's schema: ``ce_dataschema``, and the ``$id`` of the schema."""
    return f"urn:poller:{event_type}"
