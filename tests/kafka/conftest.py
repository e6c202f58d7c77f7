"""One real Apache Kafka for the whole run, started when the first test asks for it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch


@pytest.fixture(scope="session")
def kafka() -> Iterator[Cluster]:
    """A broker of its own, warmed up by its first answers."""
    with (
        tempfile.TemporaryDirectory(prefix="poller-tests-") as folder,
        Cluster(fetch(progress=print), Path(folder) / "kafka", overrides={"log.cleaner.backoff.ms": 500}) as cluster,
    ):
        yield cluster


@pytest.fixture
def names() -> dict[str, str]:
    """Fresh topic names, by role."""
    mark = uuid.uuid4().hex[:8]
    return {role: f"{role}-{mark}" for role in ("messages", "status", "dead_letters", "state", "requests")}
