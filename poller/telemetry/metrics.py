"""The Prometheus series by their public names: one table, from which the instruments and docs/metrics.md are made.

Counters and histograms are written as things happen. Gauges are computed at the scrape from one picture of the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric

from ..model import SECOND
from .event_types import TYPES
from .known import CODES, ERRORS, GAPS, OUTCOMES, REJECTED, TRANSACTIONS
from .snapshot import ACCOUNT_STATES, STREAM_STATES, AccountSnapshot, WorkerSnapshot, ready

PA = ("provider", "account")
"""Labels of what is counted for an account."""

P = ("provider",)

SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
"""Buckets of what takes a while, in seconds."""

AGES = (1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21600.0, 86400.0, 604800.0)
"""Buckets of ages and delays, in seconds."""


class Family(Struct, frozen=True):
    """One metric of the contract, without its prefix ``poller_``."""

    name: str
    kind: str
    """counter, gauge or histogram."""
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()
    at_scrape: bool = False
    """Computed from the picture of the worker."""


def _scraped(name: str, labels: tuple[str, ...], text: str) -> Family:
    return Family(name, "gauge", labels, text, at_scrape=True)


FAMILIES: tuple[Family, ...] = (
    Family("build_info", "gauge", ("version",), "1; the running release is its label."),
    _scraped("kafka_up", (), "1 while Kafka answers: heartbeats are fresh and no shard waits for a broker."),
    _scraped("ready", (), "1 while /readyz says ready."),
    _scraped("shards", (), "Shards of the state topic."),
    _scraped("shards_owned", (), "Shards that the group has handed to this worker."),
    _scraped("accounts_configured", (), "Enabled accounts in the configuration."),
    _scraped("accounts_polled", (), "Accounts that this worker owns and whose shard runs."),
    _scraped("account_state", (*PA, "state"), "1 for the state in force: polling, waiting, throttled or unauthorized."),
    _scraped("streams", (*PA, "state"), "Streams by state: new (never polled), polling, waiting (in trouble)."),
    _scraped("streams_in_trouble", (*PA, "kind"), "Streams that wait, by kind of trouble."),
    _scraped("last_error_timestamp_seconds", PA, "When a request of the account last failed; 0 = not since this worker owns it."),
    _scraped("first_look_back", PA, "1 until the first look back to the floor is complete; until then the lag is that look-back's."),
    Family("polls_total", "counter", (*PA, "outcome"), "Sweeps, by how they ended: ok, empty, throttled, auth, error."),
    Family("poll_duration_seconds", "histogram", P, "How long sweeps took.", SECONDS),
    Family("http_requests_total", "counter", (*PA, "code"), "HTTP requests, by status, or timeout, transport, error."),
    Family("http_request_duration_seconds", "histogram", P, "How long requests took.", SECONDS),
    Family("throttled_seconds_total", "counter", PA, "Seconds that the provider's rate limit made the account wait."),
    _scraped("rate_limit_used_ratio", PA, "Requests of the last minute against what rate_limit allows, 0 to 1."),
    _scraped("last_success_timestamp_seconds", PA, "When a page of the account last became durable; 0 = not since this worker owns it."),
    _scraped("watermark_timestamp_seconds", PA, "The oldest watermark among the streams; 0 until the state is restored."),
    _scraped(
        "lag_seconds", PA, "The provider's now minus the oldest watermark, never below 0; until the state is restored, since it is owned."
    ),
    Family("rows_fetched_total", "counter", PA, "Rows read, each listing."),
    Family("rows_duplicate_total", "counter", PA, "Rows listed again without a change."),
    Family("rows_rejected_total", "counter", (*PA, "reason"), "Rows that cannot be normalized, each listing."),
    Family("dead_letters_total", "counter", (*PA, "reason"), "Dead letters published: rows that cannot be normalized, each content once."),
    Family("out_of_scope_rows_total", "counter", PA, "Rows below the floor or left out by choice, each listing."),
    Family("events_published_total", "counter", (*PA, "type"), "Events published, by ce_type."),
    Family("event_delay_seconds", "histogram", P, "From created_at to the commit, of messages that live polling found.", AGES),
    Family(
        "status_delay_seconds",
        "histogram",
        P,
        "From the status's own stamp to the commit, where the provider gives one; live polling.",
        AGES,
    ),
    Family("late_rows_total", "counter", PA, "Messages that a complete sweep had looked for in vain."),
    Family("late_row_age_seconds", "histogram", P, "How old such messages were when they were found.", AGES),
    _scraped("overlap_seconds", PA, "How far the live rung reaches back."),
    _scraped("lookback_stretch", PA, "How much longer than planned the deep rungs' periods are; 1 = on plan."),
    Family("possible_gaps_total", "counter", (*PA, "reason"), "Ranges that opened because they cannot be proved complete."),
    _scraped("open_gaps", (*PA, "reason"), "Ranges that are not proved complete yet, as the state keeps them."),
    Family("errors_total", "counter", (*PA, "kind"), "Failed requests, by kind."),
    Family("transactions_total", "counter", ("outcome",), "Transactions: committed, aborted, fenced, unknown."),
    Family("transaction_duration_seconds", "histogram", (), "How long transactions took.", SECONDS),
    Family("rebalances_total", "counter", (), "Times the group dealt the shards anew."),
    _scraped("state_messages", PA, "Messages in state."),
    Family("restore_duration_seconds", "gauge", (), "How long the last restore of a shard took."),
)
"""Every metric, in the order of the contract."""

_BY_NAME = {family.name: family for family in FAMILIES}


class Instruments:
    """What is written as things happen."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ProcessCollector(registry=registry)
        self._registry = registry
        self.build_info = self._gauge("build_info")
        self.polls = self._counter("polls_total")
        self.poll_duration = self._histogram("poll_duration_seconds")
        self.requests = self._counter("http_requests_total")
        self.request_duration = self._histogram("http_request_duration_seconds")
        self.throttled = self._counter("throttled_seconds_total")
        self.fetched = self._counter("rows_fetched_total")
        self.duplicate = self._counter("rows_duplicate_total")
        self.rejected = self._counter("rows_rejected_total")
        self.dead_letters = self._counter("dead_letters_total")
        self.out_of_scope = self._counter("out_of_scope_rows_total")
        self.events = self._counter("events_published_total")
        self.event_delay = self._histogram("event_delay_seconds")
        self.status_delay = self._histogram("status_delay_seconds")
        self.late = self._counter("late_rows_total")
        self.late_age = self._histogram("late_row_age_seconds")
        self.gaps = self._counter("possible_gaps_total")
        self.errors = self._counter("errors_total")
        self.transactions = self._counter("transactions_total")
        self.transaction_duration = self._histogram("transaction_duration_seconds")
        self.rebalances = self._counter("rebalances_total")
        self.restore = self._gauge("restore_duration_seconds")

    def of_accounts(self) -> list[Counter]:
        """The counters whose series begin and end with the ownership of an account."""
        return [each for each in vars(self).values() if isinstance(each, Counter) and each._labelnames[:2] == PA]

    def _counter(self, name: str) -> Counter:
        family = _BY_NAME[name]
        return Counter(f"poller_{name}", family.text, family.labels, registry=self._registry)

    def _gauge(self, name: str) -> Gauge:
        family = _BY_NAME[name]
        return Gauge(f"poller_{name}", family.text, family.labels, registry=self._registry)

    def _histogram(self, name: str) -> Histogram:
        family = _BY_NAME[name]
        return Histogram(f"poller_{name}", family.text, family.labels, buckets=family.buckets, registry=self._registry)


