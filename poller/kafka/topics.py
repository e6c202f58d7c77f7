"""The topics: what they must be, what is there, and what differs, with the fix."""

from __future__ import annotations

from typing import Any

import anyio
from aiokafka import errors as ak
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.group import HeartbeatRequest
from msgspec import Struct

from ..errors import ConfigError, Refused, Unavailable
from ..model import DAY, Instant
from .client import Kafka
from .port import LATEST, MESSAGES, PUBLIC, REQUESTS, STATE
from .translate import mapped

KEPT = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * 86_400_000),
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}
"""Settings of a new state topic. Tombstones stay for a week, so that a cache up to that age is good."""

POLICIES = {LATEST: ("compact", "compact,delete", "delete,compact"), STATE: ("compact",)}
"""What cleanup.policy may be, the usual one first, where it is not "delete". A table for joins may forget by age, too; the state may not."""

REQUESTS_KEPT = {"cleanup.policy": "delete", "retention.ms": str(86_400_000)}
"""Settings of a new topic for requests: a command repeats what nobody has taken up."""

BYTES_MAX_WANTED = 1_048_588
"""Kafka's own default of max.message.bytes: it takes every record that we make."""

BYTES_MAX_LEAST = 64 << 10
"""With a smaller max.message.bytes the state of a stream may not fit."""

BATCH_OVERHEAD_BYTES = 512
"""Of a batch and its record, beside the record's key, value and headers."""

APPEAR_S = 15.0
"""Seconds within which a topic that was created must be known to all brokers."""


class Found(Struct, frozen=True):
    """One topic as Kafka has it."""

    name: str
    partitions: int
    replicas: int
    settings: dict[str, str]

    @property
    def bytes_max(self) -> int:
        """The largest batch that it takes."""
        return int(self.settings.get("max.message.bytes", BYTES_MAX_WANTED))


class Wanted(Struct, frozen=True):
    """One topic as it is created."""

    role: str
    name: str
    partitions: int
    replicas: int | None
    """None: the broker's default, never more than the live brokers."""
    settings: dict[str, str]


