"""metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..model import SECOND
from .snapshot import WorkerSnapshot

PA = ("provider", "account")


SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


AGES = (1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21600.0, 86400.0, 604800.0)


class _Metrics:
    """The instruments, by their public names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = PA) -> Counter:
            return Counter(f"poller_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"poller_{name}", text, labels, buckets=buckets, registry=registry)

        self.polls = counter("polls_total", "Sweeps, by how they ended.", (*PA, "outcome"))
        self.poll_duration = histogram("poll_duration_seconds", "How long sweeps took.", ("provider",), SECONDS)
        self.requests = counter("http_requests_total", "HTTP requests, by status or kind of failure.", (*PA, "code"))
        self.request_duration = histogram("http_request_duration_seconds", "How long requests took.", ("provider",), SECONDS)
        self.throttled = counter("throttled_seconds_total", "Seconds that providers made us wait.")
        self.fetched = counter("rows_fetched_total", "Rows read.")
        self.duplicate = counter("rows_duplicate_total", "Rows that were published before and did not change.")
        self.rejected = counter("rows_rejected_total", "Rows that could not be normalized.", (*PA, "reason"))
        self.out_of_scope = counter("out_of_scope_rows_total", "Rows below the floor or left out by choice.")
        self.events = counter("events_published_total", "Events published, by ce_type.", (*PA, "type"))
        self.delay = histogram("event_delay_seconds", "From provider time to commit.", ("provider",), AGES)
        self.late = counter("late_rows_total", "Messages that a complete sweep had looked for in vain.")
        self.late_age = histogram("late_row_age_seconds", "How old late messages were.", ("provider",), AGES)
        self.gaps = counter("possible_gaps_total", "Ranges that may hold rows nobody saw.", (*PA, "reason"))
        self.errors = counter("errors_total", "Failed requests, by kind.", (*PA, "kind"))
        self.transactions = counter("transactions_total", "Transactions, by outcome.", ("outcome",))
        self.transaction_duration = Histogram(
            "poller_transaction_duration_seconds", "How long transactions took.", buckets=SECONDS, registry=registry
        )
        self.owned = Gauge("poller_shards_owned", "Shards this worker owns.", registry=registry)
        self.rebalances = Counter("poller_rebalances_total", "Times the group dealt anew.", registry=registry)
        self.restore = Gauge("poller_restore_duration_seconds", "How long the last restore took.", registry=registry)


class _Pictures(Collector):
    """Gauges that are true at the moment of the scrape."""

    def __init__(self, snapshot: Callable[[], WorkerSnapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing: the picture needs a running worker."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One sample an account of each gauge."""
        picture = self._snapshot()
        success = GaugeMetricFamily("poller_last_success_timestamp_seconds", "When a page last became durable.", labels=PA)
        mark = GaugeMetricFamily("poller_watermark_timestamp_seconds", "The oldest watermark among the streams.", labels=PA)
        lag = GaugeMetricFamily("poller_lag_seconds", "Now minus the watermark.", labels=PA)
        overlap = GaugeMetricFamily("poller_overlap_seconds", "How far the live rung reaches back.", labels=PA)
        stretch = GaugeMetricFamily("poller_lookback_stretch", "How much longer periods are than planned.", labels=PA)
        known = GaugeMetricFamily("poller_state_messages", "Messages in state.", labels=PA)
        for account in (account for shard in picture.shards for account in shard.accounts):
            pa = account.provider, account.account
            if account.last_success is not None:
                success.add_metric(pa, account.last_success / SECOND)
            if account.watermark is not None:
                mark.add_metric(pa, account.watermark / SECOND)
                lag.add_metric(pa, (picture.now - account.watermark) / SECOND)
            overlap.add_metric(pa, account.overlap_s)
            stretch.add_metric(pa, account.stretch)
            if account.messages is not None:
                known.add_metric(pa, account.messages)
        return success, mark, lag, overlap, stretch, known
