"""A collector that takes spans, one that is dead, and one that never answers: the daemon's own way to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from poller.config import load as configuration
from poller.telemetry import traces
from poller.telemetry.facts import Telemetry
from poller.worker import daemon

CONFIG = """\
kafka: {{bootstrap_servers: ["127.0.0.1:9"]}}
state: {{directory: state}}
admin: {{listen: "127.0.0.1:0"}}
log: {{format: json}}
accounts: [{{name: c, provider: stuut, base_url: "https://api.stuut.ai", credentials: {{token: {{env: T}}}}, threads: [t]}}]
traces: {{endpoint: "http://127.0.0.1:{port}/prefix/"}}
"""


class OnePage:
    """A daemon that polls one page and stops."""

    def __init__(self, config: Any, link: Any, store: Any, telemetry: Telemetry, received: Any) -> None:
        self.facts = telemetry.account("stuut", "c")

    async def run(self, listener: Any) -> None:
        """One request."""
        with self.facts.spans.span("sweep", job="live", outcome="nothing"):
            self.facts.requested("200", 0.1)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run that daemon with a collector at a port."""
    monkeypatch.setenv("T", "invented")
    monkeypatch.setattr(daemon, "_Daemon", OnePage)
    monkeypatch.setattr(daemon, "ending_signals", tuple)

    def run(port: int) -> None:
        (tmp_path / "p.yaml").write_text(CONFIG.format(port=port))
        anyio.run(daemon.run, configuration.load(tmp_path / "p.yaml"))

    return run


@pytest.fixture
def collector() -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """Its port, and what it was sent."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, got
        server.shutdown()


def test_a_collector_gets_the_spans_of_a_page_at_the_latest_when_the_daemon_stops(ran: Any, collector: Any) -> None:
    """At /v1/traces below the endpoint, as protobuf, in the daemon's name."""
    port, got = collector
    ran(port)
    [(path, body)] = got
    assert path == "/prefix/v1/traces"
    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == "poller"
    sweep, request = sorted(resource.scope_spans[0].spans, key=lambda span: span.name, reverse=True)
    assert (sweep.name, request.name, request.parent_span_id) == ("sweep", "request", sweep.span_id)


def test_a_dead_collector_costs_one_line_of_the_log(
    ran: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised, and no library writes a line of its own."""
    monkeypatch.setattr(traces, "EXPORT_S", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ran(unused.getsockname()[1])
    [line] = capfd.readouterr().err.splitlines()
    assert '"event":"traces_lost"' in line
    assert caplog.records == []


def test_a_collector_that_never_answers_holds_up_no_stop(
    ran: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The daemon has ended while the export still waits; once it fails it is not tried again, and its thread ends."""
    monkeypatch.setattr(traces, "STOP_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ran(silent.getsockname()[1])
        assert capfd.readouterr().err == ""
        [exporting] = [thread for thread in threading.enumerate() if thread.name.startswith("OtelBatch") and thread.is_alive()]
    assert exporting.daemon
    exporting.join(5)
    assert not exporting.is_alive()
