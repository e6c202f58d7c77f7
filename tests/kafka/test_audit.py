"""The judge of what was published: a good history has no findings, and every single fault is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from poller.commands.audit_rules import Audit
from poller.demo.kafka.broker import Cluster
from poller.model import HOUR, SECOND
from tests.unit.commands.test_cli import poller

Fed = tuple[str, str, dict[str, str], int | None, int]
START = 1_790_000_000 * SECOND


def history(seed: int, transactions: int = 60) -> list[Fed]:
    """What a shard publishes: messages with rising revisions over two topics, dead letters now and then."""
    rng = random.Random(seed)
    revisions: dict[str, int] = {}
    records: list[Fed] = []
    for number in range(1, transactions + 1):
        size = rng.randrange(1, 5)
        headers = {"ce_pollershard": "3", "ce_pollertxn": str(number), "ce_pollertxnsize": str(size)}
        time = START + number * HOUR
        for _ in range(size):
            key = f"stuut/a/{rng.randrange(12)}"
            if rng.random() < 0.1:
                records.append(("dead_letters", "", headers, None, time))
                continue
            revisions[key] = revisions.get(key, 0) + 1
            records.append((rng.choice(("messages", "status")), key, headers, revisions[key], time))
    return records


def by_topic(records: list[Fed]) -> Iterator[Fed]:
    """As they are read: topic by topic."""
    for topic in ("messages", "status", "dead_letters"):
        yield from (record for record in records if record[0] == topic)


def kinds(records: list[Fed], edge: int | None = None) -> set[str]:
    """What the judge finds."""
    audit = Audit(edge)
    for record in by_topic(records):
        audit.feed(*record)
    return {finding.kind for finding in audit.findings()}


@given(st.integers(0, 1 << 30))
def test_a_good_history_has_no_findings(seed: int) -> None:
    """Read whole, or from any time on, or up to any point."""
    records = history(seed)
    assert not kinds(records)
    cut = START + (seed % 60) * HOUR
    assert not kinds([record for record in records if record[4] >= cut], edge=cut)


@given(st.integers(0, 1 << 30), st.data())
def test_a_record_that_is_missing_is_found(seed: int, data: st.DataObject) -> None:
    """As a torn or lost transaction, unless it is the newest one, which may still be under way."""
    records = history(seed)
    place = data.draw(st.integers(0, len(records) - 1))
    gone = records[place]
    found = kinds(records[:place] + records[place + 1 :])
    assert found & {"torn", "lost"} or gone[2]["ce_pollertxn"] == "60"


@given(st.integers(0, 1 << 30), st.data())
def test_a_record_that_came_twice_is_found(seed: int, data: st.DataObject) -> None:
    """A revision of a message exists once."""
    records = history(seed)
    place = data.draw(st.sampled_from([n for n, record in enumerate(records) if record[3] is not None]))
    assert "duplicate" in kinds([*records, records[place]])


def test_revisions_that_go_back_in_a_topic_are_found() -> None:
    """Within one topic the revisions of a message rise."""
    headers = {"ce_pollershard": "0", "ce_pollertxn": "1", "ce_pollertxnsize": "2"}
    assert kinds([("messages", "k", headers, 2, START), ("messages", "k", headers, 1, START)]) == {"disorder"}


def test_a_gap_in_the_revisions_is_found_unless_it_is_before_the_edge() -> None:
    """1 and 3 without 2; read from a time on, the first revisions may lie before it."""
    headers = {"ce_pollershard": "0", "ce_pollertxn": "1", "ce_pollertxnsize": "2"}
    records: list[Fed] = [("messages", "k", headers, 3, START), ("messages", "k", headers, 4, START)]
    assert kinds(records) == {"gap"}
    assert not kinds(records, edge=START)
    assert kinds([records[0], ("messages", "k", headers, 5, START)], edge=START) == {"gap"}


CONFIG = """\
kafka:
  bootstrap_servers: ["{bootstrap}"]
  partitions: 4
  topics: {{messages: {messages}, status: {status}, dead_letters: {dead_letters}, state: {state}}}
accounts:
- {{name: a, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {{token: {{env: HOME}}}}, threads: [t]}}
"""


@pytest.fixture
def config(kafka: Cluster, names: dict[str, str], tmp_path: Path) -> Path:
    """A configuration whose topics exist."""
    path = tmp_path / "poller.yaml"
    path.write_text(CONFIG.format(bootstrap=kafka.bootstrap, **names))
    assert poller("topics", "create", "--config", str(path)).returncode == 0
    return path


def publish(bootstrap: str, names: dict[str, str], records: list[Fed]) -> None:
    """With another client than the product's."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for topic, key, headers, revision, time in records:
        value = "{}" if revision is None else f'{{"revision":{revision}}}'
        producer.produce(names[topic], value, key, partition=len(key) % 4, headers=list(headers.items()), timestamp=time // 1000)
    assert producer.flush(30) == 0


def test_the_command_reads_the_topics_and_judges(kafka: Cluster, names: dict[str, str], config: Path) -> None:
    """Exit 0 on a good history, 1 with counts and examples on a bad one; --from leaves out what lies before."""
    assert poller("audit", "--config", str(config)).stdout == "audited 0 records of 0 messages: nothing wrong\n"
    records = history(1)
    publish(kafka.bootstrap, names, records)
    done = poller("audit", "--config", str(config))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done
    assert done.stdout.endswith("messages: nothing wrong\n")
    later = poller("audit", "--config", str(config), "--from", "2026-09-23T00:00:00Z")
    assert later.returncode == 0, later
    assert 0 < int(later.stdout.split()[1]) < len(records)
    publish(kafka.bootstrap, names, [next(record for record in records if record[3] == 1)])
    done = poller("audit", "--config", str(config))
    assert done.returncode == 1
    assert "1 duplicate" in done.stdout
    assert poller("audit", "--config", str(config), "--from", "yesterday").returncode == 2
