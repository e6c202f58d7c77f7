"""Who owns what: few shards move, what runs keeps running, and a shard lives by its table."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.kafka.assignor import assign
from poller.worker.phases import LEGAL, Phase
from poller.worker.worker import plan

SHARDS = range(16)
MOVED_MAX = 7
"""Of sixteen shards, beside those of the worker that left: the price of an even deal."""
workers = st.sets(st.sampled_from([f"worker-{number}" for number in range(9)]), min_size=1)


def dealt(names: Iterable[str]) -> dict[int, str]:
    """The owner of each shard."""
    hands = assign(SHARDS, {name: name.encode() for name in names})
    return {shard: name for name, shards in hands.items() for shard in shards}


@given(workers)
def test_every_shard_has_one_owner_and_no_worker_is_overloaded(names: set[str]) -> None:
    """Exactly once each, and no hand holds more than its fair share, rounded up."""
    hands = assign(SHARDS, {name: name.encode() for name in names})
    assert sorted(shard for shards in hands.values() for shard in shards) == list(SHARDS)
    assert max(len(shards) for shards in hands.values()) <= -(-len(SHARDS) // len(names))


@given(workers, st.data())
def test_a_worker_that_leaves_moves_little_more_than_its_own_shards(names: set[str], data: st.DataObject) -> None:
    """The others keep theirs, as far as fairness lets them."""
    gone = data.draw(st.sampled_from(sorted(names)))
    if len(names) > 1:
        before, after = dealt(names), dealt(names - {gone})
        moved = sum(before[shard] != after[shard] for shard in SHARDS if before[shard] != gone)
        assert moved <= MOVED_MAX


@given(workers)
def test_the_deal_is_the_same_whoever_deals(names: set[str]) -> None:
    """It depends on the names alone, so restarts under the same names move nothing."""
    assert dealt(sorted(names)) == dealt(sorted(names, reverse=True))


@given(st.sets(st.integers(0, 15)), st.sets(st.integers(0, 15)))
def test_a_plan_turns_what_runs_into_what_is_wanted(running: set[int], wanted: set[int]) -> None:
    """Start and stop are disjoint, and a plan for what runs already is empty: a rebalance that changes nothing stops nothing."""
    start, stop = plan(running, wanted)
    assert (running | start) - stop == wanted
    assert not start & running
    assert stop <= running
    assert plan(wanted, wanted) == (frozenset(), frozenset())


def test_a_shards_life_always_comes_to_its_end_and_can_begin_again() -> None:
    """From every state it can be closed, and only a closed one is fenced anew."""
    assert all(Phase.CLOSED in LEGAL[state] for state in LEGAL if state != Phase.CLOSED)
    assert [state for state, next_ in LEGAL.items() if Phase.FENCING in next_] == [Phase.CLOSED]


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_most_shards_stay_when_a_worker_joins(number: int) -> None:
    """At most its share, and what fairness asks for, moves."""
    names = {f"worker-{n}" for n in range(number)}
    before, after = dealt(names), dealt(names | {"new"})
    assert sum(before[shard] != after[shard] for shard in SHARDS) <= len(SHARDS) // (number + 1) + MOVED_MAX
