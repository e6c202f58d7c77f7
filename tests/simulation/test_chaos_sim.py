"""Short histories of crashing and freezing workers are right, and find every law that is broken on purpose."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.lab.chaos_sim import DOUBLE_POLLING_ONLY, MUTANTS


def played(count: int, mutant: str = "") -> tuple[int, int]:
    """How many of so many histories failed, and the requests of workers that the group had given up."""
    command = [sys.executable, "-m", "tests.lab.chaos_sim", str(count), *(["--mutant", mutant] if mutant else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) failed\nrequests of workers that the group had given up: (\d+)\n$", done.stdout)
    assert found is not None, done
    assert done.returncode == bool(int(found[1])), done
    return int(found[1]), int(found[2])


def test_histories_of_crashes_and_frozen_workers_are_exactly_once() -> None:
    """Nothing lost, doubled, torn or out of order, no two owners, every stream polled again, the state as published."""
    assert played(10) == (0, 0)


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant != DOUBLE_POLLING_ONLY])
def test_a_mutant_is_found(mutant: str) -> None:
    """A law of the protocol that is broken on purpose turns histories red."""
    assert played(16, mutant)[0]


def test_a_mutant_zombie_without_self_fence_only_polls_twice() -> None:
    """A worker that does not notice its lost seat asks the provider, but the fence keeps its output out."""
    failed, outside = played(8, DOUBLE_POLLING_ONLY)
    assert not failed
    assert outside
