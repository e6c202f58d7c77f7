"""Alerts, dashboard, runbook and code agree: every metric exists, every alert is played and explained, every kind has its entry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from poller.errors import ConfigError, Misused, PollerError, WrongState
from poller.telemetry import metrics, runbook
from poller.telemetry.known import GAPS, kinds_of

ROOT = Path(__file__).parent.parent.parent
STANDARD = {"up", "process_resident_memory_bytes", "process_start_time_seconds"}
OWN_LABELS = {"instance", "job", "le"}
NEVER_WAITED_FOR = {PollerError.kind, ConfigError.kind, Misused.kind, WrongState.kind, "provider", "kafka"}
"""Kinds that no stream, account or shard waits with: bases, and what ends a command."""

SYNTAX = {"by", "on", "and", "or", "sum", "max", "min", "rate", "increase", "time", "absent", "histogram_quantile", "unless", "ignoring"}


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    return yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard."""
    return json.loads((ROOT / "deploy" / "grafana" / "poller.json").read_text())["panels"]


def expressions() -> list[str]:
    """Every PromQL expression that is shipped."""
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_of_an_expression_exists(expression: str) -> None:
    """A misspelt metric is just empty, and an alert on it never fires."""
    families = {f"poller_{family.name}": family for family in metrics.FAMILIES}
    names = {f"{name}{suffix}": family for name, family in families.items() for suffix in ("", "_bucket")[: 1 + bool(family.buckets)]}
    bare = re.sub(r'"[^"]*"|\[\w+\]', "", expression)
    words = set(re.findall(r"[a-z_]{2,}", bare)) - SYNTAX
    used = {word for word in words if word in names}
    assert used or words & STANDARD
    labels = {label for word in used for label in names[word].labels} | OWN_LABELS
    assert words - used - STANDARD <= labels


def test_every_value_of_a_label_in_an_expression_is_known() -> None:
    """A state or outcome that the code never gives would never fire."""
    words = metrics.table()
    for expression in expressions():
        for value in re.findall(r'(?:state|outcome)[!=~]+"([^"]+)"', expression):
            assert all(f"`{each}`" in words for each in value.split("|")), value


def test_every_alert_is_played_and_has_a_runbook_entry() -> None:
    """Each fires in a test of promtool, and its annotation leads to an entry that says what it means, how to confirm, what to do."""
    played = {
        case["alertname"]
        for test in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts_test.yaml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert {rule["alert"] for rule in rules()} == played
    for rule in rules():
        found = runbook.entry(rule["alert"])
        assert found is not None, rule["alert"]
        assert all(part in found.text for part in ("**Means.**", "**Confirm.**", "**Do.**"))
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_every_kind_of_trouble_and_of_gap_has_a_runbook_entry() -> None:
    """The page links to it, and the terminal prints it."""
    names = {entry.name for entry in runbook.entries()}
    assert set(kinds_of(PollerError)) - NEVER_WAITED_FOR <= names
    assert set(GAPS) <= names
    assert len(names) == len(runbook.entries()), "no entry twice"


def test_the_dashboard_is_one_screen_without_overlaps() -> None:
    """Twenty-four columns; no two panels on one place; every query has a legend."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        assert all(target["legendFormat"] for target in panel["targets"])
        taken |= cells
    assert max(y for _, y in taken) < 42
