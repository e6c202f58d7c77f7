"""The command line: exit codes, plain errors, results on stdout."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from poller import __version__, cli
from poller.commands.event_lines import json_of, line_of
from poller.commands.exit_codes import ExitCode, code_of
from poller.commands.trace import history
from poller.config.example import EXAMPLE
from poller.demo.simulator.switches import Switches, chosen
from poller.errors import CacheError, ConfigError, Denied, Misused, Refused, Unauthorized, Unavailable, Unreachable, WrongState
from poller.kafka.public_topics import Published
from poller.signals import ending_signals


def poller(*arguments: str, python: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, *python, "-m", "poller", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environment)


def called(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command within this process: the same but for its beginning and its end, in a tenth of the time."""
    out, talk, handlers = io.StringIO(), io.StringIO(), {number: signal.getsignal(number) for number in ending_signals()}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk), pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), talk.getvalue())


def test_plain_commands_print_their_result() -> None:
    """0, and the result alone on stdout."""
    assert poller("version").stdout.strip() == __version__
    assert poller("config", "example").stdout == EXAMPLE
    assert json.loads(poller("config", "schema").stdout)["title"] == "poller"
    assert "sms.message.created.v1" in poller("schemas", "list").stdout


COMMANDS = (
    "run", "demo", "check", "status", "tail", "trace", "explain", "backfill", "audit", "reshard", "rebuild",
    "topics plan", "topics create", "schemas list", "schemas export", "config example", "config schema", "version",
)  # fmt: skip
"""Everything that can be called."""


def function_of(name: str) -> Callable[..., int]:
    """What a command calls."""
    found = cli.app
    for word in name.split():
        found = found[word]
    assert found.default_command is not None
    return found.default_command


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_parameter_is(name: str) -> None:
    """Each command says what it does, and of each parameter what it is; most show an example."""
    done = called(*name.split(), "--help")
    assert done.returncode == 0
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", done.stdout).split())
    command = function_of(name)
    text = command.__doc__ or ""
    assert " ".join(text.split()[:5]) in shown
    said = dict(re.findall(r"^    (\w+)\n        (.+)$", text, re.MULTILINE))
    assert said.keys() >= inspect.signature(command).parameters.keys() - {"config"}
    for sentence in said.values():
        assert " ".join(sentence.split()[:3]) in shown, sentence


TYPE_WORDS = {"INT", "STR", "FLOAT", "BOOL", "TUPLE", "LIST", "INSTANT"}
"""What a type of the language is called in a help that nobody thought about."""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_every_option_expects(name: str) -> None:
    """A TIME, a PATH, a NUMBER: a word of the user's, never a type of the language; and no default that is only the absence of a value."""
    shown = " ".join(called(*name.split(), "--help").stdout.split())
    expected = set(re.findall(r"--[a-z-]+ ([A-Z][A-Z=]*)", shown))
    assert not expected & TYPE_WORDS
    assert not re.findall(r"default: (False|None|\(\))", shown)
    assert "--no-" not in shown


def test_times_are_asked_for_as_times() -> None:
    """Wherever a command takes a moment."""
    for name, option in (("backfill", "--from"), ("backfill", "--to"), ("audit", "--from"), ("tail", "--since")):
        assert f"{option} TIME" in called(name, "--help").stdout, name


def test_help_lists_every_command_and_says_where_to_begin() -> None:
    """Whoever calls it without arguments, or with --help, sees all there is."""
    shown = poller("--help")
    assert shown.returncode == 0
    assert {name.split()[0] for name in COMMANDS} <= set(shown.stdout.split())
    assert "POLLER_CONFIG" in shown.stdout
    told = " ".join(re.sub("[│╭╮╰╯─]", " ", shown.stdout).split())
    for name in (name for name in COMMANDS if " " not in name):
        first = " ".join((function_of(name).__doc__ or "").split(". ")[0].split()[:6])
        assert f"{name} {first}" in told
    assert poller().stdout == shown.stdout


