"""One real Apache Kafka for the whole run, started when the first test asks for it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from poller.demo.kafka.broker import Cluster
from poller.demo.kafka.jars import fetch

settings.register_profile("untimed", parent=settings(), deadline=None)
settings.load_profile("untimed")  # a busy machine is no fault


BROKERS = {"kafka", "behind_proxy", "door"}
"""Fixtures that start a broker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests with a broker run in one process, so that there is one broker at a time and they do not starve each other."""
    for item in items:
        if BROKERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("kafka"))


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
    return {role: f"{role}-{mark}" for role in ("messages", "status", "dead_letters", "state")}


@pytest.fixture
def anyio_backend() -> str:
    """aiokafka needs asyncio."""
    return "asyncio"
