"""The state topic's partition into the local cache, up to the high watermark: the same fold as after a commit.

The log carries a nonce in every transaction. A restore begins where the last transaction
known to the cache began, so it always meets the newest nonce; when that is not the cache's
own, the topic was made anew and the cache is worth nothing.

A log that lost records is not gone on from: what they stood for would be published again. Its
beginning is known by its offset. Its end is known by a cache of the same log that was further,
since a cache is only written after the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from ..errors import OffsetGone, Refused
from ..kafka.connection import Clients
from ..kafka.port import Chunk, Log, LogEnd
from ..kafka.state_topic import newest_values
from ..model import Instant
from .cache import Position, ShardCache
from .state_records import META_KEY, Meta, decode_state

REBUILD = "stop every worker and run: poller rebuild"
"""What makes a shard whole again that lost records."""


async def restore(
    log: Log, shard: int, rows: ShardCache, *, now: Instant, retention: Instant, progress: Callable[[int, int], None]
) -> tuple[Meta | None, LogEnd]:
    """Bring the cache to the end of the log; returns the shard's meta record (None for an empty log), and where the log began and ended.

    ``progress(done, end)`` is called with offsets. ``retention`` is the topic's
    delete.retention.ms in microseconds. Raises Unavailable, CacheError, and Refused where the log lost records.
    """
    end = await log.ends(shard)
    if await _lost_its_end(log, shard, rows.position(), end):
        raise Refused(f"the state of shard {shard} lost its last transactions: they would be published again", fix=REBUILD)
    position = _usable(rows.position(), end, now=now, retention=retention)
    fold = partial(_fold, log, shard, rows, end=end, now=now, progress=progress)
    if position is None or not await _continued(fold, position):
        rows.drop()
        await fold(Position(end.begin, end.begin, "", end.cluster_id, now))
    meta = meta_of(rows)
    if meta is not None and begins_later(meta, end):
        raise Refused(f"the state of shard {shard} lost its beginning: what it held would be published again", fix=REBUILD)
    return meta, end


async def _lost_its_end(log: Log, shard: int, position: Position | None, end: LogEnd) -> bool:
    """Whether the cache was further than the log is, and of this log: not of one that was made anew since."""
    if position is None or not position.nonce or position.cluster != end.cluster_id or position.offset <= end.end:
        return False
    nonce = ""
    async for chunk in log.read(shard, end.begin, end.end):
        meta = _newest_meta(chunk)
        nonce = nonce if meta is None else meta.nonce
    return nonce == position.nonce


async def _continued(fold: Callable[[Position], Awaitable[bool]], position: Position) -> bool:
    """Apply what the log holds from the cache's position on; False where it is another log, or begins later."""
    try:
        return await fold(position)
    except OffsetGone:
        return False


def begins_later(meta: Meta, end: LogEnd) -> bool:
    """Whether a partition lost records from its beginning since its shard was claimed."""
    return meta.begin is not None and end.begin > meta.begin


def meta_of(rows: ShardCache) -> Meta | None:
    """The shard's meta record in the cache."""
    raw = rows.get(META_KEY)
    return None if raw is None else decode_state(META_KEY, raw)


def _usable(position: Position | None, end: LogEnd, *, now: Instant, retention: Instant) -> Position | None:
    """The cache's position, if this log can continue it: same cluster, whole, still there, not too old."""
    if position is None or not position.nonce or position.cluster != end.cluster_id:
        return None
    if not end.begin <= position.last <= position.offset <= end.end:
        return None
    return position if 0 <= now - position.written < retention else None


async def _fold(
    log: Log,
    shard: int,
    rows: ShardCache,
    position: Position,
    *,
    end: LogEnd,
    now: Instant,
    progress: Callable[[int, int], None],
) -> bool:
    """Apply ``[position.last, end)``; False when the log turns out to be another one.

    Until the nonce is proved the cache keeps the old one, so that dying in between is found out too.
    """
    start, nonce = position.last, ""
    async for chunk in log.read(shard, start, end.end):
        meta = _newest_meta(chunk)
        if meta is not None:
            nonce = meta.nonce
            if position.nonce and nonce != position.nonce:
                return False
            position = Position(chunk.position, start, position.nonce, end.cluster_id, now)
        rows.write(chunk.records, Position(chunk.position, position.last, position.nonce, end.cluster_id, now))
        start = chunk.position
        progress(chunk.position, end.end)
    if position.nonce and not nonce and end.end > position.last:
        return False
    rows.write((), Position(end.end, position.last, nonce or position.nonce, end.cluster_id, now))
    return True


def _newest_meta(chunk: Chunk) -> Meta | None:
    for key, value in reversed(chunk.records):
        if key == META_KEY and value is not None:
            return decode_state(key, value)
    return None


async def newest_metas(kafka: Clients, shards: int) -> list[Meta | None]:
    """The last meta record of each shard's log, read without disturbing the owners. Raises Unavailable, Refused."""
    found = await newest_values(kafka, META_KEY)
    return [decode_state(META_KEY, found[shard]) if shard in found else None for shard in range(shards)]
