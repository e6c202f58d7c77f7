"""``poller audit`` on real Kafka: what it reads, how it ends, and what must not alarm it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from poller.demo.kafka.broker import Cluster
from poller.model import HOUR
from tests.unit.commands.test_audit_rules import START, Fed, history
from tests.unit.commands.test_cli import poller

LATELY = time.time_ns() // 1000 - START - 61 * HOUR
"""What turns the times of a history into times of the last days."""

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
    """With another client than the product's; the newest a moment ago, so that retention keeps all of it."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for topic, key, headers, revision, at in records:
        value = "{}" if revision is None else f'{{"revision":{revision}}}'
        producer.produce(names[topic], value, key, partition=len(key) % 4, headers=list(headers.items()), timestamp=(at + LATELY) // 1000)
    assert producer.flush(30) == 0


def test_the_command_reads_the_topics_and_judges(kafka: Cluster, names: dict[str, str], config: Path) -> None:
    """Exit 0 on a good history, 1 with counts and examples on a bad one; --from leaves out what lies before."""
    assert poller("audit", "--config", str(config)).stdout == "audited 0 records of 0 messages: nothing wrong\n"
    records = history(1)
    publish(kafka.bootstrap, names, records)
    done = poller("audit", "--config", str(config))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done
    assert done.stdout.endswith("messages: nothing wrong\n")
    later = poller("audit", "--config", str(config), "--from", "30h")
    assert later.returncode == 0, later
    assert 0 < int(later.stdout.split()[1]) < len(records)
    publish(kafka.bootstrap, names, [next(record for record in records if record[3] == 1)])
    done = poller("audit", "--config", str(config))
    assert done.returncode == 1
    assert "1 duplicate" in done.stdout
    assert poller("audit", "--config", str(config), "--from", "yesterday").returncode == 2
