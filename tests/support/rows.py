"""Invented messages for the laws of change detection."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from poller.model import SECOND, Message, Observation, Problem, Stream
from poller.publishing.diff import Copy, MessageChange, MessageEvent, PageContext, diff, newest_copies
from poller.publishing.events import Publisher
from poller.publishing.fingerprints import Fingerprints
from poller.publishing.message_state import MessageState, message_key
from poller.publishing.privacy import Privacy

STREAM = Stream("heymarket", "main", "team")
NOW = 1_790_000_000 * SECOND


def observation(
    id_: str = "m1",
    *,
    status: str = "sent",
    stamp: int = 0,
    text: str | None = "hello",
    position: int = NOW,
    **fields: object,
) -> Observation:
    """A plausible outbound message; any field may be set."""
    usual = {"direction": "outbound", "channel": "unknown", "final": False, "provider_status": status, "created_at": "2026-09-21T14:13:20Z"}
    fields = {**usual, **fields}
    message = Message(message_id=id_, status=status, text=text, **fields)  # pyright: ignore[reportArgumentType]
    return Observation(message=message, created=position, stamp=stamp, position=position)


def scope(asked: int = 0, *, floor: int = 0) -> PageContext:
    """Where and when a page was read."""
    return PageContext(stream=STREAM, floor=floor, requested_at=asked, observed=NOW)


PRINTS = Fingerprints(b"k" * 32)
PUBLISHER = Publisher(partitions=4, privacy=Privacy())


def change(*events: MessageEvent) -> MessageChange:
    """The change of a message that gave these events."""
    message, account_key = events[0].message, events[0].stream.account_key
    copy = Copy(Observation(message=message, created=0, stamp=0, position=0), message_key(account_key, message.message_id), 0, b"")
    state = MessageState(1, "", None, False, 0, 0, 0, 0, 0, 0, 0, b"")
    return MessageChange(b"", copy, events, state, True)


class Compared(NamedTuple):
    """What a page adds to what is known."""

    events: list[MessageEvent]
    states: dict[bytes, MessageState]
    below_floor: int
    behind: int


def compared(
    known: dict[bytes, MessageState], observations: list[Observation], context: PageContext, prints: Fingerprints = PRINTS
) -> Compared:
    """Compare a page; ``known`` stays as it is."""
    copies, unreadable = newest_copies(observations, context.stream.account_key, prints)
    assert not unreadable
    found = diff(known, copies, context, prints)
    events = [event for change in found.changes for event in change.events]
    return Compared(events, {change.digest: change.state for change in found.changes}, found.below_floor, found.behind)


STATUSES = st.sampled_from(["queued", "sent", "delivered", "failed", "read", "unknown"])
OBSERVATIONS = st.builds(
    observation,
    st.sampled_from(["m1", "m2", "m3"]),
    status=STATUSES,
    stamp=st.integers(0, 3),
    text=st.sampled_from(["a", "b", None]),
    direction=st.sampled_from(["inbound", "outbound"]),
    error=st.sampled_from([None, Problem(code="1")]),
    delivered_at=st.sampled_from([None, "2026-09-21T14:13:21Z"]),
    segments=st.sampled_from([None, 1, 2]),
)
PAGES = st.lists(st.lists(OBSERVATIONS, max_size=6), max_size=6)
