"""An event's bytes are those of one JSON object, whoever puts them together."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from poller.model import STATUS_RANK, Message, Problem, Stream
from poller.publishing.diff import Created, MessageEvent, StatusChanged, Updated
from poller.publishing.events import Publisher
from poller.publishing.privacy import Privacy
from poller.times import format_rfc3339
from tests.support.rows import change

TEXT = st.text(min_size=1, max_size=8)
MESSAGES = st.builds(
    Message,
    message_id=TEXT,
    status=st.sampled_from(list(STATUS_RANK)),
    provider_status=st.none() | TEXT,
    final=st.booleans(),
    channel=st.sampled_from(["sms", "unknown"]),
    direction=st.sampled_from(["inbound", "unknown"]),
    created_at=TEXT,
    from_=st.none() | TEXT,
    to=st.none() | st.lists(TEXT, min_size=1, max_size=2),
    text=st.none() | TEXT,
    media=st.none() | st.just([{"url": "é"}]),
    sent_at=st.none() | TEXT,
    error=st.none() | st.builds(Problem, code=st.none() | TEXT, message=st.none() | TEXT),
    segments=st.none() | st.integers(0, 9),
    provider_data=st.none() | st.dictionaries(TEXT, TEXT, max_size=2),
)
STREAMS = st.builds(Stream, provider=st.just("stuut"), account=st.sampled_from(["main", "é"]), name=TEXT)
OBSERVED = st.integers(0, 1 << 53)
EVENTS = (
    st.builds(Created, stream=STREAMS, observed=OBSERVED, message=MESSAGES)
    | st.builds(
        StatusChanged,
        stream=STREAMS,
        observed=OBSERVED,
        message=MESSAGES,
        revision=st.integers(1, 99),
        previous_status=st.none() | TEXT,
        stamp_moved=st.booleans(),
    )
    | st.builds(Updated, stream=STREAMS, observed=OBSERVED, message=MESSAGES, revision=st.integers(2, 99), changed=st.just(("text", "to")))
)
TOLD_WITH_A_STATUS = ("provider_status", "final", "occurred_at", "sent_at", "delivered_at", "received_at", "error")


def by_the_book(event: MessageEvent) -> bytes:
    """One plain object, encoded in one go: the message and then the envelope, or the documented fields of a status."""
    stream, message = event.stream, event.message
    told = {name.rstrip("_"): getattr(message, name) for name in Message.__struct_fields__}
    envelope = {"provider": stream.provider, "account": stream.account, "stream": stream.id}
    observed = {"observed_at": format_rfc3339(event.observed)}
    if isinstance(event, StatusChanged):
        own = {"sent": message.sent_at, "delivered": message.delivered_at, "received": message.received_at}.get(message.status)
        told |= {"occurred_at": own or (message.updated_at if event.stamp_moved else None)}
        value = envelope | {"message_id": message.message_id, "revision": event.revision, "direction": message.direction}
        value |= {"status": message.status} | observed
        value |= {"conversation_id": message.conversation_id, "previous_status": event.previous_status}
        value |= {name: told[name] for name in TOLD_WITH_A_STATUS}
    else:
        value = told | envelope | {"revision": event.revision} | observed
        value |= {"changed": event.changed if isinstance(event, Updated) else None}
    return msgspec.json.encode({name: each for name, each in value.items() if each is not None})


@given(EVENTS)
def test_values_are_one_json_object(event: MessageEvent) -> None:
    """Whatever a message holds, its events' values are the bytes of the whole object."""
    [encoded] = Publisher(partitions=16, privacy=Privacy()).records(change(event)).events
    assert encoded.value == by_the_book(event)
    assert dict(encoded.headers)["ce_id"] == b"%b:%d" % (encoded.key, event.revision)
