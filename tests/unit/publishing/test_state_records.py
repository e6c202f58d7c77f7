"""State survives the log, fits its budget, and a newer release is left alone."""

from __future__ import annotations

import pytest

from poller.coverage.cursor import Cursor, Mark, Sweep
from poller.errors import CorruptState, Refused
from poller.model import SECOND
from poller.providers.contract import Request
from poller.publishing.message_state import DeadMark, MessageState
from poller.publishing.state_records import Meta, StoredBackoff, decode_state, encode_state
from tests.support.sample_event import MESSAGE, OBSERVED

STATES = [
    (b"m" + b"1" * 16, MessageState(3, "sent", "Sent", False, 5, 6, 7, 8, 1, 9, 3, b"12345678")),
    (b"dx", DeadMark(1, 2)),
    (b"ax", StoredBackoff("throttled", 2, 5)),
    (b"x", Meta("poller", 16, "n", b"k" * 32, 5, 4, 2)),
    (
        b"cs",
        Cursor(
            1,
            2,
            (Mark(0, 1, 2),),
            3,
            4,
            sweeps={0: Sweep(1, None, 0, 1, 5, Request("GET", "/a", continuation={"n": [1]}))},
            debts={1: (2, 3)},
            learned={"cap": 30},
            waits=("gone", 1, 9),
        ),
    ),
]


@pytest.mark.parametrize(("key", "value"), STATES)
def test_state_survives_the_log(key: bytes, value: object) -> None:
    """Every kind of state is read back as it was written."""
    assert decode_state(key, encode_state(value)) == value  # pyright: ignore[reportArgumentType]


def test_state_of_a_newer_release_is_left_alone() -> None:
    """A higher format number is refused with the fix, nonsense is corrupt state."""
    with pytest.raises(Refused, match="newer release"):
        decode_state(b"m1", b"\xfe\x00")
    with pytest.raises(CorruptState):
        decode_state(b"m1", b"\x01nonsense")


def test_state_of_a_message_holds_no_text_and_fits_its_budget() -> None:
    """A message with ten fields takes less than 96 bytes beside its key, and none of them is readable."""
    from poller.publishing.fingerprints import Fingerprints

    present, prints = Fingerprints(b"k" * 32)(MESSAGE)
    raw = encode_state(
        MessageState(2, "delivered", "delivered", True, OBSERVED, 10**6, OBSERVED // SECOND, 2**31, 1, 2**15, present, prints)
    )
    assert len(raw) <= 96 + 16
    assert b"hi" not in prints
    assert b"+1415" not in raw
