"""A memory of what was met lately, within a bound. It serves lists that are read again and again, also those longer than it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ROUNDS = 4
"""How many times the memory's size must be asked for before values are forgotten that were not asked for meanwhile."""


class Memory(Generic[K, V]):
    """Values by key; at most twice ``most`` of them.

    Two generations: what is asked for moves to the young one, and once in a while what stayed in the old one is
    forgotten. While the young one is full nothing is added: were the oldest pushed out, as many caches do, a list a little
    longer than the memory would find nothing of itself when it is read again from its beginning.
    """

    def __init__(self, most: int) -> None:
        self._most, self._asked = most, 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def all_of(self, keys: Sequence[K]) -> list[V | None]:
        """The value of each key; None where none is remembered."""
        found: list[V | None] = list(map(self._young.get, keys))
        if None in found and self._old:
            self._from_old(keys, found)
        self._asked += len(keys)
        if self._asked > ROUNDS * self._most:
            self._old, self._young, self._asked = self._young, {}, 0
        return found

    def _from_old(self, keys: Sequence[K], found: list[V | None]) -> None:
        """Fill in what the old generation knows, and move it to the young one while that has room."""
        for at, value in enumerate(found):
            if value is None and (value := self._old.get(keys[at])) is not None:
                found[at] = value
                if len(self._young) < self._most:
                    self._young[keys[at]] = value

    def keep(self, key: K, value: V) -> None:
        """Remember a value in place of any other of its key, where there is room."""
        if len(self._young) < self._most or key in self._young:
            self._young[key] = value
        else:
            self._old.pop(key, None)

    def forget(self, key: K) -> None:
        """Nothing is known of a key."""
        self._young.pop(key, None)
        self._old.pop(key, None)
