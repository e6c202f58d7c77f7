"""Mutated rows of every provider, read twice: as usual rows, and tolerantly. Both readers must see the same message, byte for byte.

``make fuzz`` reads 200,000 rows of each provider, the suite some thousands. The rows are those of the case files with some of
their members changed, and now and then some of their bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module
from typing import Any

import msgspec

from poller.model import BadRow, Observation, Row
from poller.providers.contract import Skipped
from poller.providers.registry import provider_of
from tests.lab.fuzz import corpus, mutate

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 10**6, 2**53, 2**63, 2**64, 10**30, 0.0, 0.5, 1e300, -0.0, "", " ", "0", "1", "000", "Ä", "😀", "\0", "x" * 600,
    [], {}, [None], [""], ["a", "a"], [["b"]], [{"url": "x"}], {"id": 5}, {"id": "0"}, {"media": "/x"}, {"x": [1]}, "null", "true",
    "2026-09-21T14:13:20Z", "2026-09-21T14:13:20.100Z", "2026-09-21T14:13:20", "2026-09-21 14:13:20+02:00", "2026-09-21t14:13:20.120z", "0001-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z", "2026-13-21T14:13:20Z", "Mon, 21 Sep 2026 14:13:20 +0000", "Mon, 21 Sep 2026 14:13:20 -0000", "1790000000", 1790000000, 1790000000123,
    1790000000.5, "+14155550123", "14155550123", "+1 (415) 555-0123", "tel:+14155550123;ext=1", "whatsapp:+14155550123", "rcs:agent", "Parcel", "04155550123",
    "123", "+123", "+" + "1" * 20, "inbound", "outbound", "Inbound", "outbound-api", "outbound-reply", "transmit", "receive", "comment", "email", "sms", "MMS",
    "delivered", "Delivered", "sent", "received", "queued", "failed", "undelivered", "scheduled", "draft", "read", "unheard of", "USD", "-0.0075", "12",
)  # fmt: skip
"""What a member may hold instead."""


WAYS = ("inbound", "outbound", "Receive", "Transmit", "outbound-api")
"""The vendors' words for directions."""


def rows_of(provider: str) -> list[dict[str, Any]]:
    """The rows of the case files: every object with as many members as a message has."""
    found: list[dict[str, Any]] = []
    for body in corpus(provider):
        try:
            found += [each for each in _objects(json.loads(body)) if len(each) >= 5]
        except ValueError:
            continue
    return found


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(each)


def _holders(value: Any) -> list[Any]:
    """Every object and list within a value."""
    within = value.values() if isinstance(value, dict) else value
    return [value, *(held for each in within if isinstance(each, dict | list) for held in _holders(each))]


def mutated(rng: random.Random, rows: list[dict[str, Any]], words: list[str]) -> bytes:
    """A row that a vendor may print one day; ``words`` are its words for statuses."""
    row = deepcopy(rng.choice(rows))
    for name in row:
        if "stat" in name.lower() and rng.random() < 0.5:
            row[name] = rng.choice(words)
        if name.lower() in ("type", "direction", "message_direction") and rng.random() < 0.5:
            row[name] = rng.choice(WAYS)
    for _ in range(rng.randrange(4)):
        holder, other = rng.choice(_holders(row)), rng.choice(rows)
        name = rng.choice(list(other))
        if isinstance(holder, list):
            holder.insert(0, deepcopy(rng.choice(VALUES)))
        else:
            own = rng.choice(list(holder) or [name])
            match rng.randrange(6):
                case 0:
                    holder.pop(own, None)
                case 1:
                    holder[name] = deepcopy(other[name])
                case 2:
                    holder[own.upper() if rng.random() < 0.5 else own.capitalize()] = deepcopy(rng.choice(VALUES))
                case _:
                    holder[own] = deepcopy(rng.choice(VALUES))
    raw = json.dumps(row, ensure_ascii=rng.random() < 0.5).encode()
    match rng.randrange(20):
        case 0:
            return mutate(rng, [raw])
        case 1:
            name, value = rng.choice(list(row) or ["id"]), json.dumps(rng.choice(VALUES))
            return raw[:-1] + f',"{name}":{value}}}'.encode()
        case 2:
            return raw[:-1] + b',"deep":' + b"[" * 99 + b"]" * 99 + b"}"
        case _:
            return raw


def same(one: Observation | BadRow | Skipped, other: Observation | BadRow | Skipped) -> bool:
    """Whether two readings are equal, and the messages in them also byte for byte as they are published."""
    return one == other and (not isinstance(one, Observation) or not isinstance(other, Observation) or _bytes_of(one) == _bytes_of(other))


def _bytes_of(seen: Observation) -> bytes | None:
    try:
        return msgspec.json.encode(seen.message)
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return None


def fuzz_rows(provider: str, count: int, seed: int) -> dict[str, int]:
    """Read so many rows in both ways; how many were usual ones, and how many of them messages. Raises AssertionError where they differ."""
    rng, made, rows = random.Random(seed), provider_of(provider), rows_of(provider)
    usual, message = (import_module(f"poller.providers.{provider}.{name}") for name in ("usual", "message"))
    words = [*message.STATUSES, *map(str.upper, message.STATUSES)]
    found = {"rows": count, "usual": 0, "messages": 0}
    for _ in range(count):
        row = Row(rng.choice(("1", "MM1", "SM2")), 0, mutated(rng, rows, words))
        tolerant = made.read_any(row)
        found["messages"] += isinstance(tolerant, Observation)
        fast = usual.usual(row)
        found["usual"] += fast is not None
        assert fast is None or same(fast, tolerant), (row.raw, fast, tolerant)
    return found
