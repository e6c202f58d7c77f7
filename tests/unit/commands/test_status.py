"""`poller status` and `poller explain`: the page's verdict and the runbook, in the terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from poller.commands.explain import entry_of
from poller.commands.status import lines_of
from poller.errors import Misused
from poller.telemetry.kinds import words
from poller.telemetry.runbook import entries
from poller.telemetry.snapshot import WorkerSnapshot
from poller.telemetry.status_json import encode
from poller.telemetry.verdict import verdict
from tests.support import pictures
from tests.unit.commands.test_cli import poller


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    """A worker's administration port that gives this answer, or a stranger's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v1/status" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", [None, *pictures.TROUBLES])
def test_the_terminal_says_what_the_page_says(kind: str | None) -> None:
    """The verdict first, then each trouble with its reason, since, next try and the way to the runbook; then the accounts."""
    sick = pictures.account(1) if kind is None else pictures.account(1, state="waiting", trouble=pictures.trouble(kind))
    workers = [pictures.worker(pictures.account(0), sick)]
    lines = lines_of(workers)
    assert lines[0] == verdict(*workers).sentence
    assert any(line.startswith(sick.key) for line in lines)
    if kind is not None:
        [line] = [line for line in lines if f"poller explain {kind}" in line]
        assert words(kind) in line
        assert "for 12 min now" in line
        assert "next try in 42 s" in line
        assert lines.index(line) < next(index for index, each in enumerate(lines) if each.startswith("ACCOUNT"))


def test_several_workers_are_one_verdict() -> None:
    """By their URLs; one that does not answer, or is no worker, is said, and ends it with 69."""
    one, two = (pictures.worker(pictures.account(n), worker=f"poller-{n}") for n in (0, 1))
    with answering(encode(one)) as first, answering(encode(two)) as second:
        done = poller("status", "--url", first, "--url", f"{second}/")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Healthy: 2 accounts")
        for other, body, code in (("http://127.0.0.1:9", b"", 200), (None, b"<html>", 200), (None, b"", 503)):
            with answering(body, code) as stranger:
                done = poller("status", "--url", first, "--url", other or stranger)
                assert done.returncode == 69
                assert len(done.stderr.splitlines()) == 1
                assert done.stdout.startswith("Healthy: 1 account")


def test_a_worker_is_named_by_url_or_configuration() -> None:
    """Neither, or what is no URL, makes no sense."""
    for wrong in (("status",), ("status", "--url", "poller-0:8080"), ("status", "--url", "file:///etc/hosts")):
        done = poller(*wrong, environment={"PATH": ""})
        assert (done.returncode, done.stdout) == (2, "")


def test_every_entry_of_the_runbook_is_explained_by_its_name() -> None:
    """However it is written; an unknown word names the nearest; without a word all names are listed."""
    assert poller("explain").stdout.splitlines() == [entry.name for entry in entries()]
    for entry in entries():
        assert entry_of(entries(), entry.name.upper()) == entry
        assert entry.text
    assert entry_of(entries(), "bad-page").name == "bad_page"
    with pytest.raises(Misused) as caught:
        entry_of(entries(), "PollerLagHihg")
    assert "PollerLagHigh" in caught.value.fix
    assert poller("explain", "qqqq").returncode == 2
    assert "\n\nPollerUnauthorized\n\n" in poller("explain", "unauthorized").stdout


def test_a_picture_of_an_empty_worker_can_be_shown() -> None:
    """Before it owns anything."""
    empty: WorkerSnapshot = pictures.worker(shards=())
    assert lines_of([empty])[0]
