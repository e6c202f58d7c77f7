"""A seat in the group: for how long its word counts."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from poller.errors import ConfigError
from poller.kafka import membership
from poller.kafka.connection import Connection
from poller.kafka.membership import Member

pytestmark = pytest.mark.anyio


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, moved by hand."""
    at = [100.0]
    monkeypatch.setattr(membership.time, "monotonic", lambda: at[0])
    return at


def seat(**link: str) -> Member:
    """One that was given its shards just now."""
    member = Member(Connection(bootstrap="", topics={"state": "s"}, shards=2, group="g", session_s=6.0, **link))  # type: ignore[arg-type]
    member.on_partitions_assigned({TopicPartition("s", 0), TopicPartition("other", 1)})
    return member


async def test_a_heartbeat_counts_for_half_a_session_and_through_a_rebalance_for_a_whole_one(now: list[float]) -> None:
    """The broker gives our shards away a session after the last heartbeat; we stop well before."""
    member = seat()
    assert (await member.next()).shards == {0}, "partitions of another topic are not ours"
    now[0] += 2.9
    assert member.fresh()
    now[0] += 0.2
    assert not member.fresh()
    member.on_partitions_revoked(())
    assert member.fresh()
    now[0] += 3.0
    assert not member.fresh()


async def test_a_static_member_that_is_evicted_again_and_again_stops(now: list[float]) -> None:
    """Now and then it may be an administrator; again and again, with good heartbeats, it is another worker of the same name."""
    member = seat(instance_id="same")
    await member.next()
    for _ in range(membership.EVICTIONS_MAX):
        member.beat()
        member.evicted()
    with pytest.raises(ConfigError, match="instance_id"):
        await member.next()
    forgetful, dynamic = seat(instance_id="same"), seat()
    for _ in range(2 * membership.EVICTIONS_MAX):
        now[0] += membership.EVICTIONS_S
        forgetful.beat()
        forgetful.evicted()
        dynamic.evicted()
    assert (await forgetful.next()).stable
    assert (await dynamic.next()).stable
