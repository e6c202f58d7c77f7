"""The configuration: every error at once, in one plain line with its place and fix; no secret is ever shown."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from poller.config import load as config
from poller.config import units
from poller.config.example import EXAMPLE
from poller.config.forms import url_problem
from poller.config.secrets import SecretRef
from poller.errors import ConfigError
from poller.model import DAY, HOUR, MINUTE, SECOND

KAFKA = 'kafka: {bootstrap_servers: ["127.0.0.1:9092"]}\n'
STUUT = '- {name: c, provider: stuut, base_url: "https://api.stuut.ai", credentials: {token: {env: T}}, threads: [thr_1]'


def errors(tmp_path: Path, text: str) -> list[str]:
    """The lines that a configuration gives, without the file's name."""
    path = tmp_path / "poller.yaml"
    path.write_text(text)
    try:
        config.load(path)
    except ConfigError as error:
        return [line.removeprefix(f"{path}:") for line in error.lines]
    return []


def test_the_example_is_good(tmp_path: Path) -> None:
    """What `poller config example` prints loads, with the documented defaults."""
    assert errors(tmp_path, EXAMPLE) == []
    loaded = config.load(tmp_path / "poller.yaml")
    main = loaded.accounts[0]
    assert (main.rate_count, main.rate_seconds, main.interval, main.overlap) == (400, 60.0, 15 * SECOND, 10 * MINUTE)
    assert loaded.accounts[1].rate_count == 60
    assert loaded.directory == tmp_path / "poller-state"
    assert loaded.accounts[1].base_url == "https://api.fonedynamics.com"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("kafka:\n\tx: 1\n", "2: (document)", "tab"),
        ("- 1\n", "1: (document)", "not a mapping"),
        ("", "1: (document)", "not a mapping"),
        (KAFKA + "accounts: []\n", "2: accounts", "at least 1"),
        (KAFKA + "account: 1\n" + f"accounts:\n{STUUT}}}\n", "2: account", "did you mean accounts?"),
        (KAFKA + f"accounts:\n{STUUT}, intervall: 1s}}\n", "3: accounts[0].intervall", "did you mean interval?"),
        (KAFKA + f"accounts:\n{STUUT}, interval: 0s}}\n", "3: accounts[0].interval", "at least 100ms"),
        (KAFKA + f"accounts:\n{STUUT}, interval: 15}}\n", "3: accounts[0].interval", "write a unit"),
        (KAFKA + f"accounts:\n{STUUT}, rate_limit: fast}}\n", "3: accounts[0].rate_limit", "not a rate"),
        (KAFKA + f"accounts:\n{STUUT}, overlap: 8d}}\n", "3: accounts[0].overlap", "less than reconcile.back"),
        (KAFKA + f"accounts:\n{STUUT}, reconcile: {{every: 2d, back: 7d}}}}\n", "3: accounts[0].reconcile", "back >= 4 x every"),
        (KAFKA + f"accounts:\n{STUUT}, start_from: later}}\n", "3: accounts[0].start_from", "not a start"),
        (KAFKA + f"accounts:\n{STUUT}, properties: [a]}}\n", "3: accounts[0].properties", "not a key of stuut"),
        (KAFKA + f"accounts:\n{STUUT}}}\n{STUUT}}}\n", "4: accounts[1].name", "taken"),
        (KAFKA + f"accounts:\n{STUUT}}}\n{STUUT.replace('name: c', 'name: d')}}}\n", "4: accounts[1].credentials", "the same account"),
        (KAFKA + f"accounts:\n{STUUT.replace('name: c', 'name: C!')}}}\n", "3: accounts[0].name", "not of its form"),
        (KAFKA + f"accounts:\n{STUUT.replace('https', 'http')}}}\n", "3: accounts[0].base_url", "plain http"),
        (KAFKA + f"accounts:\n{STUUT.replace('[thr_1]', '[]')}}}\n", "3: accounts[0].threads", "at least one id"),
        (KAFKA + f"accounts:\n{STUUT.replace('[thr_1]', '[a, a]')}}}\n", "3: accounts[0].threads", "twice"),
        (KAFKA + f"accounts:\n{STUUT.replace('[thr_1]', '[a, ..]')}}}\n", "3: accounts[0].threads", "only dots"),
        (KAFKA + f"accounts:\n{STUUT.replace('token:', 'api_key:')}}}\n", "3: accounts[0].credentials", "not the credentials of stuut"),
        (KAFKA + f"privacy: {{numbers: hash}}\naccounts:\n{STUUT}}}\n", "2: privacy", "no key"),
        (KAFKA + f"log: {{level: loud}}\naccounts:\n{STUUT}}}\n", "2: log.level", "expected"),
        (KAFKA + f"admin: {{listen: here}}\naccounts:\n{STUUT}}}\n", "2: admin.listen", "not an address"),
        (f"kafka: {{}}\naccounts:\n{STUUT}}}\n", "1: kafka.bootstrap_servers", "missing"),
        (KAFKA + f"kafka: {{}}\naccounts:\n{STUUT}}}\n", "2: kafka", "twice"),
    ],
)
def test_each_error_says_where_what_and_how_to_mend_it(tmp_path: Path, text: str, place: str, what: str) -> None:
    """One line: place, what is wrong, what is expected, the fix."""
    lines = errors(tmp_path, text)
    assert any(line.startswith(place + ":") and what in line for line in lines), lines
    assert all("expected" in line and "fix:" in line and "\n" not in line for line in lines)


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """Errors of shape, between values and between accounts are reported together, in the order of the lines."""
    text = (
        "kafka: {bootstrap_servers: [x], shardz: 2}\nlog: {level: loud}\naccounts:\n"
        "- {name: a, provider: heymarket, interval: 1ms, credentials: {secret_id: {env: A}, secret_key: hunter2}}\n"
        "- {name: a, provider: stuut, base_url: 'http://x.example', credentials: {token: {env: T}}, threads: [t]}\n"
    )
    lines = errors(tmp_path, text)
    for piece in ("bootstrap_servers", "shardz", "log.level", "[0].interval", "secret_key", "[1].name", "[1].base_url"):
        assert any(piece in line for line in lines), piece
    assert [int(line.partition(":")[0]) for line in lines] == sorted(int(line.partition(":")[0]) for line in lines)


