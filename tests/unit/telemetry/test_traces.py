"""Spans are off unless they are asked for; asked for without OpenTelemetry, a start says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from poller.config import load as configuration
from poller.errors import ConfigError
from poller.telemetry.facts import Telemetry
from poller.telemetry.traces import recorded

CONFIG = """\
kafka: {bootstrap_servers: ["127.0.0.1:9"]}
accounts: [{name: c, provider: stuut, base_url: "https://api.stuut.ai", credentials: {token: {env: T}}, threads: [t]}]
"""
OFF = """\
import sys
from poller.config.load import load
from poller.worker.daemon import collected, run
from poller.telemetry.facts import Telemetry
config = load(sys.argv[1])
with collected(config.traces, None, version="", worker="", taken=None) as spans:
    facts = Telemetry(version="x").account("stuut", "c")
    with spans.bound(provider="stuut").span("sweep", job="live"):
        facts.requested("200", 0.1)
        spans.said(outcome="ok")
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole daemon, its configuration, a request and a page."""
    monkeypatch.setenv("T", "invented")
    (tmp_path / "p.yaml").write_text(CONFIG)
    done = subprocess.run([sys.executable, "-c", OFF, str(tmp_path / "p.yaml")], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("missing", ["opentelemetry", "opentelemetry.exporter", "opentelemetry.exporter.otlp.proto.http"])
def test_an_endpoint_without_the_extra_is_an_error_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """With line, key and what to install; so ``check`` says it as ``run`` does."""
    monkeypatch.setenv("T", "invented")
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    path = tmp_path / "p.yaml"
    path.write_text(f"{CONFIG}traces: {{endpoint: http://collector:4318}}\n")
    with pytest.raises(ConfigError) as caught:
        configuration.load(path)
    [line] = caught.value.lines
    assert line.startswith(f"{path}:3: traces.endpoint: OpenTelemetry is not installed; expected ")
    assert "fix: pip install 'poller[traces]'" in line


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://u:p@collector", "grpc://collector:4317", "http://c/?token=x", "7"])
def test_an_endpoint_that_is_no_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """And one with credentials in it; plain HTTP is none of these, for no credentials are sent."""
    monkeypatch.setenv("T", "invented")
    (tmp_path / "p.yaml").write_text(f"{CONFIG}traces: {{endpoint: '{endpoint}'}}\n")
    with pytest.raises(ConfigError, match=r"p.yaml:3: traces.endpoint: not a URL; expected http\(s\)://"):
        configuration.load(tmp_path / "p.yaml")


def test_the_words_of_an_exception_are_in_no_span() -> None:
    """It ends the span as stopped, and goes on its way: neither an event nor a status repeats what it says."""
    exported = InMemorySpanExporter()
    spans = recorded(SimpleSpanProcessor(exported), int, version="x", worker="w")
    with pytest.raises(RuntimeError, match="invented"), spans.span("sweep", job="live", outcome="nothing"):
        raise RuntimeError("an invented text")
    [span] = exported.get_finished_spans()
    assert span.attributes == {"job": "live", "outcome": "stopped"}
    assert "invented" not in span.to_json()


def test_lost_spans_are_said_once_and_so_is_their_end(capfd: pytest.CaptureFixture[str]) -> None:
    """An endpoint that is dead is one line, not one for each export."""
    telemetry = Telemetry(version="x")
    for taken in (True, False, False, False, True, True):
        telemetry.spans_taken(taken)
    lost, again = capfd.readouterr().err.splitlines()
    assert '"event":"traces_lost"' in lost
    assert '"event":"traces_taken"' in again
