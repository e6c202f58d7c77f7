"""One message with every field, and the records that come of it."""

from __future__ import annotations

import json

from poller.model import SECOND, Instant, Message, Problem, Stream
from poller.publishing.diff import Created, MessageEvent
from poller.publishing.events import Publisher, in_transaction
from poller.publishing.privacy import Privacy
from tests.support.rows import change

STREAM = Stream("stuut", "collections", "thr/1")
OBSERVED: Instant = 1_790_000_000 * SECOND + 112_000


MESSAGE = Message(
    message_id="m 1",
    status="delivered",
    provider_status="delivered",
    final=True,
    channel="sms",
    direction="outbound",
    created_at="2026-09-21T14:13:00Z",
    from_="+14155550100",
    to=["+14155550123"],
    text="hi",
    delivered_at="2026-09-21T14:13:09Z",
    updated_at="2026-09-21T14:13:10Z",
    error=Problem(code="1", message="words"),
    provider_data={"a": [1, "x"]},
)


def published(event: MessageEvent, privacy: Privacy | None = None) -> tuple[dict[str, str], object]:
    """Headers and value of the one record of an event."""
    encoded = Publisher(partitions=16, privacy=privacy or Privacy()).records(change(event)).events
    [record] = in_transaction(encoded, shard=3, sequence=7)
    return {name: value.decode() for name, value in record.headers}, json.loads(record.value or b"null")


def created() -> Created:
    """The sample message is new; its revision is not the first one, so that it shows."""
    return Created(STREAM, OBSERVED, MESSAGE, 2)
