"""Events as they are published, for people: numbers masked, texts left out, unless asked for as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from ..config.load import Config
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import quiet
from ..kafka.public_topics import follow
from ..signals import until_signal


def line_of(headers: dict[str, str], key: str, value: bytes) -> str:
    """One event in one line, without anything private."""
    kind = headers.get("ce_type", "?").removeprefix("sms.message.").removesuffix(".v1")
    if kind == "dead-letter":
        return f"{headers.get('ce_time')} {kind} {headers.get('ce_subject')} {headers.get('poller_reason')} {headers.get('poller_field')}"
    event: dict[str, Any] = msgspec.json.decode(value)
    numbers = " → ".join(filter(None, [_masked(event.get("from")), ", ".join(map(_masked, event.get("to", ())))]))
    status = " → ".join(filter(None, [event.get("previous_status"), event.get("status")]))
    changed = ",".join(event.get("changed", ()))
    return " ".join(filter(None, [headers.get("ce_time"), kind, key, f"r{event.get('revision')}", status, changed, numbers]))


def json_of(headers: dict[str, str], key: str, value: bytes) -> str:
    """One event whole, as one JSON line."""
    try:
        parsed = msgspec.json.decode(value)
    except msgspec.DecodeError:
        parsed = value.decode("utf-8", "replace")
    return msgspec.json.encode({"key": key, "headers": headers, "value": parsed}).decode()


def _masked(number: str | None) -> str:
    return f"…{number[-2:]}" if number else ""


async def tail(config: Config, role: str, *, from_beginning: bool, json: bool) -> None:
    """Print events until interrupted. Raises Unavailable, Refused."""
    quiet()
    kafka = Kafka(connection_of(config))
    form = json_of if json else line_of
    async with until_signal():
        async for event in follow(kafka, role, from_beginning=from_beginning):
            print(form(event.headers, event.key, event.value), flush=True)
