"""The examples for consumers do what they say, on a real Kafka and over a real dump."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from poller.demo.kafka.broker import Cluster
from poller.demo.simulator.truth import Published
from tests.support.story import Story

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TOPICS = {"sms.messages.v1": 4, "sms.status-changes.v1": 4}
NEWEST = EXAMPLES / "python" / "newest_status.py"


@pytest.fixture(scope="module")
def events() -> list[Published]:
    """Messages and statuses of a whole story, in the order of their publishing."""
    story = Story(5, crash_s=None, seconds=40.0, settle_s=60.0)
    story.play()
    return [event for event in story.published() if "dead-letter" not in event.type]


def create(bootstrap: str) -> None:
    """The public topics, as poller would create them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, partitions, 1) for name, partitions in TOPICS.items()]).values():
        future.result(30)


def publish(producer: Producer, events: list[Published]) -> None:
    """The events in transactions of twenty, every third after one that says other things and is aborted."""
    producer.init_transactions(30)
    for number, start in enumerate(range(0, len(events), 20)):
        for committed in (False, True) if number % 3 == 0 else (True,):
            producer.begin_transaction()
            for event in events[start : start + 20]:
                topic = "sms.status-changes.v1" if "status" in event.type else "sms.messages.v1"
                value = event.value if committed else event.value | {"status": "read", "revision": 99}
                producer.produce(topic, json.dumps(value), event.key, headers=list(event.headers.items()))
            assert producer.flush(30) == 0, "what is aborted lies on the topic, too"
            (producer.commit_transaction if committed else producer.abort_transaction)(30)


@pytest.fixture(scope="module")
def published(kafka: Cluster, events: list[Published]) -> str:
    """The events on the public topics, between transactions that were aborted; the address to read from."""
    create(kafka.bootstrap)
    publish(Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "examples"}), events)
    return kafka.bootstrap


def wanted(events: list[Published]) -> dict[str, tuple[int, str]]:
    """Each message's newest revision and status."""
    newest: dict[str, tuple[int, str]] = {}
    for event in events:
        newest[event.key] = max(newest.get(event.key, (0, "")), (event.value["revision"], event.value["status"]))
    return newest


def table(file: Path) -> dict[str, tuple[int, str]]:
    """What the example has written."""
    import sqlite3

    with sqlite3.connect(file) as database:
        return {key: (revision, status) for key, revision, status in database.execute("select key, revision, status from message")}


def test_the_python_example_keeps_the_newest_status_across_a_kill(published: str, events: list[Published], tmp_path: Path) -> None:
    """Killed at its first transaction and started again, it ends with each message's newest revision and nothing of aborted transactions."""
    file = tmp_path / "state.db"
    killed = subprocess.Popen([sys.executable, NEWEST, published, file], stdout=subprocess.DEVNULL)
    try:
        while killed.poll() is None and not file.exists():
            pass
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    for _ in range(2):
        done = subprocess.run([sys.executable, NEWEST, published, file, "--until-quiet", "5"], capture_output=True, text=True, check=True)
        assert table(file) == wanted(events)
    assert sum(int(line.split()[1]) for line in done.stdout.splitlines()) == len(wanted(events))


def test_an_older_revision_never_replaces_a_newer_one(events: list[Published], tmp_path: Path) -> None:
    """Events in any order, and twice, give the same table: the example's rule is the revision. What only a full message says is not lost."""
    import sqlite3

    spec = importlib.util.spec_from_file_location("newest_status", NEWEST)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    class Read:
        def __init__(self, event: Published) -> None:
            self._event = event

        def value(self) -> bytes:
            return json.dumps(self._event.value).encode()

        def key(self) -> bytes:
            return self._event.key.encode()

        def topic(self) -> str:
            return "sms.messages.v1"

        def partition(self) -> int:
            return 0

        def offset(self) -> int:
            return 0

    database = sqlite3.connect(tmp_path / "state.db")
    database.executescript(example.TABLES)
    for order in (reversed(events), events, events[::2]):
        example.apply(database, [Read(event) for event in order])
        assert database.execute("select count(*) from message where created_at is null").fetchone() == (0,)
    database.close()
    assert table(tmp_path / "state.db") == wanted(events)


def test_the_duckdb_example_answers_over_a_dump(events: list[Published], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States, overdue messages and delays, from the lines that ``poller tail --json`` prints."""
    monkeypatch.chdir(tmp_path)
    for name, status in (("messages", False), ("status", True)):
        lines = [{"key": e.key, "headers": e.headers, "value": e.value} for e in events if ("status" in e.type) is status]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with duckdb.connect() as connection:
        connection.execute((EXAMPLES / "duckdb" / "messages.sql").read_text()).fetchall()
        found = dict(connection.sql("select key, status from newest_status").fetchall())
        overdue = connection.sql("select key from overdue").fetchall()
        counted = connection.sql("select count(*) from messages").fetchall()[0]
    newest = wanted([event for event in events if "status" in event.type])
    assert found == {key: status for key, (_, status) in newest.items()}
    assert counted == (len({event.key for event in events if "status" not in event.type}),)
    sent = {e.key for e in events if e.value["direction"] == "outbound" and "status" not in e.type}
    assert {key for (key,) in overdue} <= {key for key in sent if found[key] not in ("delivered", "read")}
