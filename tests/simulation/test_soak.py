"""A few of the long histories; ``make soak`` plays a thousand, ``make mutants`` breaks each rule."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

pytestmark = pytest.mark.xdist_group("soak")  # a history that two tests look at is played once


def played(seed: int) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    command = [sys.executable, "-m", "tests.lab.soak", "--seed", str(seed)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


played_once = cache(played)


@pytest.mark.parametrize("seed", [4, 139])
def test_a_day_of_a_hostile_provider_with_four_outages_leaves_nothing_silent(seed: int) -> None:
    """Every switch at random, outages of up to 20 hours: nothing silently missing, stale, doubled or out of order."""
    done = played_once(seed)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "0 failed" in done.stdout


def test_a_history_is_a_function_of_its_seed() -> None:
    """The same seed plays the same history, request by request."""
    one, two = played_once(4).stdout, played(4).stdout
    assert one == two
    assert "requests=" in one
