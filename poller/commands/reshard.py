"""Changing the number of shards of a stopped installation, exactly, whatever dies meanwhile.

Kafka cannot take partitions from a topic, and an account's shard depends on their number, so
the state is written anew in two steps, each of which may be begun again at any time::

    1  state topic ──► <state topic>.reshard   with the new number of partitions; its meta records come last
    2  the state topic is deleted and made anew; <state topic>.reshard ──► state topic; compared; the copy is deleted

While the copy exists, workers refuse to start. So it is made only when no worker is there, and it
is deleted again when the change is refused after all; only a whole copy, which may be all that is
left of the state, is never deleted before step 2 has ended. Each message goes with the account of
its stream, in the order in which it was written. Fingerprint keys of merged shards are kept, and
the numbers of transactions go on per shard, so that nothing is published again or unseen.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from cyclopts import Parameter, validators
from msgspec.structs import replace

from ..config.load import Config, load
from ..errors import Refused, WrongState
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.partitioner import shard_of
from ..kafka.port import STATE, Stored
from ..kafka.public_topics import shards_that_published
from ..publishing.message_state import stream_tag
from ..publishing.state_records import META_KEY, Kind, Meta, decode_state, encode_state
from .arguments import ConfigPath
from .process import complete
from .state_topic import Batches, Say, metas, nobody

SHARDS_MAX = 1000
"""More than any installation has accounts to fill; each is a partition."""


def command(
    *, config: ConfigPath, shards: Annotated[int, Parameter(metavar="NUMBER", validator=validators.Number(gte=1, lte=SHARDS_MAX))]
) -> int:
    """Change the number of shards of a stopped installation; killed at any moment, it is simply run again.

    Ends with 3, and has changed nothing, where workers are running or the state is not whole.

    Example: poller reshard --config poller.yaml --shards 32

    Parameters
    ----------
    shards
        The new number; set kafka.shards to it afterwards.

    """
    return complete(_reshard(load(config), shards))


async def _reshard(config: Config, shards: int) -> int:
    silence_fenced_futures()
    moved = await reshard(
        Kafka(connection_of(config)),
        shards,
        replication_factor=config.kafka.replication_factor,
        say=lambda what: print(what, file=sys.stderr),
    )
    print(f"{moved} records moved; now set kafka.shards: {shards}" if moved else f"nothing to do: the state has {shards} shards")
    return 0


async def reshard(kafka: Kafka, shards: int, *, replication_factor: int | None, say: Say) -> int:
    """Bring the state to ``shards`` partitions; returns how many records were moved (0 = nothing to do).

    Raises WrongState, and has changed nothing then; Unavailable, Refused.
    """
    link = kafka.connection
    copy = Kafka(replace(link, topics={**link.topics, STATE: topics.copy_name(link.topics[STATE])}, shards=shards))
    target = Kafka(replace(link, shards=shards))
    made, held = await metas(copy), await metas(kafka)
    if made is not None and all(made) and (held is None or len(held) == len(made)):
        if len(made) != shards:
            raise WrongState(f"an earlier reshard to {len(made)} shards is not finished", fix=f"run: poller reshard --shards {len(made)}")
        await nobody(kafka)
    else:  # the state is still what it was before the change, so whatever the copy holds is not needed
        copied = await _first_step(kafka, copy, shards, replication_factor, say, begun=made is not None)
        if copied is None:
            return 0
        made = copied
    if _nonces(await metas(target)) != _nonces(made):
        say(f"2 of 2: {link.topics[STATE]} is made anew")
        await topics.replace_state(target, replication_factor)
        for shard in range(shards):
            await _copy(copy, target, shard, say)
    moved = await _compare(copy, target, shards)
    await topics.delete_state(copy)
    return moved


async def _first_step(
    kafka: Kafka, copy: Kafka, shards: int, replication_factor: int | None, say: Say, *, begun: bool
) -> list[Meta | None] | None:
    """The copy, whole; None where nothing is to be done. A copy that is not whole is worth nothing, and never stays behind."""
    try:
        old = await _old(kafka, shards)
        if old is not None:
            for shard in range(len(old)):
                await (await kafka.open_and_fence(shard)).close()
            say(f"1 of 2: from {len(old)} shards to {shards}, into {copy.connection.topics[STATE]}")
            begun = True
            await topics.replace_state(copy, replication_factor)
            return await _split(kafka, copy, old, shards, say)
    except (WrongState, Refused):
        if begun:
            await topics.delete_state(copy)
        raise
    if begun:
        await topics.delete_state(copy)
    return None


def _nonces(metas: list[Meta | None] | None) -> list[str | None]:
    return [meta and meta.nonce for meta in metas or ()]


async def _old(kafka: Kafka, shards: int) -> list[Meta | None] | None:
    """The meta records of the state as it is; None when it has the wanted number of shards already. Raises WrongState."""
    old = await metas(kafka)
    if old is None:
        raise WrongState(f"the topic {kafka.connection.topics[STATE]} does not exist", fix="set kafka.shards and run: poller topics create")
    if len(old) == shards:
        return None
    await nobody(kafka)
    if not any(old):
        raise WrongState("the state topic is empty", fix="set kafka.shards, delete the topic, and run: poller topics create")
    for meta in old:
        if meta is not None and meta.group != kafka.connection.group:
            raise WrongState(f"the state topic belongs to the group {meta.group!r}", fix=f"set kafka.group to {meta.group}")
        if meta is not None and meta.rebuilding:
            raise WrongState("the state is being made again and is not whole", fix="run first: poller rebuild")
    lost = await shards_that_published(kafka, {shard for shard, meta in enumerate(old) if meta is None})
    if lost:
        raise WrongState(f"shards {', '.join(map(str, sorted(lost)))} have published and have no state", fix="run first: poller rebuild")
    return old


async def _accounts(kafka: Kafka, shard: int) -> dict[int, str]:
    """The account behind each stream's tag in a partition."""
    streams = [stream async for key, _ in _records(kafka, shard) if (stream := _stream(key)) is not None]
    return {stream_tag(stream): stream.rpartition("/")[0] for stream in streams}


