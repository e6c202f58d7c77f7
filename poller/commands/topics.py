"""What the topics must be, what there is, and their creation."""

from __future__ import annotations

import sys

from ..config.load import Config, load
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from .arguments import ConfigPath, Flag
from .exit_codes import ExitCode
from .process import complete


def plan_command(*, config: ConfigPath, strimzi: Flag = False) -> int:
    """Say what each topic must be, what would be created, and what differs from what is needed.

    Everything that an administrator needs who creates the topics by hand: partitions, replication factor, cleanup policy, retention,
    min.insync.replicas. Ends with 78 where a topic that exists is wrong.

    Example: poller topics plan --config poller.yaml

    Example: poller topics plan --config poller.yaml --strimzi | kubectl apply -f -

    Parameters
    ----------
    strimzi
        As KafkaTopic resources for the Strimzi operator, in YAML; needs no Kafka.

    """
    loaded = load(config)
    if strimzi:
        print("\n".join(_strimzi(wanted) for wanted in wanted_topics(loaded)), end="")
        return ExitCode.DONE
    return complete(_plan(loaded, create=False))


def create_command(*, config: ConfigPath) -> int:
    """Create the topics that are missing, and check the others. `poller run` does the same.

    Example: poller topics create --config poller.yaml
    """
    return complete(_plan(load(config), create=True))


def wanted_topics(config: Config, *, replicas: int | None = None) -> tuple[topics.Wanted, ...]:
    """What every topic of a configuration must be."""
    file = config.kafka
    return topics.wanted(
        file.topics.by_role(),
        partitions=file.partitions,
        shards=file.shards,
        replicas=file.replication_factor or replicas,
        retention=file.retention,
    )


async def _plan(config: Config, *, create: bool) -> int:
    """Print what is wanted, and what differs; create what is missing if asked to. Raises ConfigError for what stands in the way."""
    silence_fenced_futures()
    kafka, file = Kafka(connection_of(config)), config.kafka
    there = await topics.inspect(kafka)
    plan = topics.compare(kafka.connection.topics, there, partitions=file.partitions, shards=file.shards)
    for wanted in wanted_topics(config, replicas=file.replication_factor or await topics.default_replicas(kafka)):
        print(_line(wanted, there.get(wanted.name), create=create))
    for warning in plan.warnings:
        print(f"note: {warning}", file=sys.stderr)
    with config.at("kafka", "topics"):
        plan.check()
    if create and plan.create:
        await topics.create(
            kafka, plan.create, partitions=file.partitions, replication_factor=file.replication_factor, retention=file.retention
        )
    if not plan.create:
        print("nothing to do: the topics are as they should be", file=sys.stderr)
    return ExitCode.DONE


def _line(wanted: topics.Wanted, found: topics.Found | None, *, create: bool) -> str:
    """One topic in one line: what is done with it, and all that it must be."""
    verb = "exists" if found is not None else "create" if create else "missing"
    settings = dict(wanted.settings)
    retention = settings.pop("retention.ms", None)
    if "delete" in wanted.settings["cleanup.policy"]:
        settings["retention.ms"] = retention or "the broker's"
    what = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"{verb:8}{wanted.name}  partitions={wanted.partitions}, replication={wanted.replicas}, {what}"


def _strimzi(wanted: topics.Wanted) -> str:
    """A topic as a resource of the Strimzi operator. Its name in Kubernetes may not hold what a topic's name may."""
    name = "".join(char if char.isascii() and (char.isalnum() or char in "-.") else "-" for char in wanted.name.lower()).strip("-.")
    lines = [
        "---",
        "apiVersion: kafka.strimzi.io/v1",
        "kind: KafkaTopic",
        "metadata:",
        f"  name: {name}",
        "  labels: {strimzi.io/cluster: kafka}  # the name of your Kafka resource",
        "spec:",
        f"  topicName: {wanted.name}",
        f"  partitions: {wanted.partitions}",
        *([] if wanted.replicas is None else [f"  replicas: {wanted.replicas}"]),
        "  config:",
        *(f'    {key}: "{value}"' for key, value in wanted.settings.items()),
    ]
    return "\n".join(lines) + "\n"
