"""The state topic's partitions, looked at together and without their owners' help: for a start, and for commands.

One reader goes through all of them, so that a look at a thousand shards takes hardly longer than a look at one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from .connection import Clients
from .port import STATE
from .public_topics import places_of, records_of

LOOK_BACK = 5_000
"""Offsets read back from a partition's end to find a key that every transaction writes; all of it if that is not enough."""

Spans = dict[Any, tuple[int, int]]


async def _spans(kafka: Clients) -> Spans:
    """What each partition holds, up to its last stable offset."""
    places = await places_of(kafka, STATE)
    async with kafka.consumer() as consumer:
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return {place: (begins[place], ends[place]) for place in places}


async def newest_values(kafka: Clients, key: bytes) -> dict[int, bytes]:
    """The newest committed value of a key, of each shard that has one. Raises Unavailable, Refused."""
    spans, newest = await _spans(kafka), dict[int, bytes]()
    tails = {place: (max(begin, end - LOOK_BACK), end) for place, (begin, end) in spans.items()}
    heads = {place: (begin, tails[place][0]) for place, (begin, _) in spans.items()}
    for each in (tails, heads):
        left = {place: span for place, span in each.items() if place.partition not in newest}
        async with aclosing(records_of(kafka, left)) as records:
            async for place, record in records:
                if record.key == key and record.value is not None:
                    newest[place.partition] = record.value
    return newest


async def records(kafka: Clients) -> AsyncGenerator[Any, None]:
    """Every committed record that is there now, each partition in its order. Raises Unavailable, Refused."""
    async with aclosing(records_of(kafka, await _spans(kafka))) as found:
        async for _, record in found:
            yield record
