"""Three workers on one real broker, killed and frozen at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.demo.kafka.broker import Cluster
from tests.lab.chaos import Chaos
from tests.lab.failover import Fleet
from tests.support.trial import faults

pytestmark = pytest.mark.anyio


async def test_kills_and_zombies_of_several_workers_lose_and_double_nothing(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Ten counted kills and three workers frozen beyond their session, caches deleted: everything once, whole and in order."""
    fleet = Fleet(tmp_path, kafka.bootstrap, names, seed=5, session="2s", static=False)
    chaos = Chaos(fleet, seed=5)
    async with fleet.providers():
        await chaos.play(kafka.nodes, kills=10, pauses=3, minutes=0)
        verdict = await fleet.settle("last", seconds=120)
    assert verdict.good, verdict
    assert not faults(fleet.events)
    assert chaos.kills >= 10
    assert chaos.pauses >= 3
