"""Who gets which shard: the one assignor of the group, and what its leader tells every member."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from msgspec import Struct


def assign(partitions: Iterable[int], workers: Mapping[str, bytes]) -> dict[str, list[int]]:
    """Rendezvous hashing with bounded load: each partition to the best-liked worker that has room.

    ``workers`` maps member ids to stable names. Stateless, even, and few partitions move when a
    worker comes or goes.
    """
    ordered = sorted(partitions)
    room = math.ceil(len(ordered) / len(workers))
    assigned: dict[str, list[int]] = {member: [] for member in workers}
    for partition in ordered:
        liked = sorted(workers, key=lambda member: (_liking(partition, workers[member]), member), reverse=True)
        assigned[next(member for member in liked if len(assigned[member]) < room)].append(partition)
    return assigned


def _liking(partition: int, name: bytes) -> bytes:
    return hashlib.blake2b(b"%d|" % partition + name, digest_size=8).digest()


class Told(Struct, frozen=True):
    """What the leader tells a member beside its own partitions."""

    owners: dict[int, str] = {}
    """Who owns which partition of the member's topic."""
    topics: tuple[str, ...] = ()
    """All topics of the group: more than one where two installations share it."""


class Rendezvous(AbstractPartitionAssignor):
    """The one assignor of the group."""

    name = "poller-rendezvous"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]  # an instance serves as its class
    version = 0

    def __init__(self, worker: str) -> None:
        self._worker = worker.encode()
        self.told = Told()
        """What the leader said last."""

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What every member tells the leader: its stable name."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), self._worker)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, ConsumerProtocolMemberAssignment]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The leader's answer: each topic goes to those who want it, whoever else is in the group."""
        topics = tuple(sorted({topic for data in members.values() for topic in data.subscription}))
        answer: dict[str, ConsumerProtocolMemberAssignment] = {}
        for topic in topics:
            workers = {member: data.user_data or member.encode() for member, data in members.items() if topic in data.subscription}
            assigned = assign(cluster.partitions_for_topic(topic) or (), workers)
            owners = {number: workers[member].decode("utf-8", "replace") for member, numbers in assigned.items() for number in numbers}
            told = msgspec.json.encode(Told(owners, topics))
            for member, numbers in assigned.items():
                answer[member] = ConsumerProtocolMemberAssignment(self.version, [(topic, numbers)], told)
        return answer

    def on_assignment(self, assignment: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the leader tells. A leader of an earlier release tells nothing."""
        try:
            self.told = msgspec.json.decode(assignment.user_data or b"{}", type=Told)
        except msgspec.MsgspecError:
            self.told = Told()
