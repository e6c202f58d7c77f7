"""One event in one line, for people: numbers masked, texts left out, how late it was. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from ..kafka.public_topics import Published
from ..model import SECOND, Instant
from ..times import format_rfc3339, parse_rfc3339

UNKNOWN = "?"
"""The type of a record that poller did not write."""

_COLOURS = {"created": "36", "updated": "33", "status-changed": "34", "dead-letter": "31"}
_STATUS_COLOURS = {"delivered": "32", "read": "32", "received": "32", "failed": "31", "undelivered": "31", "canceled": "31"}


def type_of(event: Published) -> str:
    """``created``, ``updated``, ``status-changed`` or ``dead-letter``; ``?`` for a record that poller did not write."""
    return printable(event.headers.get("ce_type", UNKNOWN).removeprefix("sms.message.").removesuffix(".v1"))


def line_of(event: Published, *, colours: bool = False) -> str:
    """The event in one line, without anything private. Of what poller did not write, only the key's place is said."""
    kind, headers = type_of(event), event.headers
    told = value_of(event)
    if kind == "dead-letter":
        what = [printable(headers.get(name, "")) for name in ("ce_subject", "poller_reason", "poller_field")]
    elif told is None:
        what = ["not written by poller"]
    else:
        what = [printable(event.key), f"r{told.get('revision')}", status_of(told, colours=colours), changed_of(told), numbers_of(told)]
    shown = f"\x1b[{_COLOURS[kind]}m{kind}\x1b[0m" if colours and kind in _COLOURS else kind
    return " ".join(filter(None, [format_rfc3339(event.time), shown, *what, delay_of(event)]))


def json_of(event: Published) -> str:
    """The event whole, as one JSON line: key, headers and value."""
    try:
        value = msgspec.json.decode(event.value)
    except msgspec.DecodeError:
        value = event.value.decode("utf-8", "replace")
    return msgspec.json.encode({"key": event.key, "headers": event.headers, "value": value}).decode()


def value_of(event: Published) -> dict[str, Any] | None:
    """The value of an event of a message; None for anything else."""
    try:
        value = msgspec.json.decode(event.value)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("revision"), int) else None


def status_of(told: dict[str, Any], *, colours: bool = False) -> str:
    """``sent → delivered``, or the one status there is."""
    words = [printable(str(told[name])) for name in ("previous_status", "status") if told.get(name)]
    if colours and words and words[-1] in _STATUS_COLOURS:
        words[-1] = f"\x1b[{_STATUS_COLOURS[words[-1]]}m{words[-1]}\x1b[0m"
    return " → ".join(words)


def changed_of(told: dict[str, Any]) -> str:
    """The names of the fields that changed."""
    changed = told.get("changed")
    return printable(",".join(map(str, changed))) if isinstance(changed, list) else ""


def numbers_of(told: dict[str, Any]) -> str:
    """Sender and receivers, two digits of each."""
    to = told.get("to")
    receivers = ", ".join(filter(None, map(masked, to))) if isinstance(to, list) else ""
    return " ⇒ ".join(filter(None, [masked(told.get("from")), receivers]))


def masked(number: object) -> str:
    """The last two digits of a number."""
    return f"…{printable(number[-2:])}" if isinstance(number, str) and number else ""


def delay_of(event: Published) -> str:
    """How long after it happened at the provider it was published, where the provider says when it happened."""
    happened = happened_at(event)
    return "" if happened is None else f"+{max(0, event.time - happened) / SECOND:.1f}s"


def happened_at(event: Published) -> Instant | None:
    """When it happened at the provider; None where the provider does not say."""
    found = parse_rfc3339(event.headers.get("ce_time"))
    return None if found is None else found.instant


def printable(text: str) -> str:
    """Without control characters: what a provider or a stranger wrote must not steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
