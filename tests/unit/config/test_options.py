"""A vendor's own options: each error with its own place, secrets by reference at any depth, nothing that somebody wrote quoted."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from poller.config import load as config
from poller.config.schema import schema
from poller.errors import ConfigError

NUMBER = "49301234987"
FILE = """\
kafka: {{bootstrap_servers: ["127.0.0.1:9092"]}}
accounts:
- name: main
  provider: heymarket
  credentials: {{api_key: {{file: key}}}}
  {keys}
"""


def written(folder: Path, keys: str) -> Path:
    """A configuration of one account, and the files that it names."""
    (folder / "key").write_text("invented")
    (folder / "phone").write_text(f"+{NUMBER}\n")
    (folder / "words").write_text("the office\n")
    path = folder / "poller.yaml"
    path.write_text(FILE.format(keys=keys))
    return path


def errors(folder: Path, keys: str) -> list[str]:
    """What is wrong with an account, without the file's name."""
    path = written(folder, keys)
    try:
        config.load(path, referenced=True)
    except ConfigError as error:
        return [line.removeprefix(f"{path}:") for line in error.lines]
    return []


@pytest.mark.parametrize("order", [("vip", "press"), ("press", "vip")])
def test_each_conversation_is_a_stream_by_its_name_whatever_the_order(tmp_path: Path, order: tuple[str, str]) -> None:
    """The number is a secret by the option's dotted name, of a file relative to the configuration; the credentials stay what they were."""
    keys = ", ".join(f"{name}: {{phone: {{file: phone}}, inbox: 12}}" for name in order)
    [account] = config.load(written(tmp_path, f"conversations: {{{keys}}}"), referenced=True).accounts
    assert account.streams == ("press", "vip")
    assert list(account.credentials) == ["api_key"]
    assert {name: secret.read() for name, secret in account.secrets.items()} == {
        "api_key": "invented",
        "conversations.press.phone": f"+{NUMBER}",
        "conversations.vip.phone": f"+{NUMBER}",
    }


def test_without_conversations_there_is_the_team(tmp_path: Path) -> None:
    """Of all inboxes, or of some."""
    assert config.load(written(tmp_path, "enabled: true"), referenced=True).accounts[0].streams == ("team",)
    assert config.load(written(tmp_path, "inboxes: [12, 15]"), referenced=True).accounts[0].streams == ("team",)


@pytest.mark.parametrize(
    ("keys", "place", "what"),
    [
        ("inboxes: []", "inboxes", "expected list of inboxes' numbers"),
        ("inboxes: 12", "inboxes", "expected list of inboxes' numbers"),
        ("inboxes: [main]", "inboxes", "expected list of inboxes' numbers"),
        ("conversations: {}", "conversations", "expected {NAME: "),
        ("conversations: [vip]", "conversations", "expected {NAME: "),
        ("conversations: {vip: 1}", "conversations.vip", "expected a mapping"),
        (f"conversations: {{vip: {{phone: '{NUMBER}', inbox: 12}}}}", "conversations.vip.phone", "a literal secret"),
        ("conversations: {vip: {phone: {file: phone}, inbox: main}}", "conversations.vip.inbox", "an inbox's number"),
        ("conversations: {vip: {phone: {file: phone}}}", "conversations.vip.inbox", "missing"),
        ("conversations: {vip: {inbox: 12}}", "conversations.vip.phone", "expected {env: NAME} or {file: PATH}"),
        ("conversations: {vip: {phon: {file: phone}, phone: {file: phone}, inbox: 12}}", "conversations.vip.phon", "did you mean phone?"),
        (f"conversations: {{'+{NUMBER}': {{phone: {{file: phone}}, inbox: 12}}}}", "conversations", "a name in it cannot be used"),
        (f"conversations: {{{NUMBER}: {{phone: {{file: phone}}, inbox: 12}}}}", "conversations", "a name in it cannot be used"),
        ("conversations: {a-301-23-49-87: {phone: {file: phone}, inbox: 12}}", "conversations", "at most six digits"),
        ("conversations: {team: {phone: {file: phone}, inbox: 12}}", "conversations", "other than team"),
        ("conversations: {vip: {phone: {file: lost}, inbox: 12}}", "conversations.vip.phone", "expected a readable secret"),
        ("conversations: {vip: {phone: {file: words}, inbox: 12}}", "conversations.vip.phone", "no phone number in conversations.vip.phone"),
        ("inbox: [12]", "inbox", "did you mean inboxes?"),
    ],
)  # fmt: skip
def test_each_error_has_its_place_and_quotes_nothing(tmp_path: Path, keys: str, place: str, what: str) -> None:
    """A number that was written where a reference or a name belongs is not said again."""
    [line] = errors(tmp_path, keys)
    assert f": accounts[0].{place}: " in line
    assert what in line
    assert "; fix: " in line
    assert "4987" not in line
    assert "office" not in line


def test_one_restriction_is_enough(tmp_path: Path) -> None:
    """Inboxes beside conversations are refused, with a sentence of the vendor's own."""
    [line] = errors(tmp_path, "inboxes: [12]\n  conversations: {vip: {phone: {file: phone}, inbox: 12}}")
    assert line.startswith("3: accounts[0]: both inboxes and conversations; ")


def test_all_errors_of_options_come_at_once(tmp_path: Path) -> None:
    """Those of different conversations, and of different keys."""
    keys = "inboxes: none\n  conversations: {a: {phone: 1, inbox: x}, b: {phone: {file: phone}, inbox: 0}, c: {}}"
    places = [line.split(": ")[1] for line in errors(tmp_path, keys)]
    expected = ["inboxes", *(f"conversations.{each}" for each in ("a.phone", "a.inbox", "b.inbox", "c.phone", "c.inbox"))]
    assert sorted(places) == sorted(f"accounts[0].{each}" for each in expected)


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        ("inboxes: [12, 15]", True),
        ("conversations: {vip: {phone: {file: phone}, inbox: 12}}", True),
        ("inboxes: []", False),
        ("conversations: {vip: {phone: '1', inbox: 12}}", False),
        ("conversations: {vip: {phone: {file: phone}}}", False),
        ("conversations: {team: {phone: {file: phone}, inbox: 12}}", False),
        (f"conversations: {{a{NUMBER}: {{phone: {{file: phone}}, inbox: 12}}}}", False),
    ],
)  # fmt: skip
def test_an_editor_knows_the_same(keys: str, good: bool) -> None:
    """The schema for editors holds what is within options, without references to elsewhere."""
    file = yaml.safe_load(FILE.format(keys=keys))
    assert jsonschema_rs.validator_for(json.loads(schema())).is_valid(file) == good
    assert "$ref" not in schema()
