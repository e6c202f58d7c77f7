"""audit."""

from __future__ import annotations

import sys

import anyio
import msgspec

from ..config.load import Config
from ..kafka import public_topics as published
from ..kafka.client import Kafka
from ..kafka.connect import connection_of
from ..kafka.connection import quiet
from ..kafka.port import DEAD_LETTERS
from ..model import Instant
from .audit_rules import Audit

PROGRESS_S = 2.0


async def audit(config: Config, since: Instant | None) -> int:
    """Read the public topics and judge them; 1 when something is wrong. Raises Unavailable, Refused."""
    quiet()
    kafka = Kafka(connection_of(config))
    found = await published.stretches(kafka, since)
    total = sum(end - start for stretch in found for start, end in stretch.spans.values())
    judge = Audit(max((stretch.edge for stretch in found if stretch.edge is not None), default=None))
    said = anyio.current_time()
    for stretch in found:
        async for event in published.read(kafka, stretch):
            judge.feed(event.topic, event.key, event.headers, _revision(event), event.time)
            if anyio.current_time() - said > PROGRESS_S:
                said = anyio.current_time()
                print(f"read {judge.records} records of about {total}", file=sys.stderr)
    faults = judge.findings()
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
