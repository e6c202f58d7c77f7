"""Every published event against its schema and against CloudEvents' Kafka binding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

FOLDER = Path(__file__).parent.parent.parent / "schemas"
_SCHEMAS: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
VALUES: dict[str, Any] = {kind: jsonschema_rs.validator_for(schema, validate_formats=True) for kind, schema in _SCHEMAS.items()}
IDS: dict[str, str] = {kind: schema["$id"] for kind, schema in _SCHEMAS.items()}
"""What ``ce_dataschema`` says, by event type."""

_ASYNC = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
HEADERS = jsonschema_rs.validator_for(_ASYNC["components"]["schemas"]["headers"], validate_formats=True)


def validate(headers: dict[str, str], value: Any) -> None:
    """Raises jsonschema_rs.ValidationError or AssertionError for an event that breaks the public contract."""
    HEADERS.validate(headers)
    assert headers["ce_dataschema"] == IDS[headers["ce_type"]]
    VALUES[headers["ce_type"]].validate(value)
