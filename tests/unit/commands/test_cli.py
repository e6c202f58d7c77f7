"""The command line: exit codes, plain errors, results on stdout."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from poller import __version__, cli
from poller.commands.tail import json_of, line_of
from poller.config.example import EXAMPLE
from poller.demo.simulator.switches import Switches, chosen


def poller(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run([sys.executable, *python, "-m", "poller", *arguments], capture_output=True, text=True, check=False, timeout=180)


def test_exit_codes_of_plain_commands(tmp_path: Path) -> None:
    """0 done, 2 usage, 78 configuration; no traceback."""
    assert poller("version").stdout.strip() == __version__
    assert poller("config", "example").stdout == EXAMPLE
    assert json.loads(poller("config", "schema").stdout)["title"] == "poller"
    assert "sms.message.created.v1" in poller("schemas", "list").stdout
    for usage in (("nonsense",), ("check",), ("tail", "--config", "x", "--topic", "y")):
        assert poller(*usage).returncode == 2, usage
    missing = poller("check", "--config", str(tmp_path / "none.yaml"))
    assert missing.returncode == 78
    assert missing.stdout == ""
    assert "Traceback" not in missing.stderr
    assert len(missing.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["demo", "check", "tail", "backfill", "audit", "reshard", "schemas export"])
def test_help_says_what_every_parameter_is(name: str) -> None:
    """Each has a sentence of its own, and an option of the demo that is wrong names the nearest."""
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", poller(*name.split(), "--help").stdout).split())
    command = getattr(cli, name.replace(" ", "_"))
    said = dict(re.findall(r"^    (\w+)\n        (.+)$", command.__doc__ or "", re.MULTILINE))
    assert said.keys() >= inspect.signature(command).parameters.keys() - {"config", "debug"}
    for sentence in said.values():
        assert " ".join(sentence.split()[:3]) in shown, sentence


def test_a_switch_of_the_demo_that_does_not_exist_names_the_nearest() -> None:
    """Names and values are checked before anything is started."""
    done = poller("demo", "--switch", "cursr=inclusive")
    assert done.returncode == 2
    assert "did you mean cursor?" in " ".join(done.stdout.split() + done.stderr.split())
    for wrong in ("late=often", "late=2", "late=nan", "order=none", "tie_rows=1", "cursor", "vanish_s=0"):
        with pytest.raises(ValueError, match=r"[a-z]"):
            chosen(Switches(), [wrong])
    assert chosen(Switches(), ["late=0.5", "cursor=inclusive", "envelope=true"]) == Switches(late=0.5, cursor="inclusive", envelope=True)


def test_python_without_asserts_is_refused() -> None:
    """The protocol's own checks are asserts."""
    done = poller("version", python=("-O",))
    assert done.returncode == 2
    assert "without -O" in done.stderr


def test_kafka_that_is_away_is_69(tmp_path: Path) -> None:
    """Commands that need Kafka say so; a good check says so too."""
    (tmp_path / "s").write_text("x")
    text = 'kafka: {bootstrap_servers: ["127.0.0.1:9"]}\naccounts:\n'
    text += '- {name: c, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {token: {file: s}}, threads: [t]}\n'
    (tmp_path / "p.yaml").write_text(text)
    assert poller("check", "--config", str(tmp_path / "p.yaml")).returncode == 0
    backfill = ("backfill", "stuut/c/t", "--from", "2d", "--to", "1d")
    for command in (("topics", "plan"), ("tail",), ("check", "--online"), ("audit",), ("reshard", "--shards", "8"), ("rebuild",), backfill):
        done = poller(*command, "--config", str(tmp_path / "p.yaml"))
        assert done.returncode == 69, (command, done.stderr)
        assert "fix" in done.stderr


def test_check_says_what_a_rate_limit_cannot_give(tmp_path: Path) -> None:
    """A hundred threads every 15 s under 60 requests a minute: a note with the numbers; still valid."""
    (tmp_path / "s").write_text("x")
    text = 'kafka: {bootstrap_servers: ["127.0.0.1:9"]}\naccounts:\n- {name: c, provider: stuut, base_url: "http://127.0.0.1:9", '
    text += f"credentials: {{token: {{file: s}}}}, threads: [{', '.join(f't{n}' for n in range(100))}]}}\n"
    (tmp_path / "p.yaml").write_text(text)
    done = poller("check", "--config", str(tmp_path / "p.yaml"))
    assert done.returncode == 0
    assert "stuut/c: 100 streams every 15 s need 400 requests a minute, and 60 are allowed: one round takes 125 s" in done.stderr


def test_tail_shows_no_text_and_masks_numbers() -> None:
    """A line for people holds neither; JSON is asked for and whole."""
    headers = {"ce_type": "sms.message.created.v1", "ce_time": "2026-01-01T00:00:00Z"}
    value = json.dumps({"revision": 1, "status": "sent", "from": "+14155550100", "to": ["+14155550123"], "text": "private words"}).encode()
    line = line_of(headers, "stuut/c/1", value)
    assert "private" not in line
    assert "1415" not in line
    assert "…23" in line
    assert json.loads(json_of(headers, "stuut/c/1", value))["value"]["text"] == "private words"
