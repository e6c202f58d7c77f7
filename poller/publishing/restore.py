"""The state topic's partition into the local cache, up to the high watermark: the same fold as after a commit.

The log carries a nonce in every transaction. A restore begins where the last transaction
known to the cache began, so it always meets the newest nonce; when that is not the cache's
own, the topic was made anew and the cache is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import OffsetGone
from ..kafka.connection import Clients
from ..kafka.port import Chunk, Log, LogEnd
from ..kafka.state_topic import newest_values
from ..model import Instant
from .cache import Position, ShardCache
from .state_records import META_KEY, Meta, decode_state


async def restore(
    log: Log, shard: int, rows: ShardCache, *, now: Instant, retention: Instant, progress: Callable[[int, int], None]
) -> tuple[Meta | None, str]:
    """Bring the cache to the end of the log; returns the shard's meta record (None for an empty log) and the cluster's id.

    ``progress(done, end)`` is called with offsets. ``retention`` is the topic's
    delete.retention.ms in microseconds. Raises Unavailable, Refused, CacheError.
    """
    end = await log.ends(shard)
    position = _usable(rows.position(), end, now=now, retention=retention)
    if position is not None:
        try:
            if await _fold(log, shard, rows, position, end, now=now, progress=progress):
                return meta_of(rows), end.cluster_id
        except OffsetGone:
            pass
    rows.drop()
    await _fold(log, shard, rows, Position(end.begin, end.begin, "", end.cluster_id, now), end, now=now, progress=progress)
    return meta_of(rows), end.cluster_id


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
    end: LogEnd,
    *,
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
