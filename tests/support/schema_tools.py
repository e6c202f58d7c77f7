"""Every published event against its schema and against CloudEvents' Kafka binding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

FOLDER = Path(__file__).parent.parent.parent / "schemas"
VALUES: dict[str, Any] = {
    path.stem: jsonschema_rs.validator_for(json.loads(path.read_text()), validate_formats=True) for path in FOLDER.glob("*.json")
}
_ASYNC = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
HEADERS = jsonschema_rs.validator_for(_ASYNC["components"]["schemas"]["headers"], validate_formats=True)


def validate(headers: dict[str, str], value: Any) -> None:
    """Raises jsonschema_rs.ValidationError for an event that breaks the public contract."""
    HEADERS.validate(headers)
    VALUES[headers["ce_type"]].validate(value)
