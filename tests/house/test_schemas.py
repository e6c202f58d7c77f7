"""The schemas are those of the code, the examples are golden, and every event of a whole story obeys them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from poller.commands import schemas
from poller.model import SECOND, BadRow, Message, Problem, Stream
from poller.publishing.diff import Created, DeadLetter, StatusChanged, Updated
from poller.publishing.events import Envelope, Publisher, StatusChange, in_transaction
from poller.publishing.privacy import Privacy
from poller.telemetry.event_types import LATEST, TYPES
from tests.support.rows import change
from tests.support.schema_tools import FOLDER, validate
from tests.support.story import Story

EXAMPLES = FOLDER / "examples"
MESSAGE = Message(
    message_id="MEXAMPLE", status="delivered", provider_status="Delivered", final=True, channel="sms", direction="outbound",
    created_at="2026-11-20T09:15:00Z", from_="+61400000001", to=["+61400000002"], text="Hi", sent_at="2026-11-20T09:15:01Z",
    delivered_at="2026-11-20T09:15:07Z", scheduled_at="2026-11-20T09:15:00Z", segments=1, error=Problem(code="0"), provider_data={"delivery_receipt": True},
)  # fmt: skip
KINDS = TYPES | {"latest": LATEST}
STREAM = Stream("fonedynamics", "sydney", "PR1")


def examples() -> dict[str, dict[str, Any]]:
    """One golden event of each type, from the code."""
    observed = 1_795_166_110 * SECOND
    publisher, row = (
        Publisher(partitions=16, privacy=Privacy(), latest=True),
        BadRow("missing", "Created", b'{"MessageSid":"MBROKEN"}', "MBROKEN"),
    )
    letter = DeadLetter(STREAM, observed, row, hashlib.sha256(row.raw).hexdigest())
    latest = publisher.records(change(Updated(STREAM, observed, MESSAGE, 4, ("segments", "text")))).latest
    assert latest is not None
    events = {
        "created": publisher.records(change(Created(STREAM, observed, MESSAGE))).events,
        "status": publisher.records(change(StatusChanged(STREAM, observed, MESSAGE, 3, "sent"))).events,
        "updated": publisher.records(change(Updated(STREAM, observed, MESSAGE, 4, ("segments", "text")))).events,
        "dead": [publisher.dead_letter(letter)],
        "latest": [latest],
    }
    found = {}
    for name, encoded in events.items():
        [record] = in_transaction(encoded, shard=3, sequence=41)
        headers = {header: value.decode() for header, value in record.headers}
        found[KINDS[name]] = {"key": (record.key or b"").decode(), "headers": headers, "value": json.loads(record.value or b"null")}
    return found


@pytest.mark.parametrize("kind", sorted(KINDS.values()))
def test_the_golden_examples_are_what_the_code_publishes(kind: str) -> None:
    """Each example file equals the code's event, byte by meaning, and is valid."""
    example = json.loads((EXAMPLES / f"{kind}.json").read_text())
    assert example == examples()[kind]
    validate(example["headers"], example["value"])


def test_the_schemas_name_exactly_the_codes_fields() -> None:
    """No field of the code is missing in a schema, none is invented."""
    full = {("from" if name == "from_" else name) for name in Message.__struct_fields__ + Envelope.__struct_fields__}
    assert set(json.loads((FOLDER / "sms.message.updated.v1.json").read_text())["properties"]) == full
    assert set(json.loads((FOLDER / "sms.message.created.v1.json").read_text())["properties"]) == full - {"changed"}
    status = set(json.loads((FOLDER / "sms.message.status-changed.v1.json").read_text())["properties"])
    assert status == set(StatusChange.__struct_fields__)


@pytest.mark.parametrize("broken", [{"revision": 0}, {"created_at": "yesterday"}, {"to": "+1"}, {"status": None}, {"media": [1]}])
def test_broken_events_are_refused(broken: dict[str, Any]) -> None:
    """The schemas can fail."""
    example = examples()["sms.message.created.v1"]
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(example["headers"], example["value"] | broken)
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(example["headers"] | {"ce_specversion": "0.3"}, example["value"])


def test_every_event_of_a_story_obeys_its_schema() -> None:
    """All three providers, created, status and update events: valid headers and values."""
    story = Story(3, crash_s=None, seconds=30.0, settle_s=30.0)
    story.play()
    events = story.published()
    assert {event.type for event in events} >= set(TYPES.values()) - {"sms.message.dead-letter.v1"}
    for event in events:
        validate(event.headers, event.value)


def test_export_writes_everything(tmp_path: Path) -> None:
    """`poller schemas export` writes schemas, AsyncAPI and examples."""
    written = {path.name for path in schemas.export(tmp_path / "out")}
    assert {f"{kind}.json" for kind in KINDS.values()} | {"asyncapi.yaml"} <= written
    assert set(schemas.names()) == set(KINDS.values())