class Exposition:
    """The instruments, and the gauges of one picture, for an encoder."""

    def __init__(self, registry: CollectorRegistry, picture: WorkerSnapshot) -> None:
        self._registry, self._picture = registry, picture

    def collect(self) -> Iterable[Metric]:
        """Everything."""
        yield from self._registry.collect()
        yield from gauges(self._picture)


def gauges(picture: WorkerSnapshot) -> Iterable[Metric]:
    """What is computed at the scrape."""
    running = sum(len(shard.accounts) for shard in picture.shards if shard.state == "running")
    worker = {
        "kafka_up": picture.kafka_up,
        "ready": ready(picture),
        "shards": picture.shards_total,
        "shards_owned": picture.shards_owned,
        "accounts_configured": picture.accounts_configured,
        "accounts_polled": running,
    }
    for name, value in worker.items():
        yield GaugeMetricFamily(f"poller_{name}", _BY_NAME[name].text, value=float(value))
    accounts = picture.accounts
    for name, samples in _OF_ACCOUNT.items():
        family = GaugeMetricFamily(f"poller_{name}", _BY_NAME[name].text, labels=_BY_NAME[name].labels)
        for account in accounts:
            for label, value in samples(account):
                family.add_metric((account.provider, account.account, *label), float(value))
        yield family