@pytest.mark.parametrize(
    "wrong",
    [("nonsense",), ("tial",), ("check",), ("tail", "--config"), ("tail", "--config", "x", "--topic", "y"), ("audit", "--config", "x", "--from", "soon"),
     ("tail", "--config", "x", "--nope"), ("reshard", "--config", "x", "--shards", "0"), ("topics", "plot"), ("trace",),
     ("tail", "--config", "x", "--since", "1h", "--from-beginning")],
)  # fmt: skip
def test_what_makes_no_sense_is_said_in_one_line(wrong: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """2, one plain line on stderr, nothing on stdout."""
    monkeypatch.delenv("POLLER_CONFIG", raising=False)
    done = called(*wrong)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("poller: ")


@pytest.mark.parametrize(
    "command",
    [("run",), ("check",), ("check", "--online"), ("tail",), ("trace", "a/b/c"), ("backfill", "a/b/c", "--from", "2d", "--to", "1d"), ("audit",),
     ("reshard", "--shards", "2"), ("rebuild",), ("topics", "plan"), ("topics", "plan", "--strimzi"), ("topics", "create")],
)  # fmt: skip
def test_a_configuration_that_is_missing_or_wrong_is_78(command: tuple[str, ...], tmp_path: Path) -> None:
    """In one plain line a fault, for every command that takes one; a folder is no file either."""
    (tmp_path / "wrong.yaml").write_text("kafka: {bootstrap_servers: []}\nacounts: []\n")
    for path, lines in ((tmp_path / "none.yaml", 1), (tmp_path, 1), (tmp_path / "wrong.yaml", 2)):
        done = called(*command, "--config", str(path))
        assert (done.returncode, done.stdout) == (78, ""), done
        assert len(done.stderr.splitlines()) >= lines
        assert all(line.startswith(str(path)) for line in done.stderr.splitlines())


def test_the_configuration_may_come_from_the_environment(tmp_path: Path) -> None:
    """POLLER_CONFIG is what --config defaults to."""
    environment = {**os.environ, "POLLER_CONFIG": str(good(tmp_path))}
    assert poller("check", environment=environment).returncode == 0
    assert poller("check", "--config", str(tmp_path / "none.yaml"), environment=environment).returncode == 78


def good(folder: Path) -> Path:
    """A good configuration, whose Kafka nobody answers for."""
    (folder / "s").write_text("x")
    path = folder / "p.yaml"
    path.write_text(
        'kafka: {bootstrap_servers: ["127.0.0.1:9"]}\naccounts:\n'
        '- {name: c, provider: stuut, base_url: "http://127.0.0.1:9", credentials: {token: {file: s}}, threads: [t]}\n'
    )
    return path


def test_a_secret_or_file_that_is_missing_is_78(tmp_path: Path) -> None:
    """`check` opens no connection, but reads whatever is named: a secret, a variable, a list, a certificate."""
    path = good(tmp_path)
    for wrong in (
        ("token: {file: s}", "token: {file: gone}"),
        ("token: {file: s}", "token: {env: NO_SUCH_VARIABLE}"),
        ("threads: [t]", "threads: {file: gone.txt}"),
        ("threads: [t]", "threads: [t], ca_file: gone.pem"),
        ('["127.0.0.1:9"]', '["127.0.0.1:9"], security: {protocol: SSL, ca_file: s}'),
    ):
        written = tmp_path / "w.yaml"
        written.write_text(path.read_text().replace(*wrong))
        done = called("check", "--config", str(written))
        assert (done.returncode, done.stdout) == (78, ""), (wrong, done)
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [("config", "example"), ("config", "schema"), ("schemas", "list"), ("version",), ("--help",), ("check", "--config", "p.yaml")],
)
def test_a_reader_that_has_left_ends_a_command_quietly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """As `| head` does: no traceback, no complaint of the interpreter, and nothing else on stderr."""
    good(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "poller", *arguments], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_command_with_130(number: signal.Signals, tmp_path: Path) -> None:
    """While it waits for Kafka as well as while it still begins; nothing is printed."""
    for moment in ("poller.commands.process._until_reader_leaves", "poller.config.load.load"):
        code = f"""
import os, poller.cli, poller.commands.process, poller.config.load
def kill(*_, **__):
    os.kill(os.getpid(), {int(number)})
    return original(*_, **__)
module, name = {moment.rpartition(".")[0]!r}, {moment.rpartition(".")[2]!r}
import sys; module = sys.modules[module]
original = getattr(module, name)
setattr(module, name, kill)
import anyio, poller.commands.audit
poller.commands.audit.load, poller.commands.audit.audit = poller.config.load.load, lambda *_: anyio.sleep_forever()
poller.cli.main(["audit", "--config", {str(good(tmp_path))!r}])
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), (moment, done)


@pytest.mark.parametrize(("command", "ends_with", "says"), [("audit", 130, ""), ("run", 0, '"stopping"')])
def test_a_signal_whose_exception_python_swallows_is_not_lost(command: str, ends_with: int, says: str, tmp_path: Path) -> None:
    """One that comes while an object is deleted, as many are in the midst of imports: Python reports its exception, and goes on."""
    code = f"""
