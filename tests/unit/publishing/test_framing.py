"""A record names its registered schema; what is read back is the plain value again."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace
from typing import Literal

import pytest

from poller.kafka.port import DEAD_LETTERS, LATEST, MESSAGES, STATUS
from poller.kafka.public_topics import _published
from poller.kafka.schema_registry import Registered
from poller.model import BadRow
from poller.publishing.diff import Created, DeadLetter, StatusChanged
from poller.publishing.events import Publisher
from poller.publishing.framing import frames, subjects
from poller.publishing.privacy import Privacy
from tests.support.rows import STREAM, change, observation

GUID = "89791762-2336-4186-9674-299b90a802e2"
REGISTERED = {subject: Registered(number, GUID) for number, subject in enumerate(subjects(), 257)}
MESSAGE = observation().message
EVENTS = change(Created(STREAM, 0, MESSAGE), StatusChanged(STREAM, 0, MESSAGE, 2))


@pytest.mark.parametrize("form", ["prefix", "header"])
def test_every_record_but_a_dead_letter_names_its_schema(form: Literal["prefix", "header"]) -> None:
    """By the number of its own type before the value, or by the GUID in a header beside the plain value."""
    plain = Publisher(partitions=4, privacy=Privacy(), latest=True).records(EVENTS)
    framed = Publisher(partitions=4, privacy=Privacy(), latest=True, frames=frames(REGISTERED, form)).records(EVENTS)
    assert plain.latest is not None
    assert framed.latest is not None
    for bare, record in zip((*plain.events, plain.latest), (*framed.events, framed.latest), strict=True):
        number = REGISTERED[dict(record.headers)["ce_type"].decode()].id
        prefix, headers = (
            (b"\0" + number.to_bytes(4, "big"), ()) if form == "prefix" else (b"", (("__value_schema_id", b"\1" + uuid.UUID(GUID).bytes),))
        )
        assert (record.value, record.headers) == (prefix + bare.value, bare.headers + headers)


def test_a_dead_letter_is_never_framed() -> None:
    """Its bytes are the vendor's, whatever they begin with, written and read back."""
    row = BadRow("not_an_object", "", b"\0\1\2\3\4\5row")
    letter = Publisher(partitions=4, privacy=Privacy(), frames=frames(REGISTERED, "prefix")).dead_letter(
        DeadLetter(STREAM, 0, row, "5" * 64)
    )
    assert letter.value == row.raw
    assert _published(DEAD_LETTERS, SimpleNamespace(key=None, value=letter.value, headers=letter.headers, timestamp=0)).value == row.raw


@pytest.mark.parametrize("role", [MESSAGES, STATUS, LATEST])
def test_what_is_read_back_is_plain(role: str) -> None:
    """`tail`, `trace`, `audit` and `rebuild` see the JSON, framed or not, and an erased message as nothing."""
    for value in (b"\0\0\0\1\1", b""):
        record = SimpleNamespace(key=b"k", value=value + b'{"revision":1}', headers=(), timestamp=0)
        assert json.loads(_published(role, record).value) == {"revision": 1}
    assert _published(role, SimpleNamespace(key=b"k", value=None, headers=(), timestamp=0)).value == b""
