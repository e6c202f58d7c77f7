"""The judge of latest messages: the revision of a key only rises, and none stays behind the events. Pure; fed record by record."""

from __future__ import annotations

NEVER = 1 << 62
"""More than any transaction's number."""


class Latest:
    """What the compacted topic holds. Feed all of it before the events are held against it.

    Compaction takes away what was superseded, so a message is judged by the newest record of its
    key. The topic may have been named long after the first event: a key that it lacks is a fault
    only where its event is younger than the oldest record that the same shard has there.
    """

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}
        self._begun: dict[int, int] = {}
        """The first transaction, by shard, of which a latest message is there."""

    def rises(self, key: str, shard: int, transaction: int, revision: int) -> bool:
        """Take one record, each partition's in their order; False where its revision is not above the one before it."""
        self._begun[shard] = min(transaction, self._begun.get(shard, NEVER))
        before = self._revisions.get(key, 0)
        self._revisions[key] = max(revision, before)
        return revision > before

    def behind(self, key: str, shard: int, transaction: int, revision: int) -> bool:
        """Whether an event should have left a latest message of its revision, or a higher one, and has not."""
        held = self._revisions.get(key)
        return held < revision if held is not None else transaction > self._begun.get(shard, NEVER)
