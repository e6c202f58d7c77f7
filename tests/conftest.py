"""Each test belongs to the tier in whose folder it lies: its marker says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", parent=settings(), deadline=None)
settings.register_profile("quick", parent=settings(), deadline=None, max_examples=20)  # make test-unit
settings.load_profile("untimed")  # a busy machine is no fault

TESTS = Path(__file__).parent
collect_ignore = ["lab", "support"]
"""What is no test."""


BESIDE = ("test_demo", "test_kafka_security", "test_network", "test_reshard")
"""Files that start brokers of their own, or wait for topics that come and go: about half of the tier's time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tier of the real broker is two processes, each with one test at a time: they wait more than they work, and none starves."""
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0]
        item.add_marker(tier)
        if tier == "kafka":
            item.add_marker(pytest.mark.xdist_group("brokers" if item.path.stem in BESIDE else "kafka"))


@pytest.fixture
def anyio_backend() -> str:
    """aiokafka needs asyncio."""
    return "asyncio"
