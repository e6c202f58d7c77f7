"""Spans by OpenTelemetry: which request, and which wait for a commit, belongs to which page of a sweep.

Off unless ``traces.endpoint`` is configured; nothing of OpenTelemetry is imported before. A span holds what the log and the
metrics hold already: provider, account, job, outcome, counts and times; never a stream, an id, a text, an address or an error's words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING

from ..model import Instant

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.trace import Tracer

QUEUE_MAX = 4096
"""Finished spans that wait for the collector, about 4 MiB; beyond, the oldest are dropped."""

BATCH_MAX = 512
"""Spans of one export: the default of OpenTelemetry's specification."""

EXPORT_S = 10.0
"""Seconds that one export may take, its repetitions included: the default of OpenTelemetry's specification."""

STOP_S = 2.0
"""Seconds that a clean stop waits for the last export: little beside the 20 s of a stop."""

NANOSECONDS = 1000
"""Of one microsecond, which is the unit of an :class:`Instant`; spans are stamped in nanoseconds."""

Value = str | int


class Spans:
    """Where spans go: here, nowhere."""

    def bound(self, **_: Value) -> Spans:
        """The same, with attributes that every span has."""
        return self

    def span(self, name: str, **_: Value) -> AbstractContextManager[None]:
        """A span of what is done inside; spans that begin or are told in the same task, or in tasks begun there, are its children."""
        return nullcontext()

    def ended(self, name: str, seconds: float, **_: Value) -> None:
        """A child of the span around it that ends now."""

    def said(self, **_: Value) -> None:
        """Attributes of the span around it, in place of earlier ones."""


class Recorded(Spans):
    """Where spans go: to a tracer. ``now`` is our wall clock."""

    def __init__(self, tracer: Tracer, now: Callable[[], Instant], **attributes: Value) -> None:
        self._tracer, self._now, self._attributes = tracer, now, attributes

    def bound(self, **attributes: Value) -> Recorded:
        """The same tracer, with more attributes."""
        return Recorded(self._tracer, self._now, **self._attributes, **attributes)

    @contextmanager
    def span(self, name: str, **attributes: Value) -> Iterator[None]:
        """A span of what is done inside; its ``outcome`` is ``stopped`` where that was cancelled, or raised."""
        from opentelemetry.trace import use_span

        span = self._tracer.start_span(name, attributes={**self._attributes, **attributes}, start_time=self._now() * NANOSECONDS)
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):  # an exception's words may be the vendor's
                yield
        except BaseException:
            span.set_attribute("outcome", "stopped")
            raise
        finally:
            span.end(self._now() * NANOSECONDS)

    def ended(self, name: str, seconds: float, **attributes: Value) -> None:
        """A child that began ``seconds`` ago and ends now."""
        now = self._now() * NANOSECONDS
        began = now - round(seconds * 1_000_000) * NANOSECONDS
        self._tracer.start_span(name, attributes={**self._attributes, **attributes}, start_time=began).end(now)

    def said(self, **attributes: Value) -> None:
        """Attributes of the span of this task; nothing where there is none."""
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def recorded(processor: SpanProcessor, now: Callable[[], Instant], *, version: str, worker: str) -> Recorded:
    """Spans that a processor gets, as those of one worker."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create({"service.name": "poller", "service.version": version, "service.instance.id": worker})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return Recorded(provider.get_tracer("poller", version), now)


@contextmanager
def collected(
    endpoint: str | None, now: Callable[[], Instant], *, version: str, worker: str, taken: Callable[[bool], None]
) -> Iterator[Spans]:
    """Spans for the collector at an OTLP/HTTP endpoint, or for nobody.

    They are sent by a thread of their own, which calls ``taken`` after each export with whether the collector took it.
    """
    if endpoint is None:
        yield Spans()
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    class Exporter(OTLPSpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = super().export(spans)
            taken(result is SpanExportResult.SUCCESS)
            return result

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = Exporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S)
    processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE_MAX, max_export_batch_size=BATCH_MAX)
    try:
        yield recorded(processor, now, version=version, worker=worker)
    finally:
        stop = Thread(target=processor.shutdown, daemon=True)  # by itself it would wait for 30 s
        stop.start()
        stop.join(STOP_S)
        exporter.shutdown()  # what still waits for a collector is not tried again
