"""What `poller check --online` says of a group and of a clock, before Kafka or a provider is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from poller.commands.check import _clock_note, _group_line
from poller.config.load import load
from poller.kafka.assignor import Rendezvous
from poller.kafka.topics import Group
from poller.times import instant
from tests.unit.commands.test_cli import good

NOW = instant("2026-11-25T08:00:00Z") or 0


@pytest.mark.parametrize(
    ("group", "wrong"),
    [
        (Group(0, "", ""), False),
        (Group(0, "connect", "sessioned"), False),
        (Group(3, "consumer", Rendezvous.name), False),
        (Group(2, "consumer", ""), False),  # a rebalance is under way
        (Group(1, "consumer", "range"), True),
        (Group(2, "connect", "sessioned"), True),
        (Group(0, "", "", may_join=False), True),
    ],
)
def test_a_group_that_another_program_uses_is_found(group: Group, wrong: bool, tmp_path: Path) -> None:
    """78 with the fix: a worker could not join it."""
    lines = _group_line(load(good(tmp_path)), group)
    assert [code for code, _ in lines] == [78] * wrong
    assert all("fix: set kafka.group" in line or "fix: allow Read on the group" in line for _, line in lines)


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("Wed, 25 Nov 2026 08:00:30 GMT", ""),
        (None, ""),
        ("soon", ""),
        ("Wed, 25 Nov 2026 08:05:00 GMT", "300 s ahead of"),
        ("Wed, 25 Nov 2026 06:00:00 -0000", "7200 s behind"),
    ],
)
def test_clocks_that_differ_are_said(date: str | None, said: str) -> None:
    """A note, because which of the two is right is not known here."""
    lines = _clock_note(SimpleNamespace(key="stuut/a"), date, NOW)  # type: ignore[arg-type]
    assert [code for code, _ in lines] == [0] * bool(said)
    assert all(said in line for _, line in lines)
