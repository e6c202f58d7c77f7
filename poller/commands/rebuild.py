"""A lost state topic, made again from what was published.

The public topics tell of each message its last revision, its status and its times; that is
enough to go on without publishing anything twice. What they do not tell is kept open: contents
are compared again only after the next listing, so a change of content that happened while there
was no state is adopted without an event; dead letters that are still listed are published again.
Each message costs about 500 bytes of memory while this runs.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from msgspec import Struct

from ..errors import Refused
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.partitioner import shard_of
from ..kafka.port import DEAD_LETTERS
from ..kafka.public_topics import read, stretches
from ..model import SECOND, Instant, Message
from ..providers.registry import provider_of
from ..publishing.message_state import MessageState, digest, stream_tag
from ..publishing.state_records import META_KEY, Meta, encode_state, seen_key
from ..times import parse_rfc3339
from .state_topic import Batches, Say, metas, nobody

NO_RULES = 0
"""Of fingerprints that nobody took: they are like no others."""


class Told(Struct):
    """What the topics tell of one message."""

    stream: str
    account: str
    revision: int = 0
    status: str = "unknown"
    raw_status: str | None = None
    final: bool = False
    stamp: Instant = 0
    position: Instant = 0

    def learn(self, event: dict[str, Any]) -> None:
        """One event; the highest revision has the last word on the status."""
        times = {name: _instant(event, name) for name in ("created_at", "scheduled_at", "received_at")}
        self.stamp = max(self.stamp, provider_of(event["provider"]).change_stamp(_as_far_as_told(event)) or 0)
        self.position = max(self.position, times["created_at"], times["scheduled_at"], times["received_at"])
        if event["revision"] > self.revision:
            self.revision, self.status, self.final = event["revision"], event["status"], event.get("final", False)
            self.raw_status = event.get("provider_status")


async def rebuild(kafka: Kafka, *, replication_factor: int | None, say: Say) -> int:
    """Fill an empty or missing state topic; returns how many messages were found. Raises Unavailable, Refused."""
    there = await metas(kafka)
    if there is not None and any(there):
        raise Refused("the state topic is not empty", fix="nothing needs to be rebuilt; poller run goes on from it")
    await nobody(kafka)
    told, sequences = await _told(kafka, say)
    await topics.replace_state(kafka, replication_factor)
    shards, group = kafka.connection.shards, kafka.connection.group
    for shard in range(shards):
        retired = {number: last for number, last in sequences.items() if number >= shards} if shard == 0 else {}
        meta = Meta(
            group, shards, secrets.token_hex(8), secrets.token_bytes(32), clock=1, sequence=sequences.get(shard, 0), retired=retired
        )
        writer = Batches(await kafka.open_and_fence(shard), shard)
        try:
            for key, message in told.items():
                if shard_of(message.account, shards) == shard:
                    await writer.add(seen_key(digest(key)), encode_state(_seen(message)))
            await writer.add(META_KEY, encode_state(meta))
            await writer.flush()
        finally:
            await writer.close()
    return len(told)


async def _told(kafka: Kafka, say: Say) -> tuple[dict[str, Told], dict[int, int]]:
    """Every message, and the last transaction of each shard."""
    told: dict[str, Told] = {}
    sequences: dict[int, int] = {}
    for stretch in await stretches(kafka, None):
        if stretch.edge is not None and stretch.role != DEAD_LETTERS:
            say(f"note: {kafka.connection.topics[stretch.role]} no longer holds its beginning; older messages are not known")
        async for event in read(kafka, stretch):
            shard = int(event.headers.get("ce_pollershard", 0))
            sequences[shard] = max(sequences.get(shard, 0), int(event.headers.get("ce_pollertxn", 0)))
            if event.topic != DEAD_LETTERS:
                value = msgspec.json.decode(event.value)
                account = f"{value['provider']}/{value['account']}"
                told.setdefault(event.key, Told(value["stream"], account)).learn(value)
        say(f"{kafka.connection.topics[stretch.role]} is read: {len(told)} messages so far")
    return told, sequences


def _seen(message: Told) -> MessageState:
    return MessageState(
        revision=message.revision,
        status=message.status,
        raw_status=message.raw_status,
        final=message.final,
        stamp=message.stamp,
        requested_at=0,
        position=message.position // SECOND,
        stream=stream_tag(message.stream),
        rules=NO_RULES,
        key=0,
        present=0,
        prints=b"",
    )


def _as_far_as_told(event: dict[str, Any]) -> Message:
    """The message of an event: of a status event, with the times that it has."""
    times: dict[str, Any] = {name: event.get(name) for name in ("updated_at", "sent_at", "delivered_at", "received_at", "scheduled_at")}
    return Message(message_id=event["message_id"], status=event["status"], created_at=event.get("created_at", ""), **times)


def _instant(event: dict[str, Any], name: str) -> Instant:
    found = parse_rfc3339(event.get(name))
    return found.instant if found is not None else 0
