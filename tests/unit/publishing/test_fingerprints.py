"""Fingerprints are stored: their bytes never change."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from poller.model import CONTENT_FIELDS, STATUS_FIELDS, Message, Problem
from poller.publishing.fingerprints import _COMPARED, SHORT_VALUES, Fingerprints

KEY = b"k" * 80
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(["sms", "inbound", "\ud83d", "+14155550123", "é" * 12])
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
MESSAGES = st.builds(
    Message,
    message_id=st.just("m1"),
    status=st.just("sent"),
    final=st.booleans(),
    channel=TEXTS,
    direction=TEXTS,
    created_at=TEXTS,
    conversation_id=st.none() | TEXTS,
    from_=st.none() | TEXTS,
    to=st.none() | st.lists(st.text(max_size=14), max_size=3),
    text=st.none() | TEXTS,
    media=st.none() | st.lists(st.fixed_dictionaries({"url": st.text(max_size=9)}), max_size=2),
    delivered_at=st.none() | TEXTS,
    error=st.none() | st.builds(Problem, code=st.none() | st.text(max_size=5)),
    segments=st.none() | st.integers(0, 99),
    automated=st.none() | st.booleans(),
    provider_data=st.none() | st.dictionaries(st.text(max_size=4), LEAVES, max_size=3),
)


def by_the_book(message: Message) -> tuple[int, bytes]:
    """As the first release stored them: BLAKE2b, four bytes, keyed with at most 64 bytes, over UTF-8 or sorted JSON of what is compared."""
    present, prints = 0, b""
    for bit, name in enumerate(CONTENT_FIELDS + STATUS_FIELDS[3:]):
        value: Any = getattr(message, {"from": "from_"}.get(name, name))
        if value is not None:
            if isinstance(value, str):
                raw = value.encode("utf-8", "surrogatepass")
            else:
                raw = msgspec.json.encode(_COMPARED[1 << bit](value) if 1 << bit in _COMPARED else value, order="deterministic")
            present |= 1 << bit
            prints += hashlib.blake2b(raw, digest_size=4, key=KEY[:64]).digest()
    return present, prints


@given(st.lists(MESSAGES, max_size=6))
def test_the_bytes_are_those_of_the_first_release(messages: list[Message]) -> None:
    """However often a value came before, its fingerprint is what it always was."""
    prints = Fingerprints(KEY)
    for message in messages * 2:
        assert prints(message) == by_the_book(message)


def test_remembered_values_are_few_and_short() -> None:
    """However many values come, only so many short ones are remembered, and they still have their own fingerprints."""
    prints = Fingerprints(KEY)
    for number in range(SHORT_VALUES + 100):
        message = Message(
            message_id="m1", status="sent", final=False, channel="sms", direction="inbound", created_at="long" * 5,
            conversation_id=str(number), text="t" * 13,
        )  # fmt: skip
        assert prints(message) == by_the_book(message)
    assert len(prints._short) <= SHORT_VALUES
    assert max(map(len, prints._short)) <= 12
