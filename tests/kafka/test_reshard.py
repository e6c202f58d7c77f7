"""Another number of shards, on real Kafka: nothing published again, nothing missed, whatever dies on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from poller.commands import fill_latest, state_topic
from poller.commands import rebuild as rebuilding
from poller.commands import reshard as resharding
from poller.config import load as configuration
from poller.demo.kafka.broker import Cluster
from poller.demo.simulator.judge import Verdict
from poller.errors import Refused, WrongState
from poller.kafka import topics
from poller.kafka.client import Kafka
from poller.kafka.connect import connection_of
from poller.kafka.connection import silence_fenced_futures
from poller.kafka.port import STATE, Stored
from poller.model import DAY, SECOND, Instant
from poller.publishing.cache import CacheDirectory
from poller.publishing.restore import restore
from tests.support.newest import wrong
from tests.support.trial import Trial, faults, now
from tests.unit.commands.test_cli import poller

pytestmark = pytest.mark.anyio


SHARDS = 2
"""Of the trials that die at every step."""

A_LOOK: Instant = 3 * SECOND
"""What lies between two listings of a thread at most."""


class Death(Exception):
    """The process dies here."""


async def polled_for(trial: Trial, transactions: int) -> Instant:
    """A worker that runs until it has committed so often, and stops cleanly; when it was told to."""
    before, process = trial.commits(), trial.start()
    with anyio.fail_after(150):
        while trial.commits() < before + transactions:
            await anyio.sleep(0.05)
    stopped = now()
    process.send_signal(signal.SIGTERM)
    assert await anyio.to_thread.run_sync(process.wait, 25) == 0
    return stopped


def adopted(trial: Trial, stopped: Instant, verdict: Verdict) -> bool:
    """Whether all is as it should be but for contents that changed while there was no state: these were adopted without an event."""
    known = {sms.id: sms for sms in trial.world.all()}
    changed = [known[key.rpartition("/")[2]].classified or 0 for key in verdict.stale]
    told = verdict.statuses_published == verdict.statuses_expected
    return told and verdict._replace(stale=[]).good and all(classified > stopped - A_LOOK for classified in changed)


@contextmanager
def mortal(monkeypatch: pytest.MonkeyPatch, dies_at: int) -> Iterator[None]:
    """This process dies at a step of a tool: each transaction, creation and deletion is one."""
    steps = 0

    def step_of(step):  # type: ignore[no-untyped-def]
        async def stepped(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            if steps == dies_at:
                raise Death
            return await step(*args, **kwargs)

        return stepped

    with monkeypatch.context() as patch:
        patch.setattr(state_topic.Batches, "flush", step_of(state_topic.Batches.flush))
        patch.setattr(fill_latest._Shard, "flush", step_of(fill_latest._Shard.flush))
        patch.setattr(topics, "delete_state", step_of(topics.delete_state))
        patch.setattr(topics, "create", step_of(topics.create))
        yield


async def reshard(trial: Trial, shards: int, monkeypatch: pytest.MonkeyPatch, *, dies_at: int = 1 << 30) -> int:
    """In this process, which dies at a step."""
    kafka = Kafka(connection_of(configuration.load(trial.config())))
    with mortal(monkeypatch, dies_at):
        return await resharding.reshard(kafka, shards, replication_factor=1, say=lambda what: None)


async def rebuild(trial: Trial, monkeypatch: pytest.MonkeyPatch, *, dies_at: int = 1 << 30) -> int:
    """In this process, which dies at a step."""
    kafka = Kafka(connection_of(configuration.load(trial.config())))
    with mortal(monkeypatch, dies_at):
        return await rebuilding.rebuild(kafka, replication_factor=1, say=lambda what: None)


async def test_the_number_of_shards_changes_and_nothing_else(
    kafka: Cluster, names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 to 7, then to 3: the daemon goes on, each message once, revisions and transactions without a gap."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=3)
    async with trial.providers():
        await polled_for(trial, 40)
        done = poller("reshard", "--config", str(trial.config()), "--shards", "7")
        assert done.returncode == 0, done
        trial.shards = 7
        await polled_for(trial, 15)
        assert await reshard(trial, 3, monkeypatch) > 100
        trial.shards = 3
        verdict = await trial.settle()
    assert verdict.good, verdict
    assert not faults(trial.events)


async def test_a_worker_stands_in_the_way_and_an_unfinished_change_in_a_workers(
    kafka: Cluster, names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live member of the group is refused with the fix; while the copy exists no worker starts."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=4, session="6s")
    async with trial.providers():
        process = trial.start()
        link = connection_of(configuration.load(trial.config()))
        while not await topics.members(Kafka(link)):
            await anyio.sleep(0.1)
        with pytest.raises(WrongState, match="workers are running"):
            await reshard(trial, 7, monkeypatch)
        assert not await topics.exists(Kafka(link), topics.copy_name(names["state"]))
        process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(process.wait, 25) == 0
        with pytest.raises(Death):
            await reshard(trial, 7, monkeypatch, dies_at=3)
        refused = poller("run", "--config", str(trial.config()))
        assert refused.returncode == 3
        assert "run it again" in refused.stderr
        assert await reshard(trial, 7, monkeypatch) > 0


async def latest_made_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic of latest messages is deleted, and filled from the events: dying at its creation and at transactions, then whole."""
    config = configuration.load(trial.config())
    with AdminClient({"bootstrap.servers": trial.bootstrap}) as admin:
        admin.delete_topics([trial.names["latest"]])[trial.names["latest"]].result(30)
    while await topics.exists(Kafka(connection_of(config)), trial.names["latest"]):
        await anyio.sleep(0.05)
    for step in (1, 2, 15):
        with mortal(monkeypatch, step), pytest.raises(Death):
            await fill_latest.fill(config, say=lambda what: None)
    found = await fill_latest.fill(config, say=lambda what: None)
    assert (found.written > 0, found.there > 0, found.untold, found.strangers) == (True, True, 0, 0)
    again = await fill_latest.fill(config, say=lambda what: None)
    assert (again.written, again.there) == (0, found.written + found.there)


