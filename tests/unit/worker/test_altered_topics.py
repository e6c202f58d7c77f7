"""Topics that somebody alters while workers run: said within a minute, with the fix, and that it is over; nothing ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from poller.config.load import load
from poller.errors import PollerError, Unavailable
from poller.kafka import topics
from poller.kafka.connect import connection_of
from poller.kafka.topics import Found
from poller.worker import daemon
from poller.worker.daemon import _Daemon
from tests.unit.commands.test_cli import good

pytestmark = pytest.mark.anyio
COMPACT, MORE = {"cleanup.policy": "compact"}, {"min.insync.replicas": "2"}


class Said:
    """What is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def kafka_trouble(self, error: PollerError, where: str) -> None:
        """A trouble with its fix."""
        assert error.fix
        self.told.append(f"{where}: {error}")

    def well(self, where: str) -> None:
        """All is as it was."""
        self.told.append(f"{where}: well")


def _as_made(config: Any) -> dict[str, Found]:
    """The topics as ``run`` makes them."""
    kafka = config.kafka
    of = {"state": (kafka.shards, COMPACT), "requests": (1, {})}
    return {
        name: Found(name, of.get(role, (kafka.partitions,))[0], 3, {**of.get(role, (0, {}))[1], **MORE})
        for role, name in kafka.topics.by_role().items()
    }


ALTERED = {
    "partitions of the state": ("state", lambda topic: replace(topic, partitions=topic.partitions + 1), "partitions"),
    "partitions of the messages": ("messages", lambda topic: replace(topic, partitions=topic.partitions + 3), "numbers of partitions"),
    "partitions of the dead letters": ("dead_letters", lambda topic: replace(topic, partitions=topic.partitions * 2), "numbers of partitions"),
    "the state's policy": ("state", lambda topic: replace(topic, settings=MORE), "cleanup.policy is delete"),
    "the messages' policy": ("messages", lambda topic: replace(topic, settings=MORE | COMPACT), "cleanup.policy is compact"),
    "the size of a record": ("status", lambda topic: replace(topic, settings=MORE | {"max.message.bytes": "1000"}), "max.message.bytes is 1000"),
    "the statuses' policy": ("status", lambda topic: replace(topic, settings=MORE | COMPACT), "cleanup.policy is compact"),
    "the size of a state record": ("state", lambda topic: replace(topic, settings=MORE | COMPACT | {"max.message.bytes": "999"}), "max.message.bytes is 999"),
    "the state that is gone": ("state", lambda topic: None, "no topic for state"),
    "a topic that is gone": ("status", lambda topic: None, "no topic for status"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ALTERED))
async def test_what_is_altered_while_running_is_said_and_its_end_too(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a look at which Kafka did not answer."""
    role, change, what = ALTERED[name]
    config, said, nothing = load(good(tmp_path)), Said(), None
    made = _as_made(config)
    topic = config.kafka.topics.by_role()[role]
    changed = change(made[topic])
    looks: list[dict[str, Found] | None] = [
        made,
        made | {topic: changed} if changed else {n: t for n, t in made.items() if n != topic},
        None,
        made,
    ]

    async def inspect(_: Any) -> dict[str, Found]:
        if not looks:
            await anyio.sleep_forever()
        look = looks.pop(0)
        if look is None:
            raise Unavailable("away")
        return look

    monkeypatch.setattr(topics, "inspect", inspect)
    monkeypatch.setattr(daemon, "TOPICS_S", 0.0)
    watching: Any = _Daemon(config, connection_of(config), nothing, said, nothing)  # type: ignore[arg-type]
    with anyio.move_on_after(5) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watching._watch_topics, nothing)
            while len(said.told) < 3:
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()
    assert not scope.cancelled_caught
    first, second, third = said.told
    assert (first, third) == ("topics: well", "topics: well")
    assert second.startswith("topics: ")
    assert what in second
