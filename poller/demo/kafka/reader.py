"""An independent reader of what was published: librdkafka, ``read_committed``, so that writer and checker share no bugs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ..simulator.truth import Published


class Reader:
    """Reads topics from their beginning, on and on. A context manager; its calls block."""

    def __init__(self, bootstrap: str, topics: Iterable[str]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "poller-demo-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._topics = tuple(topics)

    def __enter__(self) -> Reader:
        """Find every partition and begin at its beginning."""
        found = self._consumer.list_topics(timeout=10).topics
        places = [TopicPartition(name, part, OFFSET_BEGINNING) for name in self._topics for part in found[name].partitions]
        self._consumer.assign(places)
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._consumer.close()

    def poll(self, seconds: float) -> list[Published]:
        """Events that have come, after waiting at most ``seconds`` for the first."""
        events: list[Published] = []
        for message in self._consumer.consume(1000, seconds):
            if message.error() is None:
                headers = _texts(message.headers())
                value = message.value() or b"null"
                value = value[5:] if value[:1] == b"\0" else value  # what names a registered schema
                kind = headers.get("ce_type", "")
                parsed = {} if "dead-letter" in kind else json.loads(value)
                key = (message.key() or b"").decode()
                events.append(
                    Published(message.topic() or "", key, headers.get("ce_id", ""), kind, parsed.get("revision", 0), parsed, headers)
                )
        return events


def _texts(headers: Any) -> dict[str, str]:
    """Header values are UTF-8 text."""
    return {name: (value or b"").decode() for name, value in headers or ()}