def wanted(
    names: dict[str, str], *, partitions: int, shards: int, replicas: int | None, retention: Instant | None = None
) -> tuple[Wanted, ...]:
    """What every topic of a configuration must be. Pure.

    ``retention`` of the public topics is in microseconds; None leaves it to the broker. The partitions of the state topic are the shards.
    """
    aged: dict[str, str] = {} if retention is None else {"retention.ms": str(retention // 1000)}
    public = {"cleanup.policy": "delete"} | aged
    latest = {"cleanup.policy": "compact,delete" if aged else "compact"} | aged
    in_sync = {"min.insync.replicas": "2"} if replicas is not None and replicas >= 3 else {}
    kept, count = {LATEST: latest, STATE: KEPT, REQUESTS: REQUESTS_KEPT}, {STATE: shards, REQUESTS: 1}
    return tuple(
        Wanted(role, name, count.get(role, partitions), replicas, kept.get(role, public) | in_sync) for role, name in names.items()
    )


class Plan(Struct, frozen=True):
    """What has to be done, what stands in the way, and what an operator should know."""

    create: tuple[str, ...]
    """Roles whose topics are missing."""
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def check(self) -> None:
        """Raises ConfigError with every problem."""
        if self.problems:
            raise ConfigError(list(self.problems))


def compare(names: dict[str, str], found: dict[str, Found], *, partitions: int, shards: int) -> Plan:
    """The plan for the topics of a configuration. Pure."""
    there = {role: found[name] for role, name in names.items() if name in found}
    problems = _partitions(there, partitions=partitions, shards=shards)
    warnings: list[str] = []
    for role, topic in there.items():
        policy, right = topic.settings.get("cleanup.policy", "delete"), POLICIES.get(role, ("delete",))
        if policy not in right:
            problems.append(
                f"topic {topic.name}: cleanup.policy is {policy}; expected {right[0]}; fix: alter the topic's cleanup.policy to {right[0]}"
            )
        in_sync = int(topic.settings.get("min.insync.replicas", "1"))
        if topic.replicas >= 3 and in_sync < 2:
            problems.append(
                f"topic {topic.name}: min.insync.replicas is {in_sync}; expected 2 or more; fix: alter the topic's min.insync.replicas to 2"
            )
        if topic.replicas == 1:
            warnings.append(f"topic {topic.name}: only one replica; a lost disk loses it")
        if topic.bytes_max < BYTES_MAX_LEAST:
            problems.append(
                f"topic {topic.name}: max.message.bytes is {topic.bytes_max}; expected {BYTES_MAX_LEAST} or more; "
                f"fix: alter the topic's max.message.bytes to {BYTES_MAX_WANTED}"
            )
        elif topic.bytes_max < BYTES_MAX_WANTED and role != REQUESTS:
            warnings.append(
                f"topic {topic.name}: max.message.bytes is {topic.bytes_max}; rows over {record_bytes_max(names, found)} bytes become "
                f"dead letters; fix: alter the topic's max.message.bytes to {BYTES_MAX_WANTED}"
            )
    missing = tuple(role for role, name in names.items() if name not in found)
    if LATEST in missing and MESSAGES in there:
        warnings.append(
            f"topic {names[LATEST]}: it is new, and gets only messages that change from now on; fix: stop the workers, run: "
            "poller rebuild --latest"
        )
    return Plan(missing, tuple(problems), tuple(warnings))


def altered(plan: Plan) -> Refused | None:
    """What of the topics is no longer as it was at the start, as an error that a running worker can say; None where nothing is."""
    gone = (f"no topic for {', '.join(plan.create)}; expected all; fix: poller topics create",) if plan.create else ()
    parts = [each.partition("; fix: ") for each in (*plan.problems, *gone)]
    return Refused("; ".join(what for what, _, _ in parts), fix="; ".join(fix for _, _, fix in parts)) if parts else None


def _partitions(there: dict[str, Found], *, partitions: int, shards: int) -> list[str]:
    """What is wrong with the numbers of partitions: one problem, with one fix, for all public topics together."""
    problems: list[str] = []
    state, public = there.get(STATE), [topic for role, topic in there.items() if role in PUBLIC]
    if state is not None and state.partitions != shards:
        problems.append(
            f"topic {state.name}: it has {state.partitions} partitions; expected {shards}; fix: set kafka.shards to {state.partitions}"
        )
    most = max((topic.partitions for topic in public), default=partitions)
    if {topic.partitions for topic in public} == {partitions} or not public:
        return problems
    have = ", ".join(f"{topic.name} {topic.partitions}" for topic in public)
    fewer = [topic.name for topic in public if topic.partitions < most]
    if fewer:
        moved = "; keys move to other partitions, so a message's events are in order by revision only from then on"
        fix = f"add partitions to {', '.join(fewer)} until they have {most}, and set kafka.partitions to {most}{moved}"
    else:
        fix = f"set kafka.partitions to {most}"
    problems.append(f"the public topics have other numbers of partitions: {have}; expected {partitions} each; fix: {fix}")
    return problems


def record_bytes_max(names: dict[str, str], found: dict[str, Found]) -> int:
    """The largest record that every public topic takes, in bytes of key, value and headers."""
    taken = (found[name].bytes_max for role, name in names.items() if role in PUBLIC and name in found)
    return min(taken, default=BYTES_MAX_WANTED) - BATCH_OVERHEAD_BYTES


def batch_bytes_max(found: dict[str, Found]) -> int:
    """The largest batch that every topic takes."""
    return min((topic.bytes_max for topic in found.values()), default=BYTES_MAX_WANTED) - BATCH_OVERHEAD_BYTES


def retention(found: dict[str, Found], names: dict[str, str]) -> Instant:
    """delete.retention.ms of the state topic, in microseconds."""
    topic = found.get(names[STATE])
    return int(topic.settings.get("delete.retention.ms", "86400000")) * 1000 if topic else DAY


async def inspect(kafka: Kafka) -> dict[str, Found]:
    """The topics of the configuration that exist, by name. Never creates one by asking.

    Raises Unavailable, Refused.
    """
    wanted = set(kafka.connection.topics.values())
    async with kafka.admin() as admin:
        there = sorted(wanted & set(await admin.list_topics()))
        if not there:
            return {}
        settings = await _settings(admin, there)
        found: dict[str, Found] = {}
        for topic in await admin.describe_topics(there):
            parts = topic["partitions"]
            replicas = min((len(part["replicas"]) for part in parts), default=0)
            found[topic["topic"]] = Found(topic["topic"], len(parts), replicas, settings.get(topic["topic"], {}))
        return found


async def _settings(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for code, _, _, name, entries, *_ in answer.resources:
            if for_code(code) is not NoError:
                raise mapped(for_code(code)(), None, right="DescribeConfigs")
            settings[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return settings


async def create(
    kafka: Kafka,
    roles: tuple[str, ...],
    *,
    partitions: int,
    replication_factor: int | None,
    retention: Instant | None = None,
    rehearse: bool = False,
) -> None:
    """Create the topics of these roles, and wait until they are there; with ``rehearse`` only ask whether Kafka would. Raises Unavailable, Refused."""
    link = kafka.connection
    async with kafka.admin() as admin:
        replicas = replication_factor or await _default_replicas(admin)
        all_ = wanted(link.topics, partitions=partitions, shards=link.shards, replicas=replicas, retention=retention)
        new = [NewTopic(each.name, each.partitions, replicas, topic_configs=each.settings) for each in all_ if each.role in roles]
        answer = await admin.create_topics(new, validate_only=rehearse)
        for name, code, *_ in answer.topic_errors:  # pyright: ignore[reportAttributeAccessIssue]
            if for_code(code) not in (NoError, TopicAlreadyExistsError):
                raise Refused(
                    f"topic {name} could not be created ({for_code(code).__name__})", fix="allow Create on it, or create it by hand"
                )
        if rehearse:
            return
        with anyio.move_on_after(APPEAR_S):
            while not {link.topics[role] for role in roles} <= set(await admin.list_topics()):
                await anyio.sleep(0.1)
            return
    raise Unavailable("new topics do not appear", fix="allow Describe on the topics of kafka.topics")


def copy_name(state: str) -> str:
    """The topic that holds the state while its number of shards is being changed."""
    return f"{state}.reshard"


async def exists(kafka: Kafka, name: str) -> bool:
    """Whether Kafka has a topic. Raises Unavailable, Refused."""
    async with kafka.admin() as admin:
        return name in await admin.list_topics()


async def delete_state(kafka: Kafka) -> None:
    """Delete the state topic of this connection, if it is there, and wait until it is gone. Raises Unavailable, Refused."""
    name = kafka.connection.topics[STATE]
    async with kafka.admin() as admin:
        if name not in await admin.list_topics():
            return
        answer = await admin.delete_topics([name])
        for _, code, *_ in answer.topic_error_codes:  # pyright: ignore[reportAttributeAccessIssue]
            if for_code(code) is not NoError:
                raise Refused(f"topic {name} could not be deleted ({for_code(code).__name__})", fix="allow Delete on it")
        with anyio.move_on_after(APPEAR_S):
            while name in await admin.list_topics():
                await anyio.sleep(0.1)
            return
    raise Unavailable("a deleted topic does not disappear")


async def replace_state(kafka: Kafka, replication_factor: int | None) -> None:
    """An empty state topic in place of whatever is there. Raises Unavailable, Refused."""
    await delete_state(kafka)
    await create(kafka, (STATE,), partitions=kafka.connection.shards, replication_factor=replication_factor)


NOBODY = "nobody"
"""No member's id."""


class Group(Struct, frozen=True):
    """Who is in the consumer group."""

    members: int
    protocol_type: str
    """``consumer``, or that of another kind of program; empty without members."""
    protocol: str
    """The name of the assignor; empty without members."""
    may_join: bool = True
    """Whether our user has Read on it."""


async def members(kafka: Kafka) -> int:
    """How many workers are in the group. Raises Unavailable, Refused."""
    return (await group(kafka)).members


async def group(kafka: Kafka) -> Group:
    """The group of this connection. Raises Unavailable, Refused.

    A broker that has just begun, or never saw a group, has no coordinator for a moment.
    """
    async with kafka.admin() as admin:
        began = anyio.current_time()
        while True:
            try:
                answers = await admin.describe_consumer_groups([kafka.connection.group])
            except ak.GroupCoordinatorNotAvailableError:
                if anyio.current_time() - began > APPEAR_S:
                    raise
                await anyio.sleep(0.2)
            else:
                [found] = answers[0].groups  # pyright: ignore[reportAttributeAccessIssue]
                return Group(len(found[5]), found[3], found[4], await _may_join(admin, kafka.connection.group))


async def _may_join(admin: AIOKafkaAdminClient, group: str) -> bool:
    """Whether our user has Read on the group: a heartbeat of nobody needs it, and changes nothing."""
    coordinator = await admin.find_coordinator(group)
    answer = await admin._send_request_to_node(coordinator, HeartbeatRequest(group, -1, NOBODY))
    return for_code(answer.error_code) is not ak.GroupAuthorizationFailedError  # pyright: ignore[reportAttributeAccessIssue]


async def default_replicas(kafka: Kafka) -> int:
    """The replication factor of a topic that is created without one. Raises Unavailable, Refused."""
    async with kafka.admin() as admin:
        return await _default_replicas(admin)


async def _default_replicas(admin: Any) -> int:
    """The broker's default, never more than the live brokers."""
    brokers = (await admin.describe_cluster())["brokers"]
    default = 1
    resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
    for answer in await admin.describe_configs([resource]):
        for code, _, _, _, entries, *_ in answer.resources:
            if for_code(code) is NoError:
                default = next((int(e[1]) for e in entries if e[0] == "default.replication.factor"), 1)
    return max(1, min(default, len(brokers)))
