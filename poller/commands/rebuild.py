"""A lost state topic, or a lost part of it, made again from what was published.

The public topics tell of each message its last revision, its status and its times, and so does
the topic of latest messages, where there is one, of those whose events retention has removed; that is
enough to go on without publishing anything twice. What they do not tell is kept open: contents
are compared again only after the next listing, so a change of content that happened while there
was no state is adopted without an event; dead letters whose bytes were cut or redacted, and
that are still listed, are published again. Each message costs about 500 bytes of memory while
this runs.

A shard is lost where it has published and has no state, where the topics hold transactions that
its state does not know, or where its partition no longer begins where it did. What a lost shard
still holds stays, but for messages of which the topics know a later revision.

Everything is checked and read before anything is written. Then each lost shard is marked, and
only its last transaction takes the mark away: until then no worker goes on from it. It goes on
from what is there whenever it is run again, so it may be killed at any moment.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from msgspec.structs import replace

from ..clock import SystemClock
from ..config.load import Config, load
from ..errors import Refused, WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import DEAD_LETTERS, LATEST, STATE
from ..kafka.public_topics import Stretch, read, stretches
from ..model import SECOND
from ..publishing.message_state import DeadMark, MessageState, digest, stream_tag
from ..publishing.restore import begins_later
from ..publishing.state_records import META_KEY, Kind, Meta, decode_message_state, encode_state, message_state_key, side_query_key
from . import fill_latest
from .arguments import ConfigPath, Flag
from .history import FAR, History, Told
from .process import complete
from .state_topic import Batches, Say, nobody, own_metas

NO_RULES = 0
"""Of fingerprints that nobody took: they are like no others."""

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


async def rebuild(kafka: Kafka, *, replication_factor: int | None, say: Say) -> int:
    """Fill every lost shard of the state topic; returns how many messages were found.

    Raises WrongState before anything is written; Unavailable, Refused.
    """
    await nobody(kafka)
    for shard in range(len(await own_metas(kafka))):
        await (await kafka.open_and_fence(shard)).close()
    held, history = await own_metas(kafka), await _read(kafka, say)
    lost = {shard: meta for shard, meta in enumerate(held) if await _why_lost(kafka, shard, meta, history, say)}
    if not lost:
        raise WrongState("every shard that has published has its state", fix="nothing needs to be rebuilt; poller run goes on from it")
    await nobody(kafka)
    if (await topics.inspect(kafka)).get(kafka.connection.topics[STATE]) is None:
        await topics.create(kafka, (STATE,), partitions=len(held), replication_factor=replication_factor)
    marks = {shard: await _mark(kafka, shard, meta, history.sequences) for shard, meta in lost.items()}
    found = 0
    for shard, mark in marks.items():
        found += await _write(kafka, shard, mark, history)
        say(f"shard {shard} is written")
    return found


async def _why_lost(kafka: Kafka, shard: int, meta: Meta | None, history: History, say: Say) -> bool:
    """Whether a shard is lost, or a part of it, or was not made again to its end; and why is said."""
    known, published = 0 if meta is None else meta.sequence, history.sequences.get(shard, 0)
    if meta is None:
        why = "it has no state" if shard in history.shards(kafka.connection.shards) else ""
    elif meta.rebuilding:
        why = "it was not made again to its end"
    elif known < published:
        why = f"its state knows nothing of the transactions {known + 1} to {published}"
    else:
        why = "its state lost its beginning" if begins_later(meta, await kafka.ends(shard)) else ""
    if why:
        say(f"shard {shard} is made again: {why}")
    return bool(why)


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


async def _mark(kafka: Kafka, shard: int, meta: Meta | None, sequences: dict[int, int]) -> Meta:
    """A lost shard is marked before anything else of it is written, so that no worker goes on from it; the mark.

    What was known goes on: keys, and numbers of transactions, as far as the topics do not know later ones. No cache is of its nonce.
    """
    link = kafka.connection
    base = meta or Meta(group=link.group, shards=link.shards, nonce="", key=secrets.token_bytes(32))
    retired = {number: last for number, last in sequences.items() if number >= link.shards and last > base.retired.get(number, 0)}
    mark = replace(
        base,
        nonce=secrets.token_hex(8),
        clock=base.clock + 1,
        sequence=max(base.sequence, sequences.get(shard, 0)),
        size=base.size if base.sequence >= sequences.get(shard, 0) else 0,
        retired={**base.retired, **retired} if shard == 0 else base.retired,
        rebuilding=True,
        rebuilt=SystemClock().now(),
        begin=(await kafka.ends(shard)).begin,
    )
    await _written(kafka, shard, ((META_KEY, mark),))
    return mark


async def _write(kafka: Kafka, shard: int, mark: Meta, history: History) -> int:
    """What a marked shard does not hold of what was published, and last that it is whole; how many messages are its own."""
    shards, kept = kafka.connection.shards, await _kept(kafka, shard)
    own = {key: message for key, message in history.messages.items() if shard_of(message.account, shards) == shard}
    dead = [each for account, marks in history.dead.items() if shard_of(account, shards) == shard for each in marks]
    whole = replace(mark, nonce=secrets.token_hex(8), rebuilding=False)
    await _written(kafka, shard, chain(_missing(own, dead, history, kept), ((META_KEY, whole),)))
    return len(own)


def _missing(
    own: dict[str, Told], dead: list[tuple[bytes, DeadMark]], history: History, kept: dict[bytes, int]
) -> Iterator[tuple[bytes, Any]]:
    """The names of streams, messages and dead letters that a shard does not hold, or not as they were published last."""
    names = {side_query_key(message.stream, NAMED) for message in own.values()}
    yield from ((key, {}) for key in sorted(names - kept.keys()))
    for key, message in own.items():
        where, revision = message_state_key(digest(key)), history.revision(message)
        if kept.get(where, 0) < revision:
            yield where, _state_of(message, revision)
    yield from ((key, mark) for key, mark in dead if key not in kept)


async def _kept(kafka: Kafka, shard: int) -> dict[bytes, int]:
    """The records that a partition still holds, by their keys, and the revisions of its messages."""
    kept, end = dict[bytes, int](), await kafka.ends(shard)
    async for chunk in kafka.read(shard, end.begin, end.end):
        for key, value in chunk.records:
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = decode_message_state(value).revision if key[:1] == Kind.MESSAGE else 0
    return kept


async def _written(kafka: Kafka, shard: int, records: Iterable[tuple[bytes, Any]]) -> None:
    """These records of a partition, in their order."""
    writer = Batches(await kafka.open_and_fence(shard), shard)
    try:
        for key, value in records:
            await writer.add(key, encode_state(value))
        await writer.flush()
    finally:
        await writer.close()


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
