"""A few of the long histories; ``make soak`` plays a thousand, ``make mutants`` breaks each rule."""

from __future__ import annotations

import subprocess
import sys

import pytest


def played(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In processes of their own, because a history seeds the scheduler."""
    return subprocess.run([sys.executable, "-m", "tests.lab.soak", *arguments], capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("seed", [0, 5, 139])
def test_a_day_of_a_hostile_provider_with_four_outages_leaves_nothing_silent(seed: int) -> None:
    """Every switch at random, outages of up to 20 hours: nothing silently missing, stale, doubled or out of order."""
    done = played("--seed", str(seed))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "0 failed" in done.stdout


def test_a_history_is_a_function_of_its_seed() -> None:
    """The same seed plays the same history, request by request."""
    one, two = (played("--seed", "139").stdout for _ in range(2))
    assert one == two
    assert "requests=" in one
