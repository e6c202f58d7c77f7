"""The phases of a shard's life, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What a shard does now."""

    FENCING = "fencing"
    RESTORING = "restoring"
    RUNNING = "running"
    DRAINING = "draining"
    CLOSED = "closed"


LEGAL: dict[Phase, frozenset[Phase]] = {
    Phase.FENCING: frozenset({Phase.RESTORING, Phase.CLOSED}),
    Phase.RESTORING: frozenset({Phase.RUNNING, Phase.CLOSED}),
    Phase.RUNNING: frozenset({Phase.DRAINING, Phase.CLOSED}),
    Phase.DRAINING: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset({Phase.FENCING}),
}
"""Which phase may follow which."""
