"""Changing the number of shards of a stopped installation, exactly, whatever dies meanwhile.

Kafka cannot take partitions from a topic, and an account's shard depends on their number, so
the state is written anew in two steps, each of which may be begun again at any time::

    1  state topic ──► <state topic>.reshard   with the new number of partitions; its meta records come last
    2  the state topic is deleted and made anew; <state topic>.reshard ──► state topic; compared; the copy is deleted

While the copy exists, workers refuse to start. Each message goes with the account of its
stream, in the order in which it was written. Fingerprint keys of merged shards are kept, and
the numbers of transactions go on per shard, so that nothing is published again or unseen.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable

from msgspec.structs import replace

from ..errors import Refused
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.partitioner import shard_of
from ..kafka.port import STATE, Stored
from ..publishing.message_state import stream_tag
from ..publishing.state_records import META_KEY, Meta, decode_state, encode_state
from .state_topic import Batches, Say, metas, nobody


async def reshard(kafka: Kafka, shards: int, *, replication_factor: int | None, say: Say) -> int:
    """Bring the state to ``shards`` partitions; returns how many records were moved (0 = nothing to do).

    Raises Unavailable, Refused.
    """
    link = kafka.connection
    copy = Kafka(replace(link, topics={**link.topics, STATE: topics.copy_name(link.topics[STATE])}, shards=shards))
    target = Kafka(replace(link, shards=shards))
    made = await metas(copy)
    if made is None or not all(made):
        old = await _old(kafka, shards)
        if old is None:
            return 0
        say(f"1 of 2: from {len(old)} shards to {shards}, into {copy.connection.topics[STATE]}")
        await topics.replace_state(copy, replication_factor)
        await nobody(kafka)
        made = await _split(kafka, copy, old, shards, say)
    if len(made) != shards:
        raise Refused(f"an earlier reshard to {len(made)} shards is not finished", fix=f"run: poller reshard --shards {len(made)}")
    if _nonces(await metas(target)) != _nonces(made):
        say(f"2 of 2: {link.topics[STATE]} is made anew")
        await topics.replace_state(target, replication_factor)
        for shard in range(shards):
            await _copy(copy, target, shard, say)
    moved = await _compare(copy, target, shards)
    await topics.delete_state(copy)
    return moved


def _nonces(metas: list[Meta | None] | None) -> list[str | None]:
    return [meta and meta.nonce for meta in metas or ()]


async def _old(kafka: Kafka, shards: int) -> list[Meta | None] | None:
    """The meta records of the state as it is; None when it has the wanted number of shards already."""
    old = await metas(kafka)
    if old is None:
        raise Refused(f"the topic {kafka.connection.topics[STATE]} does not exist", fix="set kafka.shards and run: poller topics create")
    if len(old) == shards:
        return None
    for meta in old:
        if meta is not None and meta.group != kafka.connection.group:
            raise Refused(f"the state topic belongs to the group {meta.group!r}", fix=f"set kafka.group to {meta.group}")
    return old


async def _accounts(kafka: Kafka, shard: int) -> dict[int, str]:
    """The account behind each stream's tag in a partition."""
    return {stream_tag(key[1:].decode()): _account(key) async for key, _ in _records(kafka, shard) if key[:1] == b"c"}


async def _records(kafka: Kafka, shard: int) -> AsyncIterator[Stored]:
    end = await kafka.ends(shard)
    async for chunk in kafka.read(shard, end.begin, end.end):
        for record in chunk.records:
            yield record


async def _split(kafka: Kafka, copy: Kafka, old: list[Meta | None], shards: int, say: Say) -> list[Meta | None]:
    """Every record to its account's new partition; the meta records last."""
    for shard in range(len(old)):
        await (await kafka.open_and_fence(shard)).close()
    writers = [Batches(await copy.open_and_fence(shard), shard) for shard in range(shards)]
    try:
        for shard in range(len(old)):
            accounts = await _accounts(kafka, shard)
            async for key, value in _records(kafka, shard):
                for target in _targets(key, value, accounts, shards):
                    await writers[target].add(key, value)
            say(f"shard {shard} is read")
        await nobody(kafka)
        metas = new_metas(old, shards)
        for writer, meta in zip(writers, metas, strict=True):
            await writer.add(META_KEY, encode_state(meta))
            await writer.flush()
    finally:
        for writer in writers:
            await writer.close()
    return list(metas)


def _targets(key: bytes, value: bytes | None, accounts: dict[int, str], shards: int) -> Iterable[int]:
    """Where a record goes. A tombstone does not tell whose message it was, so it goes everywhere, and harms nobody."""
    kind = key[:1]
    if key == META_KEY:
        return ()
    if kind in (b"a", b"l"):
        return (shard_of(key[1:].decode(), shards),)
    if kind in (b"c", b"b", b"h"):
        return (shard_of(_account(key), shards),)
    if value is None:
        return range(shards)
    tag = decode_state(key, value).stream
    if tag not in accounts:
        raise Refused("the state holds a message of a stream that it does not know", fix="report this; nothing was changed")
    return (shard_of(accounts[tag], shards),)


def _account(key: bytes) -> str:
    """``provider/account`` of a stream's record."""
    return key[1:].decode().rpartition("/")[0]


def new_metas(old: list[Meta | None], shards: int) -> list[Meta]:
    """The meta records of the new shards: every transaction number goes on, every fingerprint key is kept."""
    known = [meta for meta in old if meta is not None]
    if not known:
        raise Refused("the state topic is empty", fix="set kafka.shards, delete the topic, and run: poller topics create")
    retired = {number: last for meta in known for number, last in meta.retired.items()}
    retired |= {number: meta.sequence for number, meta in enumerate(old) if meta is not None}
    keys = tuple(dict.fromkeys(key for meta in known for key in (meta.key, *meta.keys)))
    clock = max(meta.clock for meta in known) + 1
    return [
        Meta(
            group=known[0].group,
            shards=shards,
            nonce=secrets.token_hex(8),
            key=keys[0],
            clock=clock,
            sequence=retired.get(number, 0),
            keys=keys[1:],
            retired={gone: last for gone, last in retired.items() if gone >= shards} if number == 0 else {},
        )
        for number in range(shards)
    ]


async def _copy(source: Kafka, target: Kafka, shard: int, say: Say) -> None:
    """One partition as it is, its meta record last."""
    writer = Batches(await target.open_and_fence(shard), shard)
    try:
        async for key, value in _records(source, shard):
            await writer.add(key, value)
        await writer.flush()
    finally:
        await writer.close()
    say(f"shard {shard} is written")


async def _compare(copy: Kafka, target: Kafka, shards: int) -> int:
    """The number of records that both hold. Raises Refused where they differ; the copy is kept then."""
    total = 0
    for shard in range(shards):
        one, other = await _digests(copy, shard), await _digests(target, shard)
        if one != other:
            raise Refused(
                f"shard {shard} differs from its copy", fix="stop every worker, delete the state topic, then run: poller reshard again"
            )
        total += len(one) - 1
    return total


async def _digests(kafka: Kafka, shard: int) -> dict[bytes, int]:
    """The records of a partition as they stand in the end, by the hash of their values."""
    found: dict[bytes, int] = {}
    async for key, value in _records(kafka, shard):
        if value is None:
            found.pop(key, None)
        else:
            found[key] = hash(value)
    return found
