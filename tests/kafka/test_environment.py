"""A real Kafka that is not as it should be: whoever shares the group, a wrong clock, small topics; each is said, with its fix."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import anyio
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from poller.demo.kafka.broker import Cluster
from poller.errors import ConfigError, Refused
from poller.kafka import state_topic, topics, writer
from poller.kafka.client import Kafka
from poller.kafka.connection import Connection, silence_fenced_futures
from poller.kafka.port import Membership, Record, Stored

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("kafka")]
SAID_S = 10.0


async def installation(cluster: Cluster, names: dict[str, str], **link: Any) -> Kafka:
    """The port, over topics that exist."""
    silence_fenced_futures()
    given = {"group": names["state"], "worker": "one", "session_s": 2.0, **link}
    kafka = Kafka(Connection(bootstrap=cluster.bootstrap, topics=names, shards=4, **given))
    await topics.create(kafka, tuple(names), partitions=4, replication_factor=1)
    return kafka


async def until(found: Callable[[], Any]) -> Any:
    """Look again until there is something, as long as it may take to be said."""
    with anyio.fail_after(SAID_S):
        while not (answer := found()):
            await anyio.sleep(0.1)
    return answer


async def test_a_group_that_another_consumer_uses_is_said(kafka: Cluster, names: dict[str, str]) -> None:
    """A consumer with an assignor of its own is in the group: we are told whose it is and what to do, and go on trying."""
    ours = await installation(kafka, names)
    theirs = AIOKafkaConsumer(names["messages"], bootstrap_servers=kafka.bootstrap, group_id=names["state"])
    await theirs.start()
    try:
        async with ours.membership() as seat:
            trouble = await until(seat.trouble)
            assert "other consumers" in str(trouble)
            assert "kafka.group" in trouble.fix
            await theirs.stop()
            owned = await seat.next()
            while not owned.stable:
                owned = await seat.next()
            assert owned.shards == {0, 1, 2, 3}
            assert seat.trouble() is None
    finally:
        await theirs.stop()


async def test_two_installations_with_one_group_are_said_and_keep_their_own_shards(kafka: Cluster, names: dict[str, str]) -> None:
    """Each worker owns every shard of its own state topic, none of the other's, and names the other's topic."""
    others = {role: f"other-{name}" for role, name in names.items()}
    one, two = await installation(kafka, names), await installation(kafka, others, group=names["state"], worker="two")
    async with one.membership() as mine, two.membership() as theirs:
        for seat, other in ((mine, others["state"]), (theirs, names["state"])):
            trouble = await until(seat.trouble)
            assert isinstance(trouble, Refused)
            assert other in str(trouble)
            assert "kafka.group" in trouble.fix
        for seat in (mine, theirs):
            with anyio.fail_after(SAID_S):
                owned = await seat.next()
                while not owned.stable:
                    owned = await seat.next()
            assert owned.shards == {0, 1, 2, 3}


async def test_of_two_workers_with_one_instance_id_one_stops(kafka: Cluster, names: dict[str, str]) -> None:
    """They would take the seat from each other for ever; the one that stops says which key is wrong."""
    one = await installation(kafka, names, instance_id="same")
    two = Kafka(one.connection)
    stopped: list[str] = []

    async def follow(seat: Membership, done: anyio.Event) -> None:
        try:
            while True:
                await seat.next()
        except ConfigError as error:
            stopped.append(str(error))
            done.set()

    async with one.membership() as first, two.membership() as second, anyio.create_task_group() as tasks:
        done = anyio.Event()
        tasks.start_soon(follow, first, done)
        tasks.start_soon(follow, second, done)
        with anyio.fail_after(3 * SAID_S):
            await done.wait()
        tasks.cancel_scope.cancel()
    assert "kafka.instance_id" in stopped[0]
    assert "fix:" in stopped[0]


@pytest.mark.parametrize("ahead_s", [3_700, 7_200, 26 * 3_600, 400 * 86_400, 7_900 * 365 * 86_400])
async def test_a_clock_that_is_ahead_is_a_refusal_with_its_fix(
    kafka: Cluster, names: dict[str, str], monkeypatch: pytest.MonkeyPatch, ahead_s: int
) -> None:
    """The broker refuses timestamps from the future: that is definite, no uncertain commit."""
    ours = await installation(kafka, names)

    def ahead(batch: Any, record: Record) -> bool:
        at = round((time.time() + ahead_s) * 1000)
        return batch.append(key=record.key, value=record.value, timestamp=at, headers=list(record.headers)) is not None

    monkeypatch.setattr(writer, "_append", ahead)
    producer = await ours.open_and_fence(1)
    with pytest.raises(Refused, match="clock") as caught:
        await producer.commit([Record("state", 1, b"k", b"v"), Record("messages", 0, b"k", b"v")], timeout_s=20)
    assert "NTP" in caught.value.fix
    await producer.close()


async def test_check_finds_a_clock_that_kafka_would_refuse(kafka: Cluster, names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a record that it takes back: nothing of it is ever read."""
    ours = await installation(kafka, names)
    send = AIOKafkaProducer.send
    for ahead_s, fine in ((0, True), (7200, False)):
        monkeypatch.setattr(AIOKafkaProducer, "send", partialmethod(send, timestamp_ms=round((time.time() + ahead_s) * 1000)))
        producer = await ours.open_and_fence(-1)
        with contextlib.nullcontext() if fine else pytest.raises(Refused, match="clock"):
            await producer.rehearse(list(names.values()), timeout_s=20)
        await producer.close()
    for shard in range(4):
        end = await ours.ends(shard)
        assert [record async for chunk in ours.read(shard, 0, end.end) for record in chunk.records] == []


