"""event_types."""

from __future__ import annotations

CREATED, UPDATED = "sms.message.created.v1", "sms.message.updated.v1"


STATUS_CHANGED, DEAD_LETTER = "sms.message.status-changed.v1", "sms.message.dead-letter.v1"


TYPES = {"created": CREATED, "updated": UPDATED, "status": STATUS_CHANGED, "dead": DEAD_LETTER}
