"""Kafka with its doors shut: every way to be known, the least rights, and an error that names the right that is missing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import anyio
import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from poller.commands import check
from poller.config import load as configuration
from poller.errors import KafkaError, Refused, first
from poller.kafka import topics
from poller.kafka.client import Kafka
from poller.kafka.connect import connection_of
from poller.kafka.port import MESSAGES, REQUESTS, STATE, Record
from tests.support.secure import LISTENERS, Secured, secured

pytestmark = pytest.mark.anyio
TOPIC, GROUP, TXN = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
READ, WRITE, CREATE, CONFIGS = AclOperation.READ, AclOperation.WRITE, AclOperation.CREATE, AclOperation.DESCRIBE_CONFIGS
Right = tuple[ResourceType, str, AclOperation]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One broker for all."""
    with secured(tmp_path_factory.mktemp("secure")) as found:
        yield found


class Visitor:
    """A configuration with topics of its own, and what a worker does with Kafka."""

    def __init__(self, door: Secured, way: str, **other: object) -> None:
        mark = uuid.uuid4().hex[:8]
        self.names = {role: f"{role}-{mark}" for role in ("messages", "status", "dead_letters", "state", "requests")}
        self.group = f"group-{mark}"
        account = {"name": "c", "provider": "stuut", "base_url": "http://127.0.0.1:1", "credentials": {"token": {"file": "token"}}}
        value = {
            "kafka": {
                "bootstrap_servers": [f"127.0.0.1:{door.ports[way]}"],
                "topics": self.names, "group": self.group, "shards": 1, "partitions": 1,
                "security": {**door.security(way), **other},
            },
            "accounts": [{**account, "threads": ["t"]}],
        }  # fmt: skip
        path = door.folder / f"{mark}.yaml"
        path.write_text(json.dumps(value))
        self.config = configuration.load(path)

    def rights(self) -> dict[str, Right]:
        """The least that a worker needs; docs/security.md says the same."""
        rights: dict[str, Right] = {f"{role} Read": (TOPIC, name, READ) for role, name in self.names.items()}
        rights |= {f"{role} Write": (TOPIC, name, WRITE) for role, name in self.names.items() if role != REQUESTS}
        rights |= {f"{role} DescribeConfigs": (TOPIC, name, CONFIGS) for role, name in self.names.items()}
        rights |= {f"{role} Create": (TOPIC, name, CREATE) for role, name in self.names.items()}
        rights["group Read"] = (GROUP, self.group, READ)
        rights["ids Write"] = (TXN, self.names["state"], WRITE)
        return rights

    async def work(self) -> None:
        """Create, look at, fence, commit, read what there is and what is asked, join: every right is used."""
        kafka = Kafka(connection_of(self.config))
        plan = topics.compare(kafka.connection.topics, await topics.inspect(kafka), partitions=1, shards=1)
        await topics.create(kafka, plan.create, partitions=1, replication_factor=None)
        assert not topics.compare(kafka.connection.topics, await topics.inspect(kafka), partitions=1, shards=1).problems
        writer = await kafka.open_and_fence(0)
        try:
            records = [
                Record(STATE, 0, b"xk", b"v"),
                *(Record(role, 0, b"k", b"v") for role in self.names if role not in (STATE, REQUESTS)),
            ]
            assert {record.topic for record in records} >= {STATE, MESSAGES}
            offset = await writer.commit(records, timeout_s=10)
        finally:
            await writer.close()
        assert [record async for chunk in kafka.read(0, 0, offset) for record in chunk.records]
        assert not await kafka.has_published({0}, ())
        await kafka.try_to_read([self.names[REQUESTS]])
        trouble = None
        try:
            async with kafka.membership() as seat:
                with anyio.fail_after(20):
                    while not (await seat.next()).shards:
                        pass
        except* Refused as refused:
            trouble = first(refused)
        if trouble is not None:  # raised in there, Python before 3.11.4 would wrap it
            raise trouble


@pytest.mark.parametrize("way", list(LISTENERS))
async def test_every_way_to_be_known_works_with_the_least_rights(door: Secured, way: str) -> None:
    """TLS with a client certificate, and SASL PLAIN, SCRAM and OAUTHBEARER over TLS: a worker does all of its work."""
    door.forbid_all()
    visitor = Visitor(door, way)
    for right, (kind, name, operation) in visitor.rights().items():
        door.allow(kind, name, operation, prefix=right == "ids Write")
    await visitor.work()


MISSING = [
    ("messages Write", "Write"), ("state Write", "Write"), ("state Read", "Read"), ("messages DescribeConfigs", "DescribeConfigs"),
    ("messages Read", "Read on the topics messages-"), ("requests Read", "Read on the topics requests-"),
    ("status Create", "Create"), ("group Read", "Read on the group"), ("ids Write", "transactional ids"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "named"), MISSING)
async def test_a_missing_right_is_named(door: Secured, right: str, named: str) -> None:
    """Without one of the rights the error says which one to add."""
    door.forbid_all()
    visitor = Visitor(door, "PLAIN")
    for name, (kind, resource, operation) in visitor.rights().items():
        if name != right:
            door.allow(kind, resource, operation, prefix=name == "ids Write")
        elif kind is TOPIC:
            door.allow(kind, resource, AclOperation.DESCRIBE)  # which Write and Read would imply
    with pytest.raises(Refused) as refused:
        await visitor.work()
    assert named in refused.value.fix, (str(refused.value), refused.value.fix)


MORE = [("status Write", "Write on the topics status-"), ("dead_letters Write", "Write on the topics dead_letters-")]


@pytest.mark.parametrize(("right", "named"), [("", ""), *MISSING, *MORE])
async def test_check_finds_the_right_that_run_would_miss(door: Secured, right: str, named: str) -> None:
    """Create only where topics are missing, all others where they are there; with all rights it finds nothing."""
    door.forbid_all()
    visitor = Visitor(door, "PLAIN")
    kafka, least = Kafka(connection_of(visitor.config)), visitor.rights()
    for name, (kind, resource, operation) in least.items():
        door.allow(kind, resource, operation, prefix=name == "ids Write")
    if not right.endswith("Create"):
        await topics.create(kafka, tuple(visitor.names), partitions=1, replication_factor=None)
    if right:
        door.forbid_all()
        for name, (kind, resource, operation) in least.items():
            if name != right:
                door.allow(kind, resource, operation, prefix=name == "ids Write")
            elif kind is TOPIC:
                door.allow(kind, resource, AclOperation.DESCRIBE)
    found: list[tuple[int, str]] = []
    await check._kafka(visitor.config, found)
    faults = [line for code, line in found if code]
    assert len(faults) == bool(right), faults
    assert all(named in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ("PLAIN", {"password": {"file": "wrong"}}),
        ("SCRAM-SHA-512", {"username": "nobody"}),
        ("MTLS", {"cert_file": None, "key_file": None}),
        ("PLAIN", {"mechanism": "SCRAM-SHA-256", "password": {"file": "wrong"}}),
    ],
)
async def test_wrong_credentials_are_an_error_that_says_so(door: Secured, way: str, wrong: dict[str, object]) -> None:
    """A wrong password, user, mechanism or a missing certificate ends in an error of ours, and never shows the secret."""
    (door.folder / "wrong").write_text("wrong-password")
    visitor = Visitor(door, way, **wrong)
    with pytest.raises(KafkaError) as refused:
        await visitor.work()
    assert "wrong-password" not in str(refused.value) + refused.value.fix
    assert "kafka.security" in refused.value.fix
