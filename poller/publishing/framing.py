"""How a record says which registered schema its value has. Pure.

Two forms of the Confluent family: five bytes before the value (a zero and the schema's number), or the header
``__value_schema_id`` (a one and the schema's GUID), which leaves the value plain JSON. Dead letters have neither:
their bytes are a vendor's.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..errors import Refused
from ..kafka.schema_registry import Registered
from ..telemetry import event_types
from .event_schemas import VALUES, json_schemas

HEADER = "__value_schema_id"
"""The record header of Confluent's serializers that names the schema of the value."""


class Frame(NamedTuple):
    """What is put to a record of one kind."""

    prefix: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()


NO_FRAME = Frame()
"""Nothing is put to a record: no schema registry is configured."""


def subjects() -> dict[str, str]:
    """What is registered: each event type, which is its subject, with its schema as text."""
    return {event_type: json.dumps(schema, separators=(",", ":")) for event_type, schema in json_schemas().items() if event_type in VALUES}


def frames(registered: Mapping[str, Registered], form: Literal["prefix", "header"]) -> dict[str, Frame]:
    """The frame of each kind of event. Raises Refused where the registry gives no GUIDs and the form needs them."""
    kinds = {**event_types.TYPES, "latest": event_types.LATEST}
    return {kind: _frame(registered[type_], form) for kind, type_ in kinds.items() if type_ in registered}


def _frame(schema: Registered, form: Literal["prefix", "header"]) -> Frame:
    if form == "prefix":
        return Frame(prefix=b"\0" + schema.id.to_bytes(4, "big"))
    try:
        return Frame(headers=((HEADER, b"\1" + uuid.UUID(schema.guid or "").bytes),))
    except ValueError:
        raise Refused(
            "the schema registry gives its schemas no GUIDs, which the header needs", fix="set kafka.schema_registry.framing to prefix"
        ) from None
