"""A lost state topic, or a lost part of it, made again from what was published.

The public topics tell of each message its last revision, its status and its times, and so does
the topic of latest messages, where there is one, of those whose events retention has removed; that is
enough to go on without publishing anything twice. What they do not tell is kept open: contents
are compared again only after the next listing, so a change of content that happened while there
was no state is adopted without an event; dead letters whose bytes were cut or redacted, and
that are still listed, are published again. Each message costs about 500 bytes of memory while
this runs.

Everything is checked and read before anything is written. Then each lost shard is marked, and
only its last transaction takes the mark away: until then no worker goes on from it. The same
records are written whenever it is run again, so it may be killed at any moment.
"""

from __future__ import annotations

import secrets
import sys
from typing import Any

import msgspec
from msgspec import Struct

from ..clock import SystemClock
from ..config.load import Config, load
from ..errors import Refused, WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import DEAD_LETTERS, LATEST, STATE
from ..kafka.public_topics import Published, Stretch, read, stretches
from ..model import SECOND, Instant, Message
from ..providers.registry import provider_of
from ..publishing.message_state import DeadMark, MessageState, digest, stream_tag
from ..publishing.state_records import META_KEY, Meta, dead_key, encode_state, message_state_key, side_query_key
from ..times import parse_rfc3339
from . import fill_latest
from .arguments import ConfigPath, Flag
from .audit_rules import EDGE
from .process import complete
from .state_topic import Batches, Say, nobody, own_metas

NO_RULES = 0
"""Of fingerprints that nobody took: they are like no others."""

FAR = 10_000
"""Added to the revision of a message whose newest events a topic may have lost: more events than any message has."""

NAMED = "rebuilt"
"""What a stream's name is kept under, so that its messages can be told from others' before it is polled again."""


def command(*, config: ConfigPath, latest: Flag = False) -> int:
    """Make a lost state topic again from the public topics, so that nothing is published twice.

    Everything is checked before anything is written. Killed at any moment, it is simply run again; until it has ended, no worker starts.
    Ends with 3 where workers are running, or where nothing is lost.

    Example: poller rebuild --config poller.yaml

    Example: poller rebuild --config poller.yaml --latest

    Parameters
    ----------
    latest
        Leave the state as it is, and fill the topic of kafka.topics.latest with the messages whose events are older than the topic.

    """
    loaded = load(config)
    return complete(fill_latest.run(loaded) if latest else _rebuild(loaded))


async def _rebuild(config: Config) -> int:
    silence_fenced_futures()
    found = await rebuild(
        Kafka(connection_of(config)), replication_factor=config.kafka.replication_factor, say=lambda what: print(what, file=sys.stderr)
    )
    print(f"{found} messages are known again")
    return 0


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
    published: Instant = 0
    """When its newest event was."""

    def learn(self, event: dict[str, Any], published: Instant) -> None:
        """One event; the highest revision has the last word on the status."""
        times = {name: _instant(event, name) for name in ("created_at", "scheduled_at", "received_at")}
        self.stamp = max(self.stamp, provider_of(event["provider"]).change_stamp(_as_far_as_told(event)) or 0)
        self.position = max(self.position, times["created_at"], times["scheduled_at"], times["received_at"])
        self.published = max(self.published, published)
        if event["revision"] > self.revision:
            self.revision, self.status, self.final = event["revision"], event["status"], event.get("final", False)
            self.raw_status = event.get("provider_status")


class History(Struct):
    """What all the public topics tell."""

    messages: dict[str, Told] = {}
    dead: dict[str, list[tuple[bytes, DeadMark]]] = {}
    """The marks of dead letters, by account."""
    sequences: dict[int, int] = {}
    """The newest transaction of each shard that ever was."""
    cut: Instant | None = None
    """The time before which a topic may have lost events."""
    strangers: int = 0
    """Records that poller did not write."""

    def learn(self, event: Published) -> None:
        """One record."""
        try:
            shard, number = int(event.headers["ce_pollershard"]), int(event.headers["ce_pollertxn"])
            if event.topic == DEAD_LETTERS:
                self._dead_letter(event)
            else:
                value = msgspec.json.decode(event.value)
                account = f"{value['provider']}/{value['account']}"
                self.messages.setdefault(event.key, Told(value["stream"], account)).learn(value, event.time)
        except (KeyError, ValueError, TypeError):
            self.strangers += 1
            return
        self.sequences[shard] = max(self.sequences.get(shard, 0), number)

    def _dead_letter(self, event: Published) -> None:
        """Its mark, where the bytes are those of the row: not of one that was cut or redacted."""
        account = event.headers["ce_source"].removeprefix("/poller/")
        key = dead_key(account, event.value)
        self.dead.setdefault(account, []).append((key, DeadMark(stream_tag(event.headers.get("ce_subject", "")), event.time)))

    def revision(self, message: Told) -> int:
        """Above every revision of the message that may ever have been published."""
        return message.revision + (FAR if self.cut is not None and message.published <= self.cut + EDGE else 0)

    def shards(self, count: int) -> set[int]:
        """The shards, of ``count``, that have published, or whose accounts have."""
        accounts = {message.account for message in self.messages.values()} | self.dead.keys()
        return {shard_of(account, count) for account in accounts} | {shard for shard in self.sequences if shard < count}


