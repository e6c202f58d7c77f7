"""Metrics: every promised name, every series from the beginning, none lost in trouble, none left after a hand-over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poller.errors import Unreachable
from poller.model import DAY, SECOND, Gap
from poller.telemetry import log_events, metrics
from poller.telemetry.account_facts import PageFacts, SweepFacts
from poller.telemetry.census import Census, StreamFigures
from poller.telemetry.facts import Telemetry
from poller.telemetry.known import GAPS, REJECTED
from poller.telemetry.snapshot import WorkerSnapshot
from tests.support.pictures import NOW, Clock, account, healthy, kafka_silent, sick, with_gap, worker

ROOT = Path(__file__).parent.parent.parent.parent
PROMISED = """
poller_build_info{version}   poller_kafka_up   poller_ready   poller_shards   poller_shards_owned   poller_accounts_configured   poller_accounts_polled
poller_account_state{P,A,state} poller_streams{P,A,state} poller_streams_in_trouble{P,A,kind} poller_last_error_timestamp_seconds{P,A}
poller_first_look_back{P,A} poller_polls_total{P,A,outcome} poller_poll_duration_seconds{P} poller_http_requests_total{P,A,code}
poller_http_request_duration_seconds{P} poller_throttled_seconds_total{P,A} poller_rate_limit_used_ratio{P,A}
poller_last_success_timestamp_seconds{P,A} poller_watermark_timestamp_seconds{P,A} poller_lag_seconds{P,A} poller_rows_fetched_total{P,A}
poller_rows_duplicate_total{P,A} poller_rows_rejected_total{P,A,reason} poller_dead_letters_total{P,A,reason} poller_out_of_scope_rows_total{P,A}
poller_events_published_total{P,A,type} poller_event_delay_seconds{P} poller_status_delay_seconds{P} poller_late_rows_total{P,A}
poller_late_row_age_seconds{P} poller_overlap_seconds{P,A} poller_lookback_stretch{P,A} poller_possible_gaps_total{P,A,reason}
poller_open_gaps{P,A,reason} poller_errors_total{P,A,kind} poller_transactions_total{outcome} poller_transaction_duration_seconds
poller_rebalances_total poller_state_messages{P,A} poller_restore_duration_seconds
"""
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def exposed(telemetry: Telemetry, picture: WorkerSnapshot) -> dict[str, float]:
    """Every series and its value; labels in the order of their names."""
    text = telemetry.exposition(picture)[0].decode()
    return {f"{name}{{{','.join(sorted((labels or '').split(',')))}}}": float(value) for name, labels, value in SERIES.findall(text)}


def owning(picture: WorkerSnapshot) -> Telemetry:
    """Telemetry of a worker that owns the accounts of a picture."""
    telemetry = Telemetry(version="x", level="critical", clock=Clock())
    telemetry.accounts((each.provider, each.account) for each in picture.accounts)
    return telemetry


def test_every_promised_metric_is_there_with_its_labels_and_no_other() -> None:
    """The names and labels are those of the public contract."""
    wanted = {}
    for name, labels in re.findall(r"poller_(\w+)(?:\{([\w,]+)\})?", PROMISED):
        wanted[name] = tuple({"P": "provider", "A": "account"}.get(label, label) for label in labels.split(",") if label)
    assert {family.name: family.labels for family in metrics.FAMILIES} == wanted
    text = owning(healthy()).exposition(healthy())[0].decode()
    assert set(re.findall(r"^# TYPE poller_(\S+)", text, re.MULTILINE)) == set(wanted)
    assert "process_resident_memory_bytes" in text


def test_every_series_of_an_account_is_there_before_anything_happens() -> None:
    """Each known reason, kind, outcome and type at 0: what happens first is an increase."""
    picture = healthy(1)
    before = exposed(owning(picture), picture)
    telemetry = owning(picture)
    facts = telemetry.account("heymarket", "account-0")
    facts.requested("200", 0.1)
    facts.throttled(1.0)
    delays = {"delays_s": [2.0], "status_delays_s": [2.0], "dead": {"missing": 1}}
    events = {"sms.message.created.v1": 1}
    facts.page(PageFacts(fetched=3, duplicate=1, rejected={"missing": 2}, out_of_scope=1, events=events, **delays))
    for outcome in ("ok", "empty", "throttled", "auth", "error"):
        facts.sweep(SweepFacts(stream="s", rung="live", outcome=outcome, seconds=0.1, pages=1, rows=3, events=1))
    facts.trouble("s", Unreachable(), 1.0)
    for reason in GAPS:
        facts.gap("s", Gap(reason, NOW, NOW))
    facts.late([5.0])
    telemetry.transaction("committed", 0.1)
    after = exposed(telemetry, picture)
    assert after.keys() == before.keys()
    grown = {name.partition("{")[0] for name in after if name.startswith("poller_") and after[name] > before[name]}
    assert {f"poller_{f.name}" for f in metrics.FAMILIES if f.kind == "counter"} - grown == {"poller_rebalances_total"}
    rows = 'poller_rows_rejected_total{account="account-0",provider="heymarket",reason="missing"}'
    assert (after[rows], after[rows.replace("rows_rejected", "dead_letters")]) == (2.0, 1.0)


@pytest.mark.parametrize(
    "picture", [kafka_silent(), sick("unauthorized"), sick("unreachable"), with_gap()], ids=["Kafka", "401", "503", "gap"]
)
def test_no_series_vanishes_in_trouble(picture: WorkerSnapshot) -> None:
    """An alert on lag must not resolve itself in the worst outage."""
    well = exposed(owning(healthy()), healthy())
    assert exposed(owning(picture), picture).keys() == well.keys()


def test_series_end_when_the_account_is_handed_over_and_begin_anew_at_zero() -> None:
    """Two workers never export one account; of a new owner the first event is an increase again."""
    telemetry = owning(healthy(2))
    telemetry.account("heymarket", "account-0").requested("200", 0.1)
    telemetry.accounts([("stuut", "account-1")])
    assert not [name for name in exposed(telemetry, worker(account(1))) if 'account="account-0"' in name]
    telemetry.accounts([("stuut", "account-1"), ("heymarket", "account-0")])
    series = exposed(telemetry, healthy(2))
    assert series['poller_http_requests_total{account="account-0",code="200",provider="heymarket"}'] == 0.0


def test_outages_are_told_by_their_own_gauges() -> None:
    """Kafka down, not ready, refused, a gap, streams in trouble, a first look-back."""
    silent, refused, gap = kafka_silent(), sick("unauthorized"), with_gap()
    assert exposed(owning(silent), silent)["poller_kafka_up{}"] == 0.0
    assert exposed(owning(silent), silent)["poller_ready{}"] == 0.0
    assert exposed(owning(silent), silent)['poller_lag_seconds{account="account-0",provider="heymarket"}'] == 120.0
    states = exposed(owning(refused), refused)
    found = {n: v for n, v in states.items() if n.startswith("poller_account_state") and "account-2" in n}
    assert sorted(found.values()) == [0.0, 0.0, 0.0, 1.0]
    assert states['poller_account_state{account="account-2",provider="fonedynamics",state="unauthorized"}'] == 1.0
    assert exposed(owning(gap), gap)['poller_open_gaps{account="account-0",provider="heymarket",reason="tie_group"}'] == 1.0
    gone = sick("gone")
    assert exposed(owning(gone), gone)['poller_streams_in_trouble{account="account-2",kind="gone",provider="fonedynamics"}'] == 1.0
    first = worker(account(0, first_look_back=2, watermark=NOW - DAY))
    assert exposed(owning(first), first)['poller_first_look_back{account="account-0",provider="heymarket"}'] == 1.0


def test_the_known_reasons_are_those_of_the_code() -> None:
    """A reason that a built-in provider gives and the table lacks would have no series until it happens."""
    text = "".join(path.read_text() for path in sorted((ROOT / "poller").rglob("*.py")) if "demo" not in path.parts)
    assert set(re.findall(r'BadRow\(\s*"(\w+)"', text)) <= set(REJECTED)
    constants = set(re.findall(r'Gap\(\s*"(\w+)"', text)) | set(re.findall(r'^REASON = "(\w+)"', text, re.MULTILINE))
    assert constants <= set(GAPS)


def test_the_docs_are_those_of_the_code() -> None:
    """docs/metrics.md and docs/logs.md are made by `python -m poller.telemetry`."""
    assert (ROOT / "docs" / "metrics.md").read_text() == metrics.table()
    assert (ROOT / "docs" / "logs.md").read_text() == log_events.table()


def test_sums_over_a_hundred_thousand_streams_follow_their_changes() -> None:
    """A scrape does not walk through the streams; what it says is what a walk would say."""
    census, count = Census(), 100_000
    for number in range(count):
        census.put(f"s{number}", StreamFigures(state="polling", watermark=NOW + number * SECOND))
    census.put("s0", StreamFigures(state="polling", watermark=NOW + count * SECOND))
    census.put("s5", StreamFigures(state="waiting", watermark=NOW, kind="gone", since=7))
    census.put("s9", StreamFigures(state="waiting", kind="gone", since=3, gaps=("tie_group", "tie_group"), first_look_back=True))
    census.remove("s7")
    assert (census.oldest(), len(census), census.first_look_back) == (NOW, count - 1, 1)
    assert (+census.kinds, +census.gaps, dict(census.states)) == ({"gone": 2}, {"tie_group": 2}, {"polling": count - 3, "waiting": 2})
    assert census.worst(5) == ["s9", "s5"]
    assert census.some(0, 4) == ["s9", "s5", "s1", "s2"]
    pages = [stream for offset in range(0, 3000, 750) for stream in census.some(offset, 750)]
    assert pages == census.some(0, 3000)
