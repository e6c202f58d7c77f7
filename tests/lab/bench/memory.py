"""What a worker weighs after its start: with an empty state, and with many ids in it, which are in the topic before it starts."""

from __future__ import annotations

import time

import anyio

from poller.kafka.client import Kafka
from poller.kafka.connection import Connection
from poller.kafka.partitioner import shard_of
from poller.kafka.topics import create
from tests.lab.bench.product import Product
from tests.lab.bench.restore import fill

SHARDS = 16
"""Those of a configuration that names no other number."""

SETTLED_S = 10.0
"""Seconds of polling after which the worker is weighed."""


async def write(bootstrap: str, mark: str, count: int) -> None:
    """The state of so many messages, in the shard of the bench's account."""
    kafka = Kafka(Connection(bootstrap=bootstrap, topics={"state": f"{mark}.state"}, shards=SHARDS, group=mark))
    await create(kafka, ("state",), partitions=SHARDS, replication_factor=1)
    await fill(kafka, count, shard_of("heymarket/main", SHARDS))


def weigh(bootstrap: str, product: Product, count: int) -> float:
    """Resident MiB of a worker that has restored so many ids, and polls."""
    if count:
        anyio.run(write, bootstrap, product.mark, count)
    with product as poller:
        time.sleep(SETTLED_S)
        return poller.memory_mib()
