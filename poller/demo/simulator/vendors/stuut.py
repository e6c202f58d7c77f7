"""stuut."""

from __future__ import annotations

from functools import partial
from typing import Any

from ....model import Instant
from ..shelf import Sms
from ..world import OURS, STUUT
from .answers import _time


def _stuut_row(sms: Sms, now: Instant, zone: str) -> dict[str, Any]:
    ours, classified = OURS[STUUT], sms.classified is not None and sms.classified <= now
    time = partial(_time, zone=zone)
    return {
        "created_at": time(sms.created), "modified_at": time(sms.changed(now)) if sms.changed(now) != sms.created else None,
        "id": sms.id, "body": sms.text_at(now), "direction": "inbound" if sms.inbound else "outbound", "status": sms.status(now),
        "from_number": "tel:" + sms.other if sms.inbound else ours, "to_number": ours if sms.inbound else sms.other,
        "is_automated": False, "sent_at": time(sms.when("sent", now)), "delivered_at": time(sms.when("delivered", now)), "object": "sms_message",
        "classifications": [{"id": f"cls_{sms.id}", "classification": "payment_inquiry", "language": "en", "object": "classification"}] if classified else [],
    }  # fmt: skip
