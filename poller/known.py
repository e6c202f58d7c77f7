"""Rows that were read before and did not change: told by their bytes, so that they need not be read again.

Only the copy that was adopted last is known for a message; any other copy, older or newer, is
read in full. In memory, bounded by two generations, and gone with the shard's life.
"""

from __future__ import annotations

from .model import Row

GENERATION_MAX = 20_000


class Known:
    """The adopted copy of each message of an account, by id."""

    def __init__(self) -> None:
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def has(self, row: Row) -> bool:
        """Whether the row is, byte for byte, the copy that was adopted last."""
        found = self._young.get(row.id)
        if found is None:
            found = self._old.get(row.id)
            if found is not None:
                self._keep(row.id, found)
        return found is not None and found == hash(row.raw)

    def learn(self, row: Row) -> None:
        """This copy is the adopted one now, and durable."""
        self._keep(row.id, hash(row.raw))

    def forget(self, id_: str) -> None:
        """Which copy is adopted is not certain."""
        self._young.pop(id_, None)
        self._old.pop(id_, None)

    def _keep(self, id_: str, mark: int) -> None:
        if len(self._young) >= GENERATION_MAX:
            self._old, self._young = self._young, {}
        self._young[id_] = mark