async def test_what_is_lost_is_made_again_from_what_was_published(
    kafka: Cluster, names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state topic is deleted; rebuilt, dying at every step, then resharded, the daemon goes on: nothing again, no gap.

    The topic of latest messages is deleted, too; filled from the events it has each message once, in its newest state.
    As docs/scale.md says, contents that changed while there was no state are adopted without an event; nothing else may differ.
    Until the rebuild has ended no worker starts, which the check says as well, and a state that is whole is not rebuilt.
    """
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names | {"latest": f"latest-{names['state']}"}, seed=6, session="6s")
    async with trial.providers():
        stopped = await polled_for(trial, 10)
        refused = poller("rebuild", "--config", str(trial.config()))
        assert refused.returncode == 3
        assert "nothing needs to be rebuilt" in refused.stderr
        await topics.delete_state(Kafka(connection_of(configuration.load(trial.config()))))
        for step in range(1, 20):
            if step in (1, 2, 4):  # nothing is there, a topic without marks, some shards
                for command in (("run",), ("check", "--online")):
                    refused = await anyio.to_thread.run_sync(partial(poller, *command, "--config", str(trial.config())))
                    assert refused.returncode == 3, refused
                    assert "poller rebuild" in refused.stderr
            try:
                assert await rebuild(trial, monkeypatch, dies_at=step) > 100 or step > 3
                break
            except Death:
                continue
        assert step > 3, "it died more than twice: at the creation, at marks, at shards"
        assert await reshard(trial, 6, monkeypatch) > 100
        trial.shards = 6
        await latest_made_again(trial, monkeypatch)
        verdict = await trial.settle(enough=partial(adopted, trial, stopped))
    assert adopted(trial, stopped, verdict), verdict
    assert not faults(trial.events + trial.latest)
    differing = {each.partition(": ")[0] for each in wrong(trial.events, trial.latest)}
    assert differing <= set(verdict.stale), "only what was adopted without an event may be newer than the events"
    audited = poller("audit", "--config", str(trial.config()))
    assert audited.returncode == 0, audited


async def killed_at_every_step(trial: Trial, command: str, *more: str) -> tuple[int, subprocess.CompletedProcess[str]]:
    """A command, killed by SIGKILL before and after each of its steps until it ends by itself: how often, and how it ended then."""
    line = [sys.executable, "-m", "tests.support.mortal_tool", command, "--config", str(trial.config()), *more]
    done = await anyio.to_thread.run_sync(partial(subprocess.run, line, capture_output=True, text=True, check=False, timeout=200))
    return int(done.stdout.split()[-2]), done


async def held(kafka: Kafka, shards: int) -> list[list[Stored]]:
    """What each partition of the state holds, in its order."""
    ends = [await kafka.ends(shard) for shard in range(shards)]
    return [[record async for chunk in kafka.read(shard, end.begin, end.end) for record in chunk.records] for shard, end in enumerate(ends)]


async def as_it_was(kafka: Kafka, before: list[list[Stored]]) -> None:
    """The state topic as of an earlier time, as a copy that came late, or a replica that was behind, would have it."""
    await topics.replace_state(kafka, 1)
    for shard, records in enumerate(before):
        writer = state_topic.Batches(await kafka.open_and_fence(shard), shard)
        for key, value in records:
            await writer.add(key, value)
        await writer.flush()
        await writer.close()


async def lose_beginning(kafka: Kafka, shard: int) -> None:
    """Half of a partition expires: Kafka deletes nothing of a topic that is only compacted, so somebody gave it another policy."""
    name, end = kafka.connection.topics[STATE], await kafka.ends(shard)
    with AdminClient({"bootstrap.servers": kafka.connection.bootstrap}) as admin:
        for policy in ("delete", "compact"):
            entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
            resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
            admin.incremental_alter_configs([resource])[resource].result(30)
            if policy == "delete":
                place = TopicPartition(name, shard, end.begin + (end.end - end.begin) // 2)
                await anyio.to_thread.run_sync(deleted_up_to, admin, place)


def deleted_up_to(admin: AdminClient, place: TopicPartition) -> None:
    """Once the new policy is known to the partition's leader."""
    for _ in range(100):
        try:
            admin.delete_records([place])[place].result(30)
        except KafkaException:
            continue
        return
    raise AssertionError("the records cannot be deleted")


async def test_a_state_that_lost_a_part_is_made_whole(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """Its last transactions are lost, and of one shard the first records: found, and rebuilt, killed at every step; nothing comes again.

    A worker whose cache was further refuses to go on, the audit says what the state does not know, and both are content afterwards.
    """
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=7)
    trial.shards = SHARDS
    async with trial.providers():
        await polled_for(trial, 10)
        state = Kafka(connection_of(configuration.load(trial.config())))
        before = await held(state, SHARDS)
        stopped = await polled_for(trial, 25)
        await as_it_was(state, before)
        audited = poller("audit", "--config", str(trial.config()))
        assert (audited.returncode, "unknown to the state" in audited.stdout) == (1, True), audited
        behind = [shard for shard in range(SHARDS) if await refused(state, shard, tmp_path / "worker")]
        assert behind
        await lose_beginning(state, behind[0])
        kills, done = await killed_at_every_step(trial, "rebuild")
        assert (kills, done.returncode) == (2 * 2 * len(behind), 3), "before and after the mark of each, and before and after it is whole"
        assert "nothing needs to be rebuilt" in done.stderr, "it was whole when it was killed last"
        assert not [shard for shard in range(SHARDS) if await refused(state, shard, tmp_path / "worker")]
        verdict = await trial.settle(enough=partial(adopted, trial, stopped))
    assert adopted(trial, stopped, verdict), verdict
    assert not faults(trial.events)
    audited = poller("audit", "--config", str(trial.config()))
    assert audited.returncode == 0, audited


async def refused(kafka: Kafka, shard: int, cache: Path) -> bool:
    """Whether a worker with this cache refuses to go on from a shard."""
    with CacheDirectory(cache) as store:
        try:
            await restore(kafka, shard, store.shard(shard), now=now(), retention=DAY, progress=lambda *_: None)
        except Refused as error:
            return "poller rebuild" in error.fix
    return False


async def test_a_reshard_that_is_killed_goes_on(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """By SIGKILL before and after every step, each time a little later; then it ends, and the daemon goes on from the new shards."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=8)
    trial.shards = SHARDS
    async with trial.providers():
        await polled_for(trial, 10)
        kills, done = await killed_at_every_step(trial, "reshard", "--shards", "1")
        assert done.returncode == 0, done
        assert kills == 2 * (1 + 1 + 2 + 1 + 1), (
            "before and after: a copy is made, filled, the state is made anew, filled, the copy is deleted"
        )
        link = connection_of(configuration.load(trial.config()))
        assert not await topics.exists(Kafka(link), topics.copy_name(names["state"]))
        trial.shards = 1
        verdict = await trial.settle()
    assert verdict.good, verdict
    assert not faults(trial.events)
