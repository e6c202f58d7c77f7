"""When trouble is said: when it begins, when it changes, at most once a minute while it lasts, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from .recent import Recent

AGAIN_S = 60.0
"""How often a trouble that lasts is said again."""

KEPT_MAX = 10_000
"""Troubles that are remembered; of more than these the beginning is said, and nothing else."""


class _Said(Struct):
    kind: str
    since: float
    last: float


class Saying:
    """The troubles of one speaker, by where they are. ``monotonic`` is the clock.

    ``most``: lines a minute of one kind; what is not said then is said as soon as there is room. So a kind that comes and
    goes without end never drowns another.
    """

    def __init__(self, monotonic: Callable[[], float], most: int | None = None) -> None:
        self._monotonic, self._most = monotonic, most
        self._said: dict[str, _Said] = {}
        self._lines: dict[str, Recent] = {}

    def now(self, where: str, kind: str) -> bool:
        """There is trouble: whether it is to be said now."""
        now, said = self._monotonic(), self._said.get(where)
        if said is not None and said.kind == kind and now - said.last < AGAIN_S:
            return False
        if not self._room(kind):
            return False
        if said is not None or len(self._said) < KEPT_MAX:
            self._said[where] = _Said(kind, now if said is None else said.since, now)
        return True

    def _room(self, kind: str) -> bool:
        """Whether one more line of the kind may be written; then it counts."""
        if self._most is None:
            return True
        lines = self._lines.setdefault(kind, Recent(self._monotonic))
        room = lines.total() < self._most
        lines.add(room)
        return room

    def over(self, where: str) -> float | None:
        """There is none: how many seconds it lasted, where it was said."""
        said = self._said.pop(where, None)
        return None if said is None else self._monotonic() - said.since

    def all(self) -> list[str]:
        """Where there is trouble."""
        return list(self._said)
