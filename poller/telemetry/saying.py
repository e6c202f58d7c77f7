"""When trouble is said: when it begins, when it changes, at most once a minute while it lasts, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

AGAIN_S = 60.0
"""How often a trouble that lasts is said again."""

KEPT_MAX = 10_000
"""Troubles that are remembered; of more than these the beginning is said, and nothing else."""


class _Said(Struct):
    kind: str
    since: float
    last: float


class Saying:
    """The troubles of one speaker, by where they are. ``monotonic`` is the clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._said: dict[str, _Said] = {}

    def now(self, where: str, kind: str) -> bool:
        """There is trouble: whether it is to be said now."""
        now, said = self._monotonic(), self._said.get(where)
        if said is None or said.kind != kind:
            if said is not None or len(self._said) < KEPT_MAX:
                self._said[where] = _Said(kind, now if said is None else said.since, now)
            return True
        if now - said.last < AGAIN_S:
            return False
        said.last = now
        return True

    def over(self, where: str) -> float | None:
        """There is none: how many seconds it lasted, where it was said."""
        said = self._said.pop(where, None)
        return None if said is None else self._monotonic() - said.since

    def all(self) -> list[str]:
        """Where there is trouble."""
        return list(self._said)
