"""Forgetting: from time to time what no later window can reach is dropped from state, in small steps between polls.

A stream that is configured no longer is forgotten, too, when it was left alone for as long as its
look-back is deep: a list of threads that rotates would grow the state for ever. Its cursor stays,
a hundred bytes, and its floor rises to its watermark: a stream that comes back reads on from there,
publishes nothing twice, and loses nothing that it owed. What was not final stays as long as of any stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from ..clock import SystemClock
from ..polling.account import Poller
from ..publishing.cache import ShardCache
from ..publishing.changes import Bound
from ..publishing.commit import Committer
from ..publishing.message_state import stream_tag
from ..publishing.shard_state import NOT_FINAL_KEPT
from ..publishing.state_records import Kind, decode_state

EVERY_S = 3600.0
"""Seconds between two looks through the state."""


async def forget_for_ever(committer: Committer, rows: ShardCache, pollers: Iterable[Poller], clock: SystemClock) -> None:
    """Look through the whole state of a shard every ``EVERY_S``. Raises what the committer does."""
    shard_state = committer.shard_state
    while True:
        await clock.sleep(EVERY_S)
        polled = {tag: bound for poller in pollers for tag, bound in poller.bounds().items()}
        bounds = await _left_alone(rows, polled, clock) | polled
        for kind, forget in (
            (Kind.MESSAGE, shard_state.forget),
            (Kind.DEAD_LETTER, shard_state.forget_dead),
            (Kind.SIDE_QUERY, shard_state.forget_learned),
        ):
            async for step in _steps(rows, kind, clock):
                entry = forget(step, bounds, clock.now())
                if entry is not None:
                    await committer.durable(entry)


async def _left_alone(rows: ShardCache, polled: Mapping[int, Bound], clock: SystemClock) -> dict[int, Bound]:
    """The streams that nobody polls and that were last polled longer ago than their look-back is deep.

    Above its watermark a stream may owe messages, so what was published there is remembered until nobody will come back for them.
    """
    found, now = dict[int, Bound](), clock.now()
    async for step in _steps(rows, Kind.CURSOR, clock):
        for key, raw in step:
            stream_id, cursor = key[1:].decode(), decode_state(key, raw)
            if stream_tag(stream_id) not in polled and cursor.left + cursor.reach < now:
                until = cursor.watermark if cursor.left > now - NOT_FINAL_KEPT else cursor.left
                found[stream_tag(stream_id)] = Bound(stream_id, max(cursor.floor, until), left_alone=True)
    return found


async def _steps(rows: ShardCache, kind: Kind, clock: SystemClock) -> AsyncIterator[list[tuple[bytes, bytes]]]:
    """The rows of a kind, some at a time; others go on between."""
    after = b""
    while step := rows.scan(kind, after):
        after = step[-1][0]
        yield step
        await clock.sleep(0)