async def _records(kafka: Kafka, shard: int) -> AsyncIterator[Stored]:
    end = await kafka.ends(shard)
    async for chunk in kafka.read(shard, end.begin, end.end):
        for record in chunk.records:
            yield record


async def _split(kafka: Kafka, copy: Kafka, old: list[Meta | None], shards: int, say: Say) -> list[Meta | None]:
    """Every record to its account's new partition; the meta records last. Raises WrongState where a worker wrote meanwhile."""
    ends = [(await kafka.ends(shard)).end for shard in range(len(old))]
    writers = [Batches(await copy.open_and_fence(shard), shard) for shard in range(shards)]
    try:
        for shard in range(len(old)):
            accounts = await _accounts(kafka, shard)
            async for key, value in _records(kafka, shard):
                for target in _targets(key, value, accounts, shards):
                    await writers[target].add(key, value)
            say(f"shard {shard} is read")
        await nobody(kafka)
        if ends != [(await kafka.ends(shard)).end for shard in range(len(old))]:
            raise WrongState("a worker has written to the state meanwhile", fix="stop every worker of this group, then run this again")
        metas = new_metas(old, shards)
        for writer, meta in zip(writers, metas, strict=True):
            await writer.add(META_KEY, encode_state(meta))
            await writer.flush()
    finally:
        for writer in writers:
            await writer.close()
    return list(metas)


def _targets(key: bytes, value: bytes | None, accounts: dict[int, str], shards: int) -> Iterable[int]:
    """Where a record goes.

    A tombstone does not tell whose message it was, nor does a message of a stream that is no longer
    known: these go everywhere, and harm nobody, because no other account asks for their keys.
    """
    kind = key[:1]
    if key == META_KEY:
        return ()
    if kind in (Kind.BACKOFF, Kind.LATENESS):
        return (shard_of(key[1:].decode(), shards),)
    if (stream := _stream(key)) is not None:
        return (shard_of(stream.rpartition("/")[0], shards),)
    account = None if value is None else accounts.get(decode_state(key, value).stream)
    return range(shards) if account is None else (shard_of(account, shards),)


def _stream(key: bytes) -> str | None:
    """The stream that a record is about: its cursor, a request, what a side query remembers."""
    return key[1:].decode().partition("#")[0] if key[:1] in (Kind.CURSOR, Kind.REQUEST, Kind.SIDE_QUERY) else None


def new_metas(old: list[Meta | None], shards: int) -> list[Meta]:
    """The meta records of the new shards: every transaction number goes on, every fingerprint key is kept."""
    known = [meta for meta in old if meta is not None]
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
            rebuilt=max(meta.rebuilt for meta in known),
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
