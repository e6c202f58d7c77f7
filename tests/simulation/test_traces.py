"""Spans of whole workers: what belongs to which page, and nothing private, whatever goes wrong."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from poller.demo.simulator.switches import HOSTILE
from poller.telemetry.facts import Telemetry
from poller.telemetry.traces import recorded
from tests.simulation.test_canary import FAULTS, Canary, secrets, traces  # noqa: F401

ATTRIBUTES = {
    "sweep": {"provider", "account", "job", "outcome", "rows"},
    "request": {"provider", "account", "code"},
    "commit": {"provider", "account", "outcome"},
}

ROUNDED = 2_000
"""Nanoseconds by which a beginning that is reckoned from a duration may be off: two roundings to microseconds."""


class Traced(Canary):
    """A small world of canaries whose workers record spans."""

    planted, interval = 40, "1s"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.exported = InMemorySpanExporter()

    def telemetry(self) -> Telemetry:
        """As it is, with spans."""
        told = super().telemetry()
        told.spans = recorded(SimpleSpanProcessor(self.exported), self.clock.now, version="story", worker="w")
        return told


@pytest.mark.usefixtures("secrets")
def test_each_request_and_each_commit_is_a_child_of_its_page_and_no_span_holds_anything_private() -> None:
    """Under hostile vendors, faults of Kafka and crashes: children lie within their pages, and names, attributes and events hold no canary."""
    story = Traced(5, switches=HOSTILE, faults=FAULTS, seconds=15.0)
    assert story.play().good
    spans = story.exported.get_finished_spans()
    pages = {span.context.span_id: span for span in spans if span.name == "sweep"}
    children: dict[int, list[ReadableSpan]] = {page: [] for page in pages}
    for span in spans:
        assert set(span.attributes or ()) <= ATTRIBUTES[span.name]
        assert not traces(span.to_json())
        assert (span.events, span.status.description) == ((), None)
        if span.name == "sweep":
            assert span.parent is None
            continue
        assert span.parent is not None
        page = pages[span.parent.span_id]
        assert page.start_time - ROUNDED <= span.start_time <= span.end_time <= page.end_time  # type: ignore[operator]
        assert span.attributes["account"] == page.attributes["account"]  # type: ignore[index]
        children[span.parent.span_id].append(span)
    outcomes = {page.attributes["outcome"] for page in pages.values()}  # type: ignore[index]
    assert outcomes >= {"ok", "throttled", "stopped"}, outcomes
    for found, page in ((children[id], page) for id, page in pages.items() if page.attributes["outcome"] == "ok"):  # type: ignore[index]
        names = [span.name for span in found]
        assert names[-1] == "commit"
        assert set(names[:-1]) == {"request"}
        assert str(found[-2].attributes["code"]).isdigit(), "an answer, not a failure of the transport"  # type: ignore[index]
        assert page.attributes["rows"] >= 0  # type: ignore[index,operator]
    assert any(traces((record.value or b"").decode()) for _, record in story.cluster.public)
