"""Keep the newest status of every message in SQLite: ``python newest_status.py BOOTSTRAP FILE [--until-quiet SECONDS]``.

The three rules of a correct consumer of poller's topics, each in one place:

* it reads ``read_committed``, so that an aborted transaction is never seen;
* ``revision`` decides what is newer, never a time, so that events may be read again, late, or across topics in any order;
* what it knows and how far it has read are committed in one SQLite transaction, so that a kill anywhere costs nothing.

Needs ``confluent-kafka``; nothing of poller is imported.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

TOPICS = ("sms.messages.v1", "sms.status-changes.v1")
TABLES = """
create table if not exists message (
    key text primary key, revision integer not null, status text not null, final integer not null,
    direction text not null, created_at text, error text
) without rowid;
create table if not exists position (topic text, partition integer, next_offset integer not null, primary key (topic, partition)) without rowid;
"""
UPSERT = """
insert into message values (:key, :revision, :status, :final, :direction, :created_at, :error)
on conflict (key) do update set
    status = iif(excluded.revision > revision, excluded.status, status),
    final = iif(excluded.revision > revision, excluded.final, final),
    error = iif(excluded.revision > revision, excluded.error, error),
    revision = max(excluded.revision, revision),
    created_at = coalesce(created_at, excluded.created_at)  -- only full messages say it, and a status may be read before them
"""


def row_of(message: Message) -> dict[str, Any]:
    """One event as a row of the table: both topics carry the status and the revision."""
    event = json.loads(message.value())
    return {
        "key": message.key().decode(),
        "revision": event["revision"],
        "status": event["status"],
        "final": event["final"],
        "direction": event["direction"],
        "created_at": event.get("created_at"),
        "error": event.get("error", {}).get("code"),
    }


def assigned(consumer: Consumer, database: sqlite3.Connection) -> None:
    """Go on where the database says; Kafka keeps no offsets for us, so the two can never disagree."""
    known = {(topic, partition): offset for topic, partition, offset in database.execute("select * from position")}
    listed = consumer.list_topics(timeout=30).topics
    if missing := [topic for topic in TOPICS if topic not in listed]:
        raise SystemExit(f"{', '.join(missing)} is not there: has poller run on this Kafka?")
    consumer.assign(
        [TopicPartition(topic, partition, known.get((topic, partition), 0)) for topic in TOPICS for partition in listed[topic].partitions]
    )


def apply(database: sqlite3.Connection, messages: list[Message]) -> None:
    """Events and positions in one transaction."""
    with database:
        database.executemany(UPSERT, map(row_of, messages))
        database.executemany(
            "insert or replace into position values (?, ?, ?)",
            [(message.topic(), message.partition(), message.offset() + 1) for message in messages],
        )


def main() -> None:
    """Read on and on until Ctrl-C, or until nothing has come for a while; then say how many messages have which status."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("bootstrap")
    arguments.add_argument("file")
    arguments.add_argument("--until-quiet", type=float, metavar="SECONDS")
    given = arguments.parse_args()
    database = sqlite3.connect(given.file)
    database.executescript(TABLES)
    consumer = Consumer(
        {
            "bootstrap.servers": given.bootstrap,
            "group.id": "newest-status",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    assigned(consumer, database)
    heard = time.monotonic()
    with suppress(KeyboardInterrupt):
        while given.until_quiet is None or time.monotonic() - heard < given.until_quiet:
            messages = [message for message in consumer.consume(500, timeout=0.5) if message.error() is None]
            if messages:
                apply(database, messages)
                heard = time.monotonic()
    consumer.close()
    for status, count in database.execute("select status, count(*) from message group by status order by 2 desc, 1"):
        print(f"{status:12} {count}")


if __name__ == "__main__":
    main()
