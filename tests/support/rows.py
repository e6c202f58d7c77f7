"""Invented messages for the laws of change detection."""

from __future__ import annotations

from hypothesis import strategies as st

from poller.model import SECOND, Message, Observation, Problem, Stream
from poller.publishing.diff import PageContext

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
    fields = {"direction": "outbound", "provider_status": status, "created_at": "2026-09-21T14:13:20Z", **fields}
    message = Message(message_id=id_, status=status, text=text, **fields)  # pyright: ignore[reportArgumentType]
    return Observation(message=message, created=position, stamp=stamp, position=position)


def scope(asked: int = 0, *, floor: int = 0) -> PageContext:
    """Where and when a page was read."""
    return PageContext(stream=STREAM, floor=floor, requested_at=asked, observed=NOW)


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
