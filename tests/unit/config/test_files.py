"""Files that change while the daemon runs: lists of names and secrets, in every form that editors and mounts give them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from poller.config import load as config
from poller.config.secrets import SecretRef, signed
from poller.config.stream_names import StreamNames, names_in
from poller.errors import ConfigError
from poller.providers.registry import provider_of

TEXT = "# threads\nthr_1\n\n thr_2 \r\nthr_1\n"
GOOD = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a byte-order mark": TEXT.encode("utf-8-sig"),
    "UTF-16, little end first": TEXT.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "line ends of old": TEXT.replace("\n", "\r").encode(),
    "no last line end": TEXT.strip().encode(),
}
BAD: dict[str, tuple[bytes, str]] = {
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "neither UTF-8 nor UTF-16"),
    "Latin-1": (b"thr_\xe4\n", "neither UTF-8 nor UTF-16"),
    "UTF-32": (TEXT.encode("utf-32"), "neither UTF-8 nor UTF-16"),
    "half a UTF-16 character": (TEXT.encode("utf-16")[:-1], "neither UTF-8 nor UTF-16"),
    "binary": (bytes(range(256)), "neither UTF-8 nor UTF-16"),
    "dots": (b"thr_1\n..\n", "1 lines that are no names"),
    "control characters": (b"thr_1\nthr\x07_2\n", "1 lines that are no names"),
    "a whole document": (b"thr_1\n" + b"x" * 600 + b"\n", "1 lines that are no names"),
}


@pytest.mark.parametrize("name", list(GOOD))
def test_names_are_read_in_every_form(tmp_path: Path, name: str) -> None:
    """A byte-order mark is no part of the first name; blank lines, comments and repetitions are left out."""
    (tmp_path / "threads.txt").write_bytes(GOOD[name])
    said: list[str | None] = []
    assert StreamNames((), tmp_path / "threads.txt", said.append)() == ("thr_1", "thr_2")
    assert said == []


def _checked(folder: Path, names: bytes) -> list[str]:
    (folder / "threads.txt").write_bytes(names)
    (folder / "token").write_text("invented")
    (folder / "p.yaml").write_text(
        'kafka: {bootstrap_servers: ["127.0.0.1:9092"]}\naccounts:\n- {name: c, provider: stuut, base_url: "https://api.stuut.ai", '
        "credentials: {token: {file: token}}, threads: {file: threads.txt}}\n"
    )
    try:
        config.load(folder / "p.yaml", referenced=True)
    except ConfigError as error:
        return error.lines
    return []


@pytest.mark.parametrize("name", list(BAD))
def test_names_that_cannot_be_read_are_said_at_the_check_and_while_running(tmp_path: Path, name: str) -> None:
    """The last good list stays; once the file is good again, that is said too."""
    raw, what = BAD[name]
    [line] = _checked(tmp_path, raw)
    assert "accounts[0].threads.file: " in line
    assert what in line
    path, said = tmp_path / "threads.txt", []
    path.write_bytes(b"thr_1\nthr_9\n")
    names = StreamNames((), path, said.append)
    assert names() == ("thr_1", "thr_9")
    path.write_bytes(raw)
    assert names() == (("thr_1",) if "no names" in what else ("thr_1", "thr_9"))
    names()
    assert len(said) == 1
    assert what in (said[0] or "")
    path.write_bytes(b"thr_3\n")
    assert names() == ("thr_3",)
    assert said[1:] == [None]


def test_an_empty_list_is_said_and_may_be_filled_later(tmp_path: Path) -> None:
    """Rotation may empty a list for a while: that starts, and is never silent."""
    assert _checked(tmp_path, b"# none today\n") == []
    said: list[str | None] = []
    names = StreamNames((), tmp_path / "threads.txt", said.append)
    assert names() == ()
    assert "names no stream" in (said[0] or "")
    (tmp_path / "threads.txt").write_text("thr_1\n")
    assert names() == ("thr_1",)
    assert said[1:] == [None]


@pytest.mark.parametrize("how", ["removed", "a folder", "a pipe", "unreadable"])
def test_a_file_that_vanishes_keeps_the_last_list_and_the_last_secret(tmp_path: Path, how: str) -> None:
    """It is said once, and nothing hangs."""
    path, said = tmp_path / "names", []
    path.write_text("thr_1")
    names, secret = StreamNames((), path, said.append), SecretRef(file=path)
    assert (names(), secret.read()) == (("thr_1",), "thr_1")
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "unreadable":
        path.symlink_to(path)  # a link to itself: whoever looks
    assert (names(), names(), secret.read()) == (("thr_1",), ("thr_1",), "thr_1")
    assert len(said) == 1


def test_names_follow_a_folder_that_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted ConfigMap: the link above the file points elsewhere."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "names").write_text(f"thr_{name}")
    (tmp_path / "data").symlink_to("one")
    said: list[str | None] = []
    names = StreamNames((), tmp_path / "data" / "names", said.append)
    assert names() == ("thr_one",)
    (tmp_path / "swap").symlink_to("two")
    os.replace(tmp_path / "swap", tmp_path / "data")
    assert names() == ("thr_two",)
    assert said == []


def test_a_change_of_equal_length_and_time_is_noticed(tmp_path: Path) -> None:
    """A copy that keeps the times of its source."""
    path = tmp_path / "names"
    path.write_text("thr_1")
    names = StreamNames((), path, lambda _: None)
    assert names() == ("thr_1",)
    before = path.stat()
    (tmp_path / "new").write_text("thr_2")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "new", path)
    assert names() == ("thr_2",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_secret_is_read_in_every_form(tmp_path: Path, encoding: str) -> None:
    """A byte-order mark is no part of it."""
    (tmp_path / "s").write_bytes(" t0ken\r\n".encode(encoding))
    assert SecretRef(file=tmp_path / "s").read() == "t0ken"


NOT_CARRIED = {
    "typographic quotes": "\u201ct0ken\u201d", "a dash from a document": "a\u2013b", "a no-break space": "a\u00e0b", "an emoji": "a\U0001f511",
    "a zero-width joiner": "a\u200db", "a letter of another alphabet": "t\u043eken", "a line break": "a\nb", "a NUL": "a\0b", "an escape": "a\x1bb",
    "a carriage return": "a\rb", "nothing": " \n",
}  # fmt: skip


@pytest.mark.parametrize("name", list(NOT_CARRIED))
def test_a_secret_that_no_header_can_carry_is_an_error_of_the_configuration(tmp_path: Path, name: str) -> None:
    """It names the credential and never shows it; the daemon meets the same error as its account's."""
    secret = NOT_CARRIED[name]
    assert _checked(tmp_path, b"thr_1") == []
    (tmp_path / "token").write_bytes(secret.encode())
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "p.yaml", referenced=True)
    [line] = caught.value.lines
    assert "accounts[0].credentials.token: " in line
    assert secret.strip() == "" or secret.strip() not in line


@pytest.mark.parametrize("provider", ["stuut", "heymarket", "fonedynamics"])
def test_secrets_of_other_alphabets_are_only_refused_where_a_header_holds_them(provider: str) -> None:
    """A key that signs, or that is encoded, may hold any character."""
    adapter = provider_of(provider)
    for names in adapter.credentials:
        with contextlib.suppress(ConfigError):
            made = signed(adapter, dict.fromkeys(names, "\u00e4" * 40), None, 0)
            assert all(value.isascii() for value in made.headers.values())


def test_what_is_wrong_with_names_counts_lines() -> None:
    """The good ones are polled all the same."""
    assert names_in("a\n.\n..\nb\n") == (("a", "b"), "has 2 lines that are no names; expected one id a line")