import os, poller.cli, poller.config.load
class Deleted:
    def __del__(self):
        os.kill(os.getpid(), {int(signal.SIGTERM)})
        for _ in range(1000):
            pass
original = poller.config.load.load
def load(*given, **named):
    Deleted()
    return original(*given, **named)
poller.config.load.load = load
import anyio, poller.commands.audit
poller.commands.audit.audit = lambda *_: anyio.sleep_forever()
poller.cli.main([{command!r}, "--config", {str(good(tmp_path))!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "Exception ignored in" in done.stderr
    assert done.returncode == ends_with
    assert says in done.stderr


def test_what_libraries_warn_of_is_not_said_between_our_lines(tmp_path: Path) -> None:
    """As of a secret that is short for its use, with the path of the library: only Python's own option -W shows it."""
    code = f"import warnings, poller.commands.check as c; c.too_slow = lambda *_: warnings.warn('short') or []; import poller.cli; poller.cli.main(['check', '--config', {str(good(tmp_path))!r}])"
    for option, said in (((), False), (("-W", "default"), True)):
        done = subprocess.run([sys.executable, *option, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert ("short" in done.stderr) is said, done.stderr


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """Under nohup a closing terminal ends nothing."""
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\nfrom poller.signals import ending_signals; print(len(ending_signals()))"
    for text, count in ((code, "2"), (code.partition("\n")[2], "3")):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == count


def test_what_is_unexpected_shows_its_traceback_only_with_debug(tmp_path: Path) -> None:
    """1 and the error's type in one line; the whole story when it is asked for."""
    code = "import poller.cli, poller.commands.schemas as s\ndef broken(): raise ZeroDivisionError('private')\ns.names = broken\n"
    for arguments, shown in ((["schemas", "list"], False), (["schemas", "list", "--debug"], True)):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}poller.cli.main({arguments})"], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) is shown
        assert "ZeroDivisionError" in done.stderr
        assert "private" not in done.stderr or shown


def test_every_error_has_its_exit_code() -> None:
    """One table: who stops for it, and what programs are told."""
    expected = {
        ConfigError(["x"]): 78, Misused(): 2, WrongState(): 3, Unauthorized(): 77, Denied(): 77, Unavailable(): 69, Refused(): 69, Unreachable(): 69,
        CacheError(): 1,
    }  # fmt: skip
    assert {type(error): int(code_of(error)) for error in expected} == {type(error): code for error, code in expected.items()}
    assert sorted(map(int, ExitCode)) == [0, 1, 2, 3, 69, 77, 78, 130]


@pytest.mark.parametrize(
    "given", [("run", "--nope"), ("audit", "--confg", "x"), ("backfill", "--strem", "x"), ("tail", "--config", "x", "--tipe", "y")]
)
def test_an_option_that_does_not_exist_is_named_once(given: tuple[str, ...]) -> None:
    """Also where another one is missing, which the library says first."""
    done = called(*given)
    wrong = next(word for word in given if word.startswith("--") and word != "--config")
    assert done.returncode == 2
    assert done.stderr.count(wrong) == 1, done.stderr


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
    good(tmp_path)
    assert poller("check", "--config", str(tmp_path / "p.yaml")).returncode == 0
    backfill = ("backfill", "stuut/c/t", "--from", "2d", "--to", "1d")
    for command in (
        ("topics", "plan"),
        ("tail",),
        ("trace", "a/b/c"),
        ("check", "--online"),
        ("audit",),
        ("reshard", "--shards", "8"),
        ("rebuild",),
        backfill,
    ):
        done = called(*command, "--config", str(tmp_path / "p.yaml"))
        assert done.returncode == 69, (command, done.stderr)
        assert "fix" in done.stderr


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [("2d", "2d", "fix: give a range"), ("1d", "2d", "fix: exchange them"), ("2999-01-01", "2999-02-01", "is in the future")],
)
def test_a_backfill_needs_a_past_range(tmp_path: Path, since: str, until: str, said: str) -> None:
    """Equal words are one moment, however long the command takes to read them; the refusal comes before Kafka is asked."""
    done = called("backfill", "stuut/c/t", "--from", since, "--to", until, "--config", str(good(tmp_path)))
    assert (done.returncode, said in done.stderr) == (2, True), done


def test_a_topic_that_is_not_named_cannot_be_filled(tmp_path: Path) -> None:
    """The refusal comes before Kafka is asked, and says what to set."""
    done = called("rebuild", "--latest", "--config", str(good(tmp_path)))
    assert (done.returncode, "fix: set kafka.topics.latest" in done.stderr) == (78, True), done


def test_only_our_own_words_are_on_stderr(tmp_path: Path) -> None:
    """What a library logs about a broker that is away is not among them."""
    done = poller("topics", "plan", "--config", str(good(tmp_path)))
    assert done.returncode == 69
    assert done.stderr.splitlines() == [
        "poller: Kafka cannot be reached (ConnectionRefusedError); fix: check kafka.bootstrap_servers, and kafka.security"
    ]


def test_check_says_where_nothing_would_be_polled(tmp_path: Path) -> None:
    """An empty file of names is valid, and noted with its fix."""
    path = good(tmp_path)
    (tmp_path / "names.txt").write_text("\n# none yet\n")
    path.write_text(path.read_text().replace("threads: [t]", "threads: {file: names.txt}"))
    done = called("check", "--config", str(path))
    assert done.returncode == 0
    assert "stuut/c: it names no stream" in done.stderr


def test_check_says_what_a_rate_limit_cannot_give(tmp_path: Path) -> None:
    """A hundred threads every 15 s under 60 requests a minute: a note with the numbers; still valid."""
    (tmp_path / "s").write_text("x")
    text = 'kafka: {bootstrap_servers: ["127.0.0.1:9"]}\naccounts:\n- {name: c, provider: stuut, base_url: "http://127.0.0.1:9", '
    text += f"credentials: {{token: {{file: s}}}}, threads: [{', '.join(f't{n}' for n in range(100))}]}}\n"
    (tmp_path / "p.yaml").write_text(text)
    done = called("check", "--config", str(tmp_path / "p.yaml"))
    assert done.returncode == 0
    assert "stuut/c: 100 streams every 15 s need 400 requests a minute, and 60 are allowed: one round takes 125 s" in done.stderr


def event(headers: dict[str, str], value: object, key: str = "stuut/c/1", time: int = 1_767_225_603_500_000) -> Published:
    """A record as it is read back."""
    return Published("messages", key, headers, value if isinstance(value, bytes) else json.dumps(value).encode(), time)


HEADERS = {"ce_type": "sms.message.created.v1", "ce_time": "2026-01-01T00:00:00Z"}


def test_tail_shows_no_text_and_masks_numbers() -> None:
    """A line for people holds neither, and says how late the event was; JSON is asked for and whole."""
    value = {"revision": 1, "status": "sent", "from": "+14155550100", "to": ["+14155550123"], "text": "private words"}
    line = line_of(event(HEADERS, value))
    assert "private" not in line
    assert "1415" not in line
    assert "…23" in line
    assert line.endswith("+3.5s")
    assert json.loads(json_of(event(HEADERS, value)))["value"]["text"] == "private words"


@pytest.mark.parametrize(
    "value", [b"", b"null", b"[1]", b"\xff\xfe", {"revision": "1"}, {"revision": 1, "to": 3, "from": {"a": 1}, "status": "\x1b[2J\n"}]
)
@pytest.mark.parametrize(
    "headers", [{}, HEADERS, {"ce_type": "\x1b[31m", "ce_time": "soon"}, {"ce_type": "sms.message.dead-letter.v1", "poller_reason": "\x07"}]
)
def test_no_record_of_a_stranger_breaks_the_output_or_steers_the_terminal(value: object, headers: dict[str, str]) -> None:
    """Whatever somebody wrote to the topic is one printable line."""
    found = event(headers, value, key="\x1b]0;title\x07")
    for line in (line_of(found), *history([found])):
        assert line.isprintable()
    assert json.loads(json_of(found))["headers"] == headers
    assert "\x1b[" in line_of(event(HEADERS, {"revision": 1, "status": "failed"}), colours=True)


def test_a_trace_tells_a_message_by_its_revisions() -> None:
    """Whichever topic an event came from, and in whatever order they are read: status, delay, what changed; no text, no number."""
    created = event(HEADERS, {"revision": 1, "status": "queued", "text": "private", "from": "+14155550100"})
    status = event(
        {"ce_type": "sms.message.status-changed.v1"},
        {"revision": 2, "previous_status": "queued", "status": "sent"},
        time=1_767_225_604_000_000,
    )
    updated = event(
        {"ce_type": "sms.message.updated.v1", "ce_time": "2026-01-01T00:00:04Z"}, {"revision": 3, "status": "sent", "changed": ["text"]}
    )
    lines = history([updated, status, created])
    assert [line.split()[0] for line in lines] == ["r1", "r2", "r3"]
    assert "queued → sent" in lines[1]
    assert "not said" in lines[1]
    assert "+3.5s" in lines[0]
    assert "text" in lines[2]
    assert not any("private" in line or "1415" in line for line in lines)


def test_a_plan_for_strimzi_is_what_the_topics_must_be(tmp_path: Path) -> None:
    """Every topic once, without asking Kafka: partitions, policy, retention; names that Kubernetes accepts."""
    path = good(tmp_path)
    path.write_text(
        path.read_text().replace(
            '["127.0.0.1:9"]', '["127.0.0.1:9"], partitions: 5, shards: 3, retention: 30d, topics: {messages: Sms_All, latest: Newest}'
        )
    )
    resources = list(yaml.safe_load_all(poller("topics", "plan", "--strimzi", "--config", str(path)).stdout))
    specs = {each["spec"]["topicName"]: each["spec"] for each in resources}
    assert specs["Sms_All"]["partitions"] == 5
    assert specs["Sms_All"]["config"]["retention.ms"] == str(30 * 86_400_000)
    assert specs["sms.poller-state.v1"]["partitions"] == 3
    assert specs["sms.poller-state.v1"]["config"]["cleanup.policy"] == "compact"
    assert "retention.ms" not in specs["sms.poller-state.v1"]["config"]
    assert specs["Newest"]["config"]["cleanup.policy"] == "compact,delete"
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", each["metadata"]["name"]) for each in resources)