def test_a_literal_secret_is_refused_and_never_shown(tmp_path: Path) -> None:
    """The error names the place and the fix, not the secret."""
    for literal in ("hunter2", "{value: hunter2}", "[hunter2]", "{env: hunter2, file: hunter2}"):
        lines = errors(tmp_path, KAFKA + f"accounts:\n{STUUT.replace('{env: T}', literal)}}}\n")
        assert lines
        assert not any("hunter2" in line for line in lines)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example("1[:")
@example("kafka: {list[x]: 1}")
@given(st.text(alphabet="kafa: []{}-\n\t'\"&*!|>%@`#?,x1", max_size=60) | st.binary(max_size=30))
def test_nothing_but_a_configuration_error(tmp_path: Path, text: str | bytes) -> None:
    """Any file is a configuration or a configuration error."""
    path = tmp_path / "any.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError):
        config.load(path)


def test_missing_references_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable and file that is named and missing has its line."""
    monkeypatch.delenv("HEYMARKET_ID", raising=False)
    (tmp_path / "p.yaml").write_text(EXAMPLE)
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "p.yaml", referenced=True)
    assert len(caught.value.lines) == 10
    assert all("accounts[" in line and "fix:" in line for line in caught.value.lines)


def test_missing_references_come_with_all_other_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value does not hide a missing secret or file; a literal secret is told once, and never shown."""
    monkeypatch.delenv("T", raising=False)
    (tmp_path / "p.yaml").write_text(
        f"{KAFKA}privacy: {{key: hunter2}}\naccounts:\n{STUUT}, interval: 15}}\n"
        "- {name: f, provider: fonedynamics, credentials: {account_sid: S-literal, token: {file: gone}}, properties: {file: gone.txt}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "p.yaml", referenced=True)
    places = [line.removeprefix(f"{tmp_path / 'p.yaml'}:").split(": ")[1] for line in caught.value.lines]
    assert sorted(places) == [
        "accounts[0].credentials.token",
        "accounts[0].interval",
        "accounts[1].credentials.account_sid",
        "accounts[1].credentials.token",
        "accounts[1].properties.file",
        "privacy.key",
    ]
    assert not any("hunter2" in line or "S-literal" in line for line in caught.value.lines)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Wherever the command is started."""
    (tmp_path / "s").write_text(" secret \n")
    (tmp_path / "p.yaml").write_text(KAFKA + f"accounts:\n{STUUT.replace('{env: T}', '{file: s}')}}}\n")
    loaded = config.load(tmp_path / "p.yaml", referenced=True)
    assert loaded.accounts[0].credentials["token"].read() == "secret"


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every path alike: a folder by that name would be a trap for whoever removes it."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, text in (("s", "secret\n"), ("threads", "t-1\n")):
        (tmp_path / "home" / name).write_text(text)
    account = STUUT.replace("{env: T}", "{file: ~/s}").replace("[thr_1]", "{file: ~/threads}")
    (tmp_path / "p.yaml").write_text(KAFKA + f"state: {{directory: ~/state}}\naccounts:\n{account}}}\n")
    loaded = config.load(tmp_path / "p.yaml", referenced=True)
    assert loaded.directory == tmp_path / "home" / "state"
    assert loaded.accounts[0].credentials["token"].read() == "secret"
    assert loaded.accounts[0].streams_file == tmp_path / "home" / "threads"


NOBODY = "~nobody-of-that-name/x"
PLACES_OF_PATHS = {
    "state.directory": (f"state: {{directory: {NOBODY}}}\n", STUUT),
    "kafka.security.ca_file": ("", STUUT),
    "accounts[0].credentials.token": ("", STUUT.replace("{env: T}", f"{{file: {NOBODY}}}")),
    "accounts[0].threads": ("", STUUT.replace("[thr_1]", f"{{file: {NOBODY}}}")),
    "accounts[0].ca_file": ("", STUUT + f", ca_file: {NOBODY}"),
}


@pytest.mark.parametrize("key", PLACES_OF_PATHS)
def test_a_tilde_of_nobody_is_an_error_at_its_key(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line and the fix, whichever path it is; no folder of that name is made."""
    monkeypatch.setenv("T", "t")
    before, account = PLACES_OF_PATHS[key]
    kafka = KAFKA.replace("kafka: {", f"kafka: {{security: {{protocol: SSL, ca_file: {NOBODY}}}, ") if "security" in key else KAFKA
    (tmp_path / "p.yaml").write_text(kafka + before + f"accounts:\n{account}}}\n")
    for referenced in (False, True):
        with pytest.raises(ConfigError) as caught:
            config.load(tmp_path / "p.yaml", referenced=referenced)
        (said,) = caught.value.lines
        assert f": {key}: no home is known" in said, said
        assert "p.yaml:" in said
        assert said.endswith("fix: write the whole path")


def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Also when a symbolic link above it is swapped, as Kubernetes does; gone for a moment keeps the last value."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name)
    (tmp_path / "data").symlink_to("one")
    secret = SecretRef(file=tmp_path / "data" / "key")
    assert secret.read() == "one"
    (tmp_path / "swap").symlink_to("two")
    os.replace(tmp_path / "swap", tmp_path / "data")
    assert secret.read() == "two"
    (tmp_path / "data").unlink()
    assert secret.read() == "two"
    assert "two" not in repr(secret).replace(str(tmp_path), "")


def test_units() -> None:
    """Durations, rates and times as people write them."""
    assert [units.duration(text) for text in ("500ms", "15s", "10m", "6h", "1.5h")] == [
        500_000,
        15 * SECOND,
        10 * MINUTE,
        6 * HOUR,
        90 * MINUTE,
    ]
    assert units.rate("400/min") == (400, 60.0)
    assert units.moment("2026-11-01") == units.moment("2026-11-01T00:00:00Z") == units.moment("2026-11-01T02:00:00+02:00")
    assert units.moment_or_ago("1h", 5 * HOUR) == 4 * HOUR
    for bad in ("15", "s", "-1s", "1w", 15, None, "9999d"):
        with pytest.raises(ValueError, match="expected"):
            units.duration(bad)


@pytest.mark.parametrize(
    ("keys", "place", "what"),
    [
        ("proxy: 'http://['", "accounts[0].proxy", "the key proxy is no proxy"),
        ("proxy: 'socks5://127.0.0.1:1'", "accounts[0].proxy", "pip install"),
        ("ca_file: empty.pem", "accounts[0].ca_file", "no whole certificates"),
        ("ca_file: .", "accounts[0].ca_file", "missing"),
        ("ca_file: gone.pem", "accounts[0].ca_file", "missing"),
    ],
)
def test_what_run_could_not_use_is_an_error_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str, place: str, what: str
) -> None:
    """One line each, once, at its key."""
    monkeypatch.setenv("T", "invented")
    (tmp_path / "empty.pem").write_bytes(b"")
    path = tmp_path / "p.yaml"
    path.write_text(KAFKA + f"accounts:\n{STUUT}, {keys}}}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, referenced=True)
    [line] = caught.value.lines
    assert line.startswith(f"{path}:3: {place}: ")
    assert what in line
    assert "fix: " in line


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["'http://p:1'", "p:99999", "socks5://p:1"])
def test_a_wrong_proxy_of_the_environment_is_an_error_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """It names the variable and the line of the account that would use it; NO_PROXY takes the account out of it."""
    monkeypatch.setenv("T", "invented")
    monkeypatch.setenv(variable, value)
    (tmp_path / "p.yaml").write_text(KAFKA + f"accounts:\n{STUUT}}}\n")
    with pytest.raises(ConfigError, match=rf"p.yaml:3: accounts\[0\].proxy: the environment variable {variable} is no proxy"):
        config.load(tmp_path / "p.yaml", referenced=True)
    monkeypatch.setenv("NO_PROXY", "stuut.ai")
    config.load(tmp_path / "p.yaml", referenced=True)


