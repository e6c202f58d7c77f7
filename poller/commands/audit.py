"""The public topics read back and judged, against what the state says was published."""

from __future__ import annotations

import sys
from typing import Annotated

import anyio
import msgspec
from cyclopts import Parameter

from ..clock import SystemClock
from ..config.load import Config, load
from ..errors import Refused
from ..kafka import public_topics as published
from ..kafka import topics
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import silence_fenced_futures
from ..kafka.port import DEAD_LETTERS, LATEST
from ..model import Instant
from ..publishing.state_records import Meta
from .arguments import ConfigPath, Moment
from .audit_rules import Audit, Finding
from .process import complete
from .state_topic import metas

PROGRESS_S = 2.0
"""Seconds between two lines of progress."""


def command(*, config: ConfigPath, from_: Annotated[Moment | None, Parameter(name="--from")] = None) -> int:
    """Read the topics and report duplicates, revision gaps, disorder, torn and lost transactions, and latest messages that are not.

    The state says what the newest transaction of each shard is, so the ends of the topics are judged too; workers may go on meanwhile.
    Ends with 0 when nothing is wrong, with 1 when something is, with 69 or 77 when Kafka cannot be asked.

    Example: poller audit --config poller.yaml --from 24h

    Parameters
    ----------
    from_
        Where to begin: RFC 3339, a date, or a duration ago. Default: the beginning of the topics.

    """
    return complete(audit(load(config), from_))


async def audit(config: Config, since: Instant | None) -> int:
    """Read the public topics and judge them; 1 when something is wrong. Raises Unavailable, Refused, Denied."""
    silence_fenced_futures()
    kafka = Kafka(connection_of(config))
    before = await _known(kafka)
    expired = await _expired(kafka)
    found = await published.stretches(kafka, since, expired=expired)
    edge = max((stretch.edge for stretch in found if stretch.edge is not None), default=None)
    rebuilt = max((meta.rebuilt for meta in before if meta), default=0)
    judge = Audit(edge, newest_transactions(before), rebuilt=rebuilt, latest_kept=expired.get(LATEST))
    progress = _Progress(sum(stretch.records for stretch in found))
    for stretch in sorted(found, key=lambda each: each.role != LATEST):
        async for event in published.read(kafka, stretch):
            _feed(judge, event)
            progress.say(judge.records)
        async for event in published.undecided(kafka, stretch):
            if event.topic != LATEST:
                judge.undecided(event.key, event.headers, _revision(event))
    _note(before, judge, found)
    return _report(judge, judge.findings(newest_transactions(await _known(kafka))))


def newest_transactions(metas: list[Meta | None]) -> dict[int, int]:
    """The number of the newest transaction with public records of each shard that has a state, former shards included."""
    known = {number: last for meta in metas if meta is not None for number, last in meta.retired.items()}
    return known | {number: meta.sequence for number, meta in enumerate(metas) if meta is not None}


async def _known(kafka: Kafka) -> list[Meta | None]:
    """The meta record of each shard; none where there is no state topic."""
    return await metas(kafka) or []


async def _expired(kafka: Kafka) -> dict[str, Instant]:
    """Of each role, the time before which retention may have removed records; nothing for one that may not be asked."""
    try:
        there = await topics.inspect(kafka)
    except Refused:
        return {}
    now = SystemClock().now()
    settings = {role: there[name].settings for role, name in kafka.connection.topics.items() if name in there}
    kept = {role: each.get("retention.ms") for role, each in settings.items() if "delete" in each.get("cleanup.policy", "delete")}
    return {role: now - int(ms) * published.MILLISECOND for role, ms in kept.items() if ms is not None and int(ms) >= 0}


def _feed(judge: Audit, event: published.Published) -> None:
    revision = _revision(event)
    if event.topic == LATEST:
        if event.value:  # none: an operator erased the message
            judge.latest(event.key, event.headers, revision or 0)
    else:
        judge.feed(event.topic, event.key, event.headers, revision, event.time)


class _Progress:
    """Says how far the reading is, every few seconds."""

    def __init__(self, total: int) -> None:
        self._total, self._said = total, anyio.current_time()

    def say(self, done: int) -> None:
        if anyio.current_time() - self._said > PROGRESS_S:
            self._said = anyio.current_time()
            print(f"read {done} records of about {self._total} ({100 * done // max(1, self._total)} %)", file=sys.stderr, flush=True)


def _note(before: list[Meta | None], judge: Audit, found: list[published.Stretch]) -> None:
    """What is not wrong with the topics, and limits what can be said of them."""
    without = sorted(number for number in judge.highest if number not in newest_transactions(before))
    if without:
        shards = ", ".join(map(str, without))
        print(
            f"note: no state of shard {shards}: the newest transactions are not judged; fix: stop the workers and run: poller rebuild",
            file=sys.stderr,
        )
    behind = sum(end - start for stretch in found for start, end in stretch.open.values())
    if behind:
        print(f"note: {behind} records lie behind an open transaction and are not judged", file=sys.stderr)


def _report(judge: Audit, faults: list[Finding]) -> int:
    for fault in faults:
        print(f"{fault.kind}: {fault.count}, for example {'; '.join(fault.examples)}")
    what = ", ".join(f"{fault.count} {fault.kind}" for fault in faults) or "nothing wrong"
    print(f"audited {judge.records} records of {judge.messages} messages: {what}")
    return int(bool(faults))


def _revision(event: published.Published) -> int | None:
    """The event's revision; None for a dead letter, 0 for a value that has none."""
    if event.topic == DEAD_LETTERS:
        return None
    try:
        return msgspec.json.decode(event.value, type=_Revision).revision
    except msgspec.DecodeError:
        return 0


class _Revision(msgspec.Struct):
    revision: int = 0
