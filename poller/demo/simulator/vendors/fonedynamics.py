"""fonedynamics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....model import SECOND, Instant
from ..shelf import Sms
from ..world import FONE, OURS


def _fone_row(sms: Sms, now: Instant, received: bool, texts: bool) -> dict[str, Any]:
    stamp: Callable[[int], Any] = str if texts else int
    ours = OURS[FONE]
    row: dict[str, Any] = {
        "MessageSid": sms.id, "From": sms.other if sms.inbound else ours, "To": ours if sms.inbound else sms.other,
        "Text": sms.text_at(now), "DeliveryReceipt": sms.receipt, "NumSegments": 0 if sms.inbound else 1, "Status": sms.status(now),
        "Direction": "Receive" if sms.inbound else "Transmit", "Scheduled": stamp(sms.scheduled // SECOND), "Created": stamp(sms.created // SECOND),
    }  # fmt: skip
    if received and sms.inbound:
        row["Received"] = stamp(sms.received // SECOND)
    for name in ("Submitted", "Delivered"):
        at = sms.when(name, now)
        if at is not None:
            row[name] = stamp(at // SECOND)
    return row
