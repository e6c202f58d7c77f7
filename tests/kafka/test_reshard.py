"""Another number of shards, on real Kafka: nothing published again, nothing missed, whatever dies on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from confluent_kafka.admin import AdminClient

from poller.commands import fill_latest, state_topic
from poller.commands import rebuild as rebuilding
from poller.commands import reshard as resharding
from poller.config import load as configuration
from poller.demo.kafka.broker import Cluster
from poller.errors import WrongState
from poller.kafka import topics
from poller.kafka.client import Kafka
from poller.kafka.connect import connection_of
from poller.kafka.connection import silence_fenced_futures
from poller.model import SECOND, Instant
from poller.publishing.state_records import Meta
from tests.support.newest import wrong
from tests.support.trial import Trial, faults, now
from tests.unit.commands.test_cli import poller

pytestmark = pytest.mark.anyio


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
    """4 to 7, dying at many steps, then to 3: the daemon goes on, each message once, revisions and transactions without a gap."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=3)
    async with trial.providers():
        await polled_for(trial, 40)
        deaths = 0
        for step in (2, 9, 13, 20):
            try:
                await reshard(trial, 7, monkeypatch, dies_at=step)
            except Death:
                deaths += 1
        assert deaths > 2
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
    Until the rebuild has ended no worker starts, and a state that is whole is not rebuilt.
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
                refused = poller("run", "--config", str(trial.config()))
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
        verdict = await trial.settle()
    known = {sms.id: sms for sms in trial.world.all()}
    adopted = [known[key.rpartition("/")[2]].classified or 0 for key in verdict.stale]
    assert all(classified > stopped - A_LOOK for classified in adopted), verdict
    assert verdict._replace(stale=[]).good, verdict
    assert verdict.statuses_published == verdict.statuses_expected
    assert not faults(trial.events + trial.latest)
    differing = {each.partition(": ")[0] for each in wrong(trial.events, trial.latest)}
    assert differing <= set(verdict.stale), "only what was adopted without an event may be newer than the events"
    audited = poller("audit", "--config", str(trial.config()))
    assert audited.returncode == 0, audited


def killed_when_it_says(said: str, *command: str) -> None:
    """A command, killed by SIGKILL as soon as it says something."""
    with subprocess.Popen([sys.executable, "-m", "poller", *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(said in line for line in process.stderr)
        process.kill()


async def test_a_rebuild_that_is_killed_goes_on(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """By SIGKILL, again and again, each time a little later; then it ends, and says how many messages are known."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=7)
    async with trial.providers():
        await polled_for(trial, 10)
        link = connection_of(configuration.load(trial.config()))
        await topics.delete_state(Kafka(link))
        for said in ("is read", "is written"):
            await anyio.to_thread.run_sync(killed_when_it_says, said, "rebuild", "--config", str(trial.config()))
        done = poller("rebuild", "--config", str(trial.config()))
        assert done.returncode in (0, 3), done
        assert all(meta is None or not meta.rebuilding for meta in await state_topic.metas(Kafka(link)) or ())
        verdict = await trial.settle()
    assert verdict._replace(stale=[]).good, verdict
    assert not faults(trial.events)


async def test_a_reshard_that_is_killed_goes_on(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> None:
    """By SIGKILL at each thing that it says, each time a little later; then it ends, and the daemon goes on from the new shards."""
    silence_fenced_futures()
    trial = Trial(tmp_path, kafka.bootstrap, names, seed=8)
    async with trial.providers():
        await polled_for(trial, 10)
        command = ("reshard", "--config", str(trial.config()), "--shards", "3")
        for said in ("1 of 2", "2 of 2"):
            await anyio.to_thread.run_sync(killed_when_it_says, said, *command)
        done = poller(*command)
        assert done.returncode == 0, done
        link = connection_of(configuration.load(trial.config()))
        assert not await topics.exists(Kafka(link), topics.copy_name(names["state"]))
        trial.shards = 3
        verdict = await trial.settle()
    assert verdict.good, verdict
    assert not faults(trial.events)


def test_transaction_numbers_and_keys_go_on_through_any_number_of_changes() -> None:
    """4 to 2 to 4 shards: no shard ever uses a number twice, every key is kept, and commits only rise."""
    old = [Meta("g", 4, "n", bytes([number]) * 32, clock=number, sequence=10 + number) for number in range(4)]
    two = resharding.new_metas(list(old), 2)
    four = resharding.new_metas(list(two), 4)
    assert [meta.sequence for meta in four] == [10, 11, 12, 13]
    assert all(set(meta.keys) | {meta.key} == {each.key for each in old} for meta in two + four)
    assert min(meta.clock for meta in four) > max(meta.clock for meta in two) > 3
    assert len({meta.nonce for meta in old + two + four}) == 7
