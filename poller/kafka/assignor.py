"""assignor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


def deal(partitions: Iterable[int], workers: Mapping[str, bytes]) -> dict[str, list[int]]:
    """Rendezvous hashing with bounded load: each partition to the best-liked worker that has room.

    ``workers`` maps member ids to stable names. Stateless, even, and few partitions move when a
    worker comes or goes.
    """
    ordered = sorted(partitions)
    room = math.ceil(len(ordered) / len(workers))
    dealt: dict[str, list[int]] = {member: [] for member in workers}
    for partition in ordered:
        liked = sorted(workers, key=lambda member: (_liking(partition, workers[member]), member), reverse=True)
        dealt[next(member for member in liked if len(dealt[member]) < room)].append(partition)
    return dealt


def _liking(partition: int, name: bytes) -> bytes:
    return hashlib.blake2b(b"%d|" % partition + name, digest_size=8).digest()


class Rendezvous(AbstractPartitionAssignor):
    """The one assignor of the group."""

    name = "poller-rendezvous"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]  # an instance serves as its class
    version = 0

    def __init__(self, worker: str) -> None:
        self._worker = worker.encode()
        self.owners: dict[int, str] = {}
        """Who owns which partition, as the leader dealt last."""

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What every member tells the leader: its stable name."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._worker)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, ConsumerProtocolMemberAssignment]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The leader's deal."""
        workers = {member: (data.user_data or member.encode()) for member, data in members.items()}
        topics = sorted({topic for data in members.values() for topic in data.subscription})
        dealt = {topic: deal(cluster.partitions_for_topic(topic) or (), workers) for topic in topics}
        owners = {
            partition: workers[member].decode("utf-8", "replace")
            for by_member in dealt.values()
            for member, partitions in by_member.items()
            for partition in partitions
        }
        told = msgspec.json.encode(owners)
        return {
            member: ConsumerProtocolMemberAssignment(self.version, [(topic, dealt[topic][member]) for topic in topics], told)
            for member in members
        }

    def on_assignment(self, assignment: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the leader tells every member: who owns which partition. A leader of an earlier release tells nothing."""
        try:
            self.owners = msgspec.json.decode(assignment.user_data or b"{}", type=dict[int, str])
        except msgspec.MsgspecError:
            self.owners = {}