SHAPES = [
    ("kafka.partitions", "kafka: {bootstrap_servers: [a:1], partitions: sixteen}"),
    ("kafka.partitions", "kafka: {bootstrap_servers: [a:1], partitions: 0}"),
    ("kafka.partitions", "kafka: {bootstrap_servers: [a:1], partitions: 1.5}"),
    ("kafka.bootstrap_servers", "kafka: {bootstrap_servers: a:1}"),
    ("kafka.bootstrap_servers", "kafka: {bootstrap_servers: []}"),
    ("kafka.bootstrap_servers[0]", "kafka: {bootstrap_servers: [a]}"),
    ("kafka.bootstrap_servers[1]", "kafka: {bootstrap_servers: ['a:1', 5]}"),
    ("kafka.topics", "kafka: {bootstrap_servers: [a:1], topics: [x]}"),
    ("kafka.topics.messages", "kafka: {bootstrap_servers: [a:1], topics: {messages: 'a b'}}"),
    ("kafka.group", "kafka: {bootstrap_servers: [a:1], group: ''}"),
    ("kafka.group", "kafka: {bootstrap_servers: [a:1], group: [x]}"),
    ("kafka.group", "kafka: {bootstrap_servers: [a:1], group: %s}" % ("x" * 300)),
    ("kafka.instance_id", "kafka: {bootstrap_servers: [a:1], instance_id: {env: NOT_SET_ANYWHERE}}"),
    ("kafka.session_timeout", "kafka: {bootstrap_servers: [a:1], session_timeout: 6}"),
    ("kafka", "kafka: 5"),
    ("state.directory", "state: {directory: 5}"),
    ("log.level", "log: {level: 5}"),
    ("privacy.numbers", "privacy: {numbers: hide}"),
    ("defaults.intervall", "defaults: {intervall: 1s}"),
    ("defaults.reconcile.evry", "defaults: {reconcile: {evry: 1h}}"),
]


