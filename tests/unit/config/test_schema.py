"""The configuration for editors and for people: every key is described, and what the loader refuses an editor refuses too."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
import yaml

from poller.config.example import EXAMPLE
from poller.config.schema import schema
from tests.unit.config.test_config import KAFKA, SHAPES, STUUT

SCHEMA: dict[str, Any] = json.loads(schema())


def valid(text: str) -> bool:
    """Whether an editor that knows the schema accepts a file."""
    return jsonschema_rs.validator_for(SCHEMA).is_valid(yaml.safe_load(text))


def test_the_example_is_valid() -> None:
    """With everything that it shows commented out, too."""
    assert valid(EXAMPLE)
    lines = EXAMPLE.splitlines()
    shown = [
        line.replace("# ", "", 1) if line.lstrip().startswith("# ") and ":" in line and "poller:" not in line else line for line in lines
    ]
    assert valid("\n".join(shown)), "\n".join(shown)


def _keys(part: dict[str, Any], place: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, field in part.get("properties", {}).items():
        found.append((f"{place}.{name}", field))
        found += _keys(field.get("items", field), f"{place}.{name}")
    return found


@pytest.mark.parametrize(("place", "field"), _keys(SCHEMA, ""), ids=lambda each: each if isinstance(each, str) else "")
def test_every_key_has_a_form_and_a_description(place: str, field: dict[str, Any]) -> None:
    """An editor can complete and refuse."""
    assert field.get("description", "").strip(".") != ""
    assert {"type", "enum", "oneOf", "anyOf"} & field.keys()


@pytest.mark.parametrize(("place", "text"), [each for each in SHAPES if "NOT_SET" not in each[1]])
def test_an_editor_refuses_what_the_loader_refuses(place: str, text: str) -> None:
    """Wrong types, unknown keys, numbers out of bounds."""
    assert not valid(f"{text if text.startswith('kafka') else KAFKA + text}\naccounts:\n{STUUT}}}\n"), place


@pytest.mark.parametrize(
    "keys",
    ["interval: 15", "interval: fast", "rate_limit: 60", "rate_limit: 0/s", "overlap: soon", "enabled: yes please", "burst: 0", "channels: [fax]",
     "threads: []", "credentials: {token: hunter2}", "reconcile: {every: 1}", "drafts: maybe", "name: A!", "unknown: 1"],
)  # fmt: skip
def test_an_editor_refuses_wrong_keys_of_an_account(keys: str) -> None:
    """As the loader does."""
    name = keys.partition(":")[0]
    account = {**yaml.safe_load(STUUT + "}")[0], **yaml.safe_load(keys)}
    file = {**yaml.safe_load(KAFKA), "accounts": [account]}
    assert not jsonschema_rs.validator_for(SCHEMA).is_valid(file), name
    del account[name]
    account |= {key: value for key, value in yaml.safe_load(STUUT + "}")[0].items() if key == name}
    assert jsonschema_rs.validator_for(SCHEMA).is_valid(file)
