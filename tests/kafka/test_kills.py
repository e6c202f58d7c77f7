"""The promise, on real Kafka: kill the daemon at any moment, and nothing is lost, doubled or out of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.demo.kafka.broker import Cluster
from tests.support.newest import wrong
from tests.support.schema_tools import validate
from tests.support.trial import POINTS, Trial, faults

pytestmark = pytest.mark.anyio
KILLS = 10


async def test_ten_kills_lose_and_double_nothing(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Ten counted kills at seeded moments, and some during restore: 0 lost, 0 duplicate, 0 out of order, 0 torn, no gap in revisions.

    The same of latest messages: none goes back, and each is what its newest event left.
    """
    trial = Trial(tmp_path, kafka.bootstrap, names | {"latest": f"latest-{names['state']}"}, seed=11)
    async with trial.providers():
        for attempt in range(3 * KILLS):
            if trial.kills >= KILLS:
                break
            if attempt % 4 == 3:
                await trial.kill_at("restore")
            await trial.kill_at(POINTS[attempt % len(POINTS)])
        verdict = await trial.settle()
    assert trial.kills >= KILLS
    assert verdict.good, verdict
    assert verdict.messages_published > 100
    assert not faults(trial.events + trial.latest)
    assert not wrong(trial.events, trial.latest)
    for event in trial.events + trial.latest:
        validate(event.headers, event.value)


async def test_the_trial_can_fail_state_outside_the_transaction(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Negative control: with the state in a transaction of its own, a kill between the two doubles events."""
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=12)
    async with trial.providers():
        for _ in range(8):
            await trial.kill_at("after_commit", MUTANT="state_outside")
        verdict = await trial.settle()
    assert verdict.duplicates
