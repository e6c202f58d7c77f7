"""What the demo says: never quiet, never torn, nothing private, how late each event is."""

from __future__ import annotations

import threading

import pytest

from poller.demo import view
from poller.demo.simulator.truth import Published
from poller.demo.view import Figures, View, told


def event(kind: str, **value: object) -> Published:
    """A published event."""
    facts = {"provider": "heymarket", "observed_at": "2026-11-23T08:09:41Z", **value}
    return Published("t", "heymarket/main/9", "heymarket/main/9:2", f"sms.{kind}.v1", 2, facts)


def test_a_status_says_from_what_to_what_its_key_and_how_late() -> None:
    """What users of SMS ask for."""
    line = told(event("message.status-changed", previous_status="sent", status="delivered", occurred_at="2026-11-23T08:09:39Z"))
    assert line.split() == ["heymarket/main/9", "sent", "->", "delivered", "2", "s", "late"]
    first = told(event("message.status-changed", status="sent"))
    assert first.split() == ["heymarket/main/9", "new", "->", "sent"]


def test_a_message_shows_no_number_and_no_text() -> None:
    """The last two digits, as everywhere."""
    line = told(event("message.created", **{"from": "+61416240112", "to": ["+61488824921"]}, text="a secret", direction="inbound"))
    assert "…12 → …21" in line
    assert "6141624" not in line
    assert "secret" not in line


def test_nothing_is_said_twice_a_second_and_something_every_few(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no terminal draws: one line with the verdict and the time, then quiet until it is time again."""
    now = 100.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    shown = View(60.0)
    shown.begin()
    for step in range(100):
        now = 100.0 + step / 10
        shown.update([], Figures("Healthy: 3 accounts."))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "Healthy: 3 accounts." in line] == lines
    assert 2 <= len(lines) <= 4
    assert "60 s to the proof" in lines[0]


def test_long_work_is_said_again_and_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A download of a minute is no silence of a minute."""
    monkeypatch.setattr(view, "EVERY_S", 0.001)
    shown, again = View(60.0), threading.Event()
    monkeypatch.setattr(shown, "say", lambda line: again.set() if " s ..." in line else None)
    with shown.working("downloading"):
        assert again.wait(30)