Samples = Iterable[tuple[tuple[str, ...], float]]


def _one(value: Callable[[AccountSnapshot], float]) -> Callable[[AccountSnapshot], Samples]:
    return lambda account: [((), value(account))]


def _known(counts: dict[str, int], known: Iterable[str]) -> Samples:
    """Every known word with its count, and those that only this account knows."""
    return [((word,), count) for word, count in (dict.fromkeys(known, 0) | counts).items()]


_OF_ACCOUNT: dict[str, Callable[[AccountSnapshot], Samples]] = {
    "account_state": lambda account: _known({account.state: 1}, ACCOUNT_STATES),
    "streams": lambda account: _known(account.streams, STREAM_STATES),
    "streams_in_trouble": lambda account: _known(account.in_trouble, ERRORS),
    "last_error_timestamp_seconds": _one(lambda account: (account.last_error or 0) / SECOND),
    "first_look_back": _one(lambda account: account.first_look_back > 0),
    "rate_limit_used_ratio": _one(lambda account: account.limit_used),
    "last_success_timestamp_seconds": _one(lambda account: (account.last_success or 0) / SECOND),
    "watermark_timestamp_seconds": _one(lambda account: (account.watermark or 0) / SECOND),
    "lag_seconds": _one(AccountSnapshot.lag_s),
    "overlap_seconds": _one(lambda account: account.overlap_s),
    "lookback_stretch": _one(lambda account: account.stretch),
    "open_gaps": lambda account: _known(account.gaps, GAPS),
    "state_messages": _one(lambda account: account.messages),
}
"""The gauges of an account, each with its labels beyond provider and account."""


def table() -> str:
    """docs/metrics.md: every metric with its type, labels and meaning."""
    rows = [f"| `poller_{f.name}` | {f.kind} | {', '.join(f'`{label}`' for label in f.labels)} | {f.text} |" for f in FAMILIES]
    known = [
        ("`outcome` of `poller_polls_total`", OUTCOMES),
        ("`outcome` of `poller_transactions_total`", TRANSACTIONS),
        ("`state` of `poller_account_state`", ACCOUNT_STATES),
        ("`state` of `poller_streams`", STREAM_STATES),
        ("`kind`", ERRORS),
        ("`reason` of gaps", GAPS),
        ("`reason` of rejected rows and dead letters", REJECTED),
        ("`type`", tuple(TYPES.values())),
        ("`code`", CODES),
    ]
    words = [f"| {label} | {', '.join(f'`{value}`' for value in values)} |" for label, values in known]
    return _DOCUMENT.format(rows="\n".join(rows), words="\n".join(words))


_DOCUMENT = """\
# Metrics

Generated from the code by `python -m poller.telemetry`; a test compares.

Every series of an account exists from the moment this worker owns the account, at 0 where nothing happened, so that `increase()` sees
the first event. It stays through any trouble of Kafka or the provider, and its lag goes on growing. It ends when the account is handed
over to another worker. Figures of single streams are on the status page, not in labels. `process_*` are those of the standard
collector.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
{rows}

What the labels can be; a provider of another package may add words of its own.

| label | values |
| --- | --- |
{words}
"""