async def rebuild(kafka: Kafka, *, replication_factor: int | None, say: Say) -> int:
    """Fill every lost shard of the state topic; returns how many messages were found.

    Raises WrongState before anything is written; Unavailable, Refused.
    """
    await nobody(kafka)
    held = await own_metas(kafka)
    if not any(map(_lost, held)):
        raise WrongState("the state topic is not empty", fix="nothing needs to be rebuilt; poller run goes on from it")
    for shard, meta in enumerate(held):
        if _lost(meta):
            await (await kafka.open_and_fence(shard)).close()
    history = await _read(kafka, say)
    published = history.shards(len(held))
    lost = [shard for shard, meta in enumerate(held) if (meta is not None and meta.rebuilding) or (meta is None and shard in published)]
    if not lost:
        raise WrongState("every shard that has published has its state", fix="nothing needs to be rebuilt; poller run goes on from it")
    await nobody(kafka)
    if (await topics.inspect(kafka)).get(kafka.connection.topics[STATE]) is None:
        await topics.create(kafka, (STATE,), partitions=len(held), replication_factor=replication_factor)
    for shard in lost:
        await _write(kafka, shard, History(sequences=history.sequences), rebuilding=True)
    found = 0
    for shard in lost:
        found += await _write(kafka, shard, history, rebuilding=False)
        say(f"shard {shard} is written")
    return found


def _lost(meta: Meta | None) -> bool:
    return meta is None or meta.rebuilding


async def _read(kafka: Kafka, say: Say) -> History:
    """Everything that the public topics tell. Raises Refused where an open transaction hides their ends."""
    history, found = History(messages={}, dead={}, sequences={}), await stretches(kafka, None)
    if any(stretch.open for stretch in found):
        raise Refused(
            "a transaction of another program is open on a public topic", fix="end it, or wait for its timeout, and run this again"
        )
    for stretch in found:
        _cut(history, stretch, kafka, say)
        async for event in read(kafka, stretch):
            history.learn(event)
        say(f"{kafka.connection.topics[stretch.role]} is read: {len(history.messages)} messages so far")
    if history.strangers:
        say(f"note: {history.strangers} records were not written by poller and are left out")
    return history


def _cut(history: History, stretch: Stretch, kafka: Kafka, say: Say) -> None:
    """A topic of messages or statuses that lost its beginning: which revisions it held is not known."""
    if stretch.edge is None or stretch.role in (DEAD_LETTERS, LATEST):
        return
    history.cut = max(history.cut or 0, stretch.edge)
    say(
        f"note: {kafka.connection.topics[stretch.role]} no longer holds its beginning; messages that are wholly lost are not known, and "
        f"the next revision of those that were last published before that is {FAR} higher"
    )


async def _write(kafka: Kafka, shard: int, history: History, *, rebuilding: bool) -> int:
    """A shard's records, its meta record last; how many messages. The first call of a shard writes the mark alone."""
    shards, sequences = kafka.connection.shards, history.sequences
    meta = Meta(
        group=kafka.connection.group,
        shards=shards,
        nonce=secrets.token_hex(8),
        key=secrets.token_bytes(32),
        clock=1,
        sequence=sequences.get(shard, 0),
        retired={number: last for number, last in sequences.items() if number >= shards} if shard == 0 else {},
        rebuilding=rebuilding,
        rebuilt=SystemClock().now(),
    )
    own = {key: message for key, message in history.messages.items() if shard_of(message.account, shards) == shard}
    writer = Batches(await kafka.open_and_fence(shard), shard)
    try:
        for stream in sorted({message.stream for message in own.values()}):
            await writer.add(side_query_key(stream, NAMED), encode_state({}))
        for key, message in own.items():
            await writer.add(message_state_key(digest(key)), encode_state(_state_of(message, history.revision(message))))
        for account, marks in history.dead.items():
            for key, mark in marks if shard_of(account, shards) == shard else ():
                await writer.add(key, encode_state(mark))
        await writer.add(META_KEY, encode_state(meta))
        await writer.flush()
    finally:
        await writer.close()
    return len(own)


def _state_of(message: Told, revision: int) -> MessageState:
    return MessageState(
        revision=revision,
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
    return Message(
        message_id=event["message_id"],
        status=event["status"],
        final=bool(event.get("final")),
        channel=event.get("channel", "unknown"),
        direction=event.get("direction", "unknown"),
        created_at=event.get("created_at", ""),
        **times,
    )


def _instant(event: dict[str, Any], name: str) -> Instant:
    found = parse_rfc3339(event.get(name))
    return found.instant if found is not None else 0
