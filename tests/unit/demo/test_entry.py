"""The demo's beginning where not everything is installed."""

from __future__ import annotations

import sys

import pytest

from poller.cli import main


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The named fix, exit code 2, and no traceback."""
    for name in [name for name in sys.modules if name.startswith("poller.demo.command")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "poller.demo.view", None)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--seconds", "1"])
    assert ended.value.code == 2
    assert "pip install 'poller[demo]'" in capsys.readouterr().err
