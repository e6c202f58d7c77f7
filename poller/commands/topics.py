"""topics."""

from __future__ import annotations

import sys

from ..config.load import Config
from ..errors import ConfigError
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import quiet


async def topics_plan(config: Config, *, create: bool) -> int:
    """Print what differs; create what is missing if asked to. Raises ConfigError for what stands in the way."""
    quiet()
    kafka, file = Kafka(connection_of(config)), config.kafka
    names = kafka.connection.topics
    plan = topics.compare(names, await topics.inspect(kafka), partitions=file.partitions, shards=file.shards)
    for role in plan.create:
        print(f"{'create' if create else 'missing'} {names[role]}")
    for warning in plan.warnings:
        print(f"note: {warning}", file=sys.stderr)
    if plan.problems:
        raise ConfigError([f"{config.path}: kafka.topics: {problem}" for problem in plan.problems])
    if create and plan.create:
        await topics.create(kafka, plan.create, partitions=file.partitions, replication_factor=file.replication_factor)
    if not plan.create:
        print("nothing to do: the topics are as they should be")
    return 0