async def test_topics_that_take_little_are_warned_of_and_written_all_the_same(kafka: Cluster, names: dict[str, str]) -> None:
    """``max.message.bytes`` of 131072: batches are split to fit, and what one record may take follows from the topics."""
    ours = await installation(kafka, names)
    async with ours.admin() as admin:
        small = {"max.message.bytes": "131072", "cleanup.policy": "delete"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, names["messages"], configs=small)])
    with anyio.fail_after(SAID_S):
        while (found := await topics.inspect(ours))[names["messages"]].bytes_max != 131072:
            await anyio.sleep(0.1)
    plan = topics.compare(names, found, partitions=4, shards=4)
    assert not plan.problems
    assert any("max.message.bytes" in warning and names["messages"] in warning for warning in plan.warnings)
    most = topics.record_bytes_max(names, found)
    fitting = Kafka(
        Connection(bootstrap=kafka.bootstrap, topics=names, shards=4, group="g", message_bytes_max=topics.batch_bytes_max(found))
    )
    producer = await fitting.open_and_fence(1)
    many = [Record("messages", 0, b"k%d" % number, os.urandom(2_000)) for number in range(300)]
    largest = Record("messages", 0, b"k", os.urandom(most - 1_100))
    await producer.commit([Record("state", 1, b"k", b"v"), *many, largest], timeout_s=20)
    await producer.close()


async def test_requests_come_from_their_own_topic(kafka: Cluster, names: dict[str, str]) -> None:
    """What a command asks while a worker listens arrives; the state topic stays as it is."""
    ours = await installation(kafka, names)
    heard: list[Stored] = []
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            async for request in ours.requests():
                heard[:] = [*heard, request]

        tasks.start_soon(listen)
        with anyio.fail_after(SAID_S):
            while not heard:
                await ours.send_request(b"bheymarket/main/team", b"\x01x")
                await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()
    assert heard[0] == Stored(b"bheymarket/main/team", b"\x01x")
    assert [(await ours.ends(shard)).end for shard in range(4)] == [0, 0, 0, 0]


@pytest.mark.parametrize("look_back", [state_topic.LOOK_BACK, 2])
async def test_a_look_at_many_shards_opens_no_more_readers_than_a_look_at_one(
    kafka: Cluster, names: dict[str, str], monkeypatch: pytest.MonkeyPatch, look_back: int
) -> None:
    """A start asks whose the state is within its ten seconds, however many shards there are and however far back the answer lies."""
    monkeypatch.setattr(state_topic, "LOOK_BACK", look_back)
    silence_fenced_futures()
    ours, opened = Kafka(Connection(bootstrap=kafka.bootstrap, topics=names, shards=48, group=names["state"])), list[Any]()
    await topics.create(ours, tuple(names), partitions=4, replication_factor=1)
    written = {3: [b"old", b"new"], 40: [b"only"], 47: []}
    for shard, values in written.items():
        producer = await ours.open_and_fence(shard)
        for value in values:
            await producer.commit([Record("state", shard, b"key", value)], timeout_s=20)
        await producer.commit([Record("state", shard, b"other%d" % number, b"x") for number in range(5)], timeout_s=20)
        await producer.close()
    opens = Kafka.consumer
    monkeypatch.setattr(Kafka, "consumer", lambda self, **options: opened.append(self) or opens(self, **options))
    assert await state_topic.newest_values(ours, b"key") == {3: b"new", 40: b"only"}
    assert len(opened) <= 3
    assert len([record async for record in state_topic.records(ours)]) == 18
