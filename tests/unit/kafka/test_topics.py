"""What the topics must be, and what is said where they are not."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from poller.kafka import topics
from poller.kafka.topics import Found
from poller.model import DAY

NAMES = {"messages": "m", "status": "s", "dead_letters": "d", "state": "c", "requests": "r"}


def found(**changed: Found) -> dict[str, Found]:
    """Topics as they should be, but for those that are named."""
    there = {name: Found(name, 4, 3, {"min.insync.replicas": "2"}) for name in "msd"}
    there |= {
        "c": Found("c", 8, 3, {"min.insync.replicas": "2", "cleanup.policy": "compact"}),
        "r": Found("r", 1, 3, {"min.insync.replicas": "2"}),
    }
    return there | changed


def test_topics_as_they_should_be_need_nothing() -> None:
    """No problem, no warning; the requests topic may have any number of partitions."""
    assert topics.compare(NAMES, found(r=Found("r", 8, 3, {"min.insync.replicas": "2"})), partitions=4, shards=8) == topics.Plan((), (), ())


@pytest.mark.parametrize(
    ("grown", "least"),
    [
        ({"m": 6}, "s, d"),
        ({"s": 5}, "m, d"),
        ({"d": 100}, "m, s"),
        ({"m": 6, "s": 6}, "d"),
        ({"m": 6, "d": 5}, "s, d"),
        ({"m": 5, "s": 7, "d": 6}, "m, d"),
        ({"s": 8, "d": 8}, "m"),
    ],
)
def test_partitions_that_were_added_to_one_public_topic_have_one_fix(grown: dict[str, int], least: str) -> None:
    """Following the advice for one topic would break it for the others, so there is one piece of advice for all."""
    there = {name: Found(name, grown.get(name, 4), 3, {"min.insync.replicas": "2"}) for name in "msd"}
    [problem] = topics.compare(NAMES, found(**there), partitions=4, shards=8).problems
    assert ", ".join(f"{name} {grown.get(name, 4)}" for name in "msd") in problem
    assert problem.count("fix:") == 1
    most = max(grown.values())
    assert f"add partitions to {least} until they have {most}, and set kafka.partitions to {most}" in problem
    followed = found(**{name: Found(name, most, 3, {"min.insync.replicas": "2"}) for name in "msd"})
    assert not topics.compare(NAMES, followed, partitions=most, shards=8).problems


def test_all_public_topics_with_another_number_of_partitions_are_taken_as_they_are() -> None:
    """Then only the configuration has to follow."""
    six = found(**{name: Found(name, 6, 3, {"min.insync.replicas": "2"}) for name in "msd"})
    [problem] = topics.compare(NAMES, six, partitions=4, shards=8).problems
    assert problem.endswith("fix: set kafka.partitions to 6")


def test_topics_that_take_little_bound_what_one_record_may_be() -> None:
    """The smallest public topic decides over records, the smallest of all over batches; a warning says so."""
    small = {"min.insync.replicas": "2", "max.message.bytes": "131072"}
    there = found(d=Found("d", 4, 3, small))
    plan = topics.compare(NAMES, there, partitions=4, shards=8)
    assert not plan.problems
    assert re.search(r"topic d: max.message.bytes is 131072.*dead letters", plan.warnings[0])
    assert topics.record_bytes_max(NAMES, there) < 131072
    assert topics.batch_bytes_max(there) < 131072
    tiny = found(c=Found("c", 8, 3, {"cleanup.policy": "compact", "max.message.bytes": "1000", "min.insync.replicas": "2"}))
    assert "max.message.bytes is 1000" in topics.compare(NAMES, tiny, partitions=4, shards=8).problems[0]


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact", "delete"])
def test_the_topic_of_latest_messages_is_compacted_and_has_the_others_partitions(policy: str) -> None:
    """By age too, if the operator likes; never by age alone, never with other partitions, and never created where it has no name."""
    names = NAMES | {"latest": "l"}
    latest = Found("l", 4, 3, {"min.insync.replicas": "2", "cleanup.policy": policy})
    problems = topics.compare(names, found(l=latest), partitions=4, shards=8).problems
    assert [problem for problem in problems if "topic l: cleanup.policy is delete; expected compact" in problem] == list(problems)
    assert bool(problems) == (policy == "delete")
    [problem] = topics.compare(
        names, found(l=replace(latest, partitions=5, settings={**latest.settings, "cleanup.policy": "compact"})), partitions=4, shards=8
    ).problems
    assert "l 5" in problem
    late, first = topics.compare(names, found(), partitions=4, shards=8), topics.compare(names, {}, partitions=4, shards=8)
    assert late.create == ("latest",)
    assert "poller rebuild --latest" in " ".join(late.warnings), "what was published before is not on it"
    assert not first.warnings
    assert topics.compare(NAMES, found(), partitions=4, shards=8).create == ()


def test_latest_messages_are_kept_for_ever_unless_a_retention_is_set() -> None:
    """Without one the topic is only compacted; with one it forgets what did not change for so long."""
    names = NAMES | {"latest": "l"}
    [kept] = [each for each in topics.wanted(names, partitions=4, shards=8, replicas=1) if each.role == "latest"]
    assert (kept.partitions, kept.settings) == (4, {"cleanup.policy": "compact"})
    [aged] = [each for each in topics.wanted(names, partitions=4, shards=8, replicas=1, retention=DAY) if each.role == "latest"]
    assert aged.settings == {"cleanup.policy": "compact,delete", "retention.ms": "86400000"}