@pytest.mark.parametrize(("place", "text"), SHAPES)
def test_every_error_of_shape_is_a_sentence_of_ours(tmp_path: Path, place: str, text: str) -> None:
    """What is wrong, what was expected, the fix: no word of a library, no pattern, no pointer to an example alone."""
    lines = errors(tmp_path, f"{text if text.startswith('kafka') else KAFKA + text}\naccounts:\n{STUUT}}}\n")
    [line] = [line for line in lines if f": {place}: " in line]
    assert re.fullmatch(r"\d+: [\w.\[\]]+: [^;]+; expected [^;]+; fix: .+", line), line
    for leaked in ("expected as in", "^", "\\S", "Input should", "valid ", "pydantic", "NoneType"):
        assert leaked not in line


IMPOSSIBLE = [
    *(("kafka.session_timeout", f"kafka: {{bootstrap_servers: [a:1], session_timeout: {value}}}") for value in ("0s", "1ms", "199ms", "31m", "7d")),
    *(("kafka.retention", f"kafka: {{bootstrap_servers: [a:1], retention: {value}}}") for value in ("0s", "0.5ms")),
    *(("kafka.partitions", f"kafka: {{bootstrap_servers: [a:1], partitions: {value}}}") for value in (0, -1, 10_001, 1 << 70)),
    *(("kafka.shards", f"kafka: {{bootstrap_servers: [a:1], shards: {value}}}") for value in (0, -1, 10_001)),
    *(("kafka.replication_factor", f"kafka: {{bootstrap_servers: [a:1], replication_factor: {value}}}") for value in (0, -1, 33, "true")),
    *(("kafka.bootstrap_servers[0]", f"kafka: {{bootstrap_servers: ['{value}']}}") for value in ("a:99999", "a:0", "a:-1", ":9092", "a b:1", "a,b:1", "a:\u0663", "http://a:1")),
    *(("admin.listen", f"admin: {{listen: '{value}'}}") for value in ("127.0.0.1:99999", "127.0.0.1:65536", "a:" + "9" * 5000, ":8080", "127.0.0.1:", "a b:1", "a:-1")),
    *(("kafka.schema_registry.url", f"kafka: {{bootstrap_servers: [a:1], schema_registry: {{url: '{value}'}}}}")
      for value in ("https://r:99999", "https://r:0", "https://", "https://r r", "ftp://r", "https://u@r", "https://r?a=b", "https://r#a")),
    *(("defaults.interval", f"defaults: {{interval: {value}}}") for value in ("0s", "99ms", "3651d")),
    *(("defaults.timeout", f"defaults: {{timeout: {value}}}") for value in ("0s", "0.9ms", "3651d")),
    *(("defaults.overlap", f"defaults: {{overlap: {value}}}") for value in ("0s", "0ms", "7d", "3650d")),
    *(("defaults.reconcile.every", f"defaults: {{reconcile: {{every: {value}}}}}") for value in ("0s", "0.1ms")),
    *(("defaults.reconcile", f"defaults: {{reconcile: {{every: 6h, back: {value}}}}}") for value in ("0s", "1ms", "23h")),
    *(("defaults.status_horizon", f"defaults: {{status_horizon: {value}}}") for value in ("3651d", "-1s", "1e3s", "9" * 400 + "d")),
]  # fmt: skip


