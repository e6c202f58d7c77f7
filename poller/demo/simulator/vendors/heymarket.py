"""heymarket."""

from __future__ import annotations

from functools import partial
from typing import Any

from ....model import Instant
from ..shelf import UNREADABLE, Sms
from .answers import _time


def _heymarket_row(sms: Sms, now: Instant, unit: Instant, zone: str, sparse: bool) -> dict[str, Any]:
    number, time = sms.other.lstrip("+"), partial(_time, unit=unit, zone=zone)
    row = {
        "id": int(sms.id), "text": sms.text_at(now), "status": sms.status(now), "date": time(sms.printed), "updated": time(sms.changed(now)),
        "media": "", "flagged": False, "user": 0 if sms.inbound else 55,
    }  # fmt: skip
    if sparse:
        row |= {"target": number, "conversation": {}}
    else:
        row |= {"phone": number, "type": "inbound" if sms.inbound else "outbound"}
        row["conversation"] = {"id": sms.conversation, "inbox": 101, "target": number}
    return row | _NO_MESSAGE.get(sms.kind, {})


_NO_MESSAGE: dict[str, dict[str, Any]] = {"comment": {"private": True}, "email": {"channel": "email"}, UNREADABLE: {"date": "yesterday"}}
"""What makes of a Heymarket row something else."""