@pytest.mark.parametrize(("place", "text"), IMPOSSIBLE)
def test_a_number_that_can_never_work_is_an_error_of_the_check(tmp_path: Path, place: str, text: str) -> None:
    """A port that TCP does not have, a session that no broker takes, a wait of nothing: with file, line, key and fix."""
    lines = errors(tmp_path, f"{text if text.startswith('kafka') else KAFKA + text}\naccounts:\n{STUUT}}}\n")
    [line] = [line for line in lines if f": {place}: " in line]
    assert re.fullmatch(r"[12]: [\w.\[\]]+: [^;]+; expected [^;]+; fix: .+", line), line


UNUSUAL = "defaults: {interval: 2d, overlap: 500ms, timeout: 1h, reconcile: {every: 10s, back: 40s}}"


def test_what_is_only_unusual_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial reads everything again every ten seconds, and somebody polls every other day."""
    monkeypatch.setenv("T", "invented")
    path = tmp_path / "p.yaml"
    path.write_text(f"{KAFKA.replace('}', ', retention: 30s}')}{UNUSUAL}\naccounts:\n{STUUT}}}\n")
    [account] = config.load(path).accounts
    assert (account.interval, account.timeout, account.reconcile_every) == (2 * DAY, HOUR, 10 * SECOND)


OF_AN_ACCOUNT = [
    *(("base_url", f"'{url}'") for url in ("https://a:99999", "https://a:0", "https://a:-1", "https://", "https://a b", "https://a#b", "https:a", "//a")),
    *(("proxy", f"'{proxy}'") for proxy in ("http://p:99999", "p:0", "p p:1", "[::1:3128", "p:")),
    *(("interval", value) for value in ("0s", "99ms")),
    *(("timeout", value) for value in ("0s", "0.5ms")),
    *(("overlap", value) for value in ("0s", "0.1ms")),
    *(("rate_limit", value) for value in ("9" * 5000 + "/s", "\u0663/s", "0/s", "0/min", "1000001/s", "-1/s", "1.5/s")),
    *(("burst", value) for value in ("0", "-1", "1001", "1.5")),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), OF_AN_ACCOUNT)
def test_so_is_a_number_of_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    """At its own key, in the line of the account."""
    monkeypatch.setenv("T", "invented")
    base = "" if key == "base_url" else ', base_url: "https://api.stuut.ai"'
    account = STUUT.replace(', base_url: "https://api.stuut.ai"', "") + f"{base}, {key}: {value}}}"
    path = tmp_path / "p.yaml"
    path.write_text(KAFKA + f"accounts:\n{account}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, referenced=True)
    [line] = caught.value.lines
    assert line.startswith(f"{path}:3: accounts[0].{key}: "), line
    assert "; expected " in line
    assert "; fix: " in line


def test_json_may_be_indented_by_tabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON is; tabs within a text stay."""
    monkeypatch.setenv("T", "invented")
    account = {
        "name": "a",
        "provider": "stuut",
        "base_url": "https://api.stuut.ai",
        "credentials": {"token": {"env": "T"}},
        "threads": ["t"],
    }
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"kafka": {"bootstrap_servers": ["127.0.0.1:9092"]}, "accounts": [account]}, indent="\t"))
    assert config.load(path, referenced=True).accounts[0].name == "a"


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """In a moment, at a line, with what is too much."""
    names = "abcdefghijkl"
    lines = ["a: &a [x, x, x, x]", *(f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]" for old, new in pairwise(names))]
    path = tmp_path / "p.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 1,000,000 values"):
        config.load(path, referenced=True)


@pytest.mark.parametrize(
    ("host", "here"), [("127.5.5.5", True), ("[::1]", True), ("localhost", True), ("128.0.0.1", False), ("127.example", False)]
)
def test_plain_http_leads_to_this_host_alone(host: str, here: bool) -> None:
    """All of 127.0.0.0/8 is this host (RFC 1122 section 3.2.1.3)."""
    assert (url_problem(f"http://{host}:8080", "a URL") is None) == here
