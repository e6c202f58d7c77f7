"""The administration port: true, bounded, only GET, only for those it is meant for."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from poller.errors import Unreachable
from poller.model import SECOND, Gap
from poller.telemetry import admin as status
from poller.telemetry.facts import PageFacts, SweepFacts, Telemetry
from poller.telemetry.snapshot import AccountSnapshot, ShardSnapshot, StreamSnapshot, WorkerSnapshot

NOW = 1_790_000_000 * SECOND
METRICS = [
    "poller_build_info",
    "poller_polls_total",
    "poller_poll_duration_seconds",
    "poller_http_requests_total",
    "poller_http_request_duration_seconds",
    "poller_throttled_seconds_total",
    "poller_last_success_timestamp_seconds",
    "poller_watermark_timestamp_seconds",
    "poller_lag_seconds",
    "poller_rows_fetched_total",
    "poller_rows_duplicate_total",
    "poller_rows_rejected_total",
    "poller_out_of_scope_rows_total",
    "poller_events_published_total",
    "poller_event_delay_seconds",
    "poller_late_rows_total",
    "poller_late_row_age_seconds",
    "poller_overlap_seconds",
    "poller_lookback_stretch",
    "poller_possible_gaps_total",
    "poller_errors_total",
    "poller_transactions_total",
    "poller_transaction_duration_seconds",
    "poller_shards_owned",
    "poller_rebalances_total",
    "poller_state_messages",
    "poller_restore_duration_seconds",
]


def picture(state: str = "running", *, joined: bool = True, streams: int = 2) -> WorkerSnapshot:
    """A worker with one account; one of its streams is in trouble and has a hostile name."""
    sick = StreamSnapshot(id="stuut/c/<script>", state="waiting", reason="gone", since=NOW, next_try_s=5.0)
    fine = tuple(StreamSnapshot(id=f"stuut/c/{n}", state="polling", watermark=NOW) for n in range(streams - 1))
    account = AccountSnapshot(
        provider="stuut",
        account="c",
        shard=3,
        state="polling",
        watermark=NOW - 5 * SECOND,
        last_success=NOW,
        messages=7,
        streams=(*fine, sick),
    )
    shard = ShardSnapshot(shard=3, state=state, restored=5, restore_end=9, accounts=(account,))
    return WorkerSnapshot(version="x", started=NOW, now=NOW, joined=joined, shards=(shard,))


def client(shown: WorkerSnapshot, *, loopback: bool = True) -> TestClient:
    """A client of the port."""
    telemetry = Telemetry(version="x", level="critical", json=True)
    facts = telemetry.account("stuut", "c")
    facts.requested("200", 0.1)
    facts.throttled(1.0)
    facts.page(
        PageFacts(fetched=3, duplicate=1, rejected={"missing": 1}, out_of_scope=1, events={"sms.message.created.v1": 1}, delays_s=[2.0])
    )
    facts.sweep(SweepFacts(stream="s", rung="live", outcome="ok", seconds=0.1, pages=1, rows=3, events=1))
    facts.trouble("s", Unreachable(), 1.0)
    facts.gap("s", Gap("tie_group", NOW, NOW))
    facts.late([5.0])
    telemetry.transaction("committed", 0.1)
    telemetry.restored(3, 5, 0.1)
    telemetry.owned(frozenset({3}))
    telemetry.watch(lambda: shown)
    return TestClient(status.application(lambda: shown, telemetry, loopback=loopback), base_url="http://127.0.0.1:8080")


def test_every_promised_metric_is_there_and_no_other() -> None:
    """The names are those of the public contract."""
    text = client(picture()).get("/metrics").text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert names == set(METRICS)
    assert 'poller_lag_seconds{account="c",provider="stuut"} 5.0' in text
    assert 'poller_state_messages{account="c",provider="stuut"} 7.0' in text


@pytest.mark.parametrize(("shown", "code"), [(picture(), 200), (picture("restoring"), 503), (picture(joined=False), 503)])
def test_readiness_tells_the_truth(shown: WorkerSnapshot, code: int) -> None:
    """Ready means joined and every owned shard running; verbose says what is not."""
    answer = client(shown).get("/readyz?verbose")
    assert answer.status_code == code
    if shown.shards[0].state == "restoring":
        assert "[-] shard 3 restoring at offset 5 of 9" in answer.text


def test_a_worker_without_shards_is_ready() -> None:
    """There may be more workers than accounts."""
    assert client(WorkerSnapshot(version="x", started=NOW, now=NOW, joined=True)).get("/readyz").status_code == 200


def test_the_status_is_bounded_and_shows_trouble_first() -> None:
    """Ten thousand streams do not make it heavy, and those in trouble are never left out."""
    value = client(picture(streams=3000)).get("/api/v1/status").json()
    streams = value["shards"][0]["accounts"][0]["streams"]
    assert len(streams) == status.STREAMS_MAX
    assert value["streams_left_out"] == 2000
    assert streams[0]["state"] == "waiting"
    assert streams[1]["watermark"] == "2026-09-21T14:13:20Z"
    assert client(picture()).get("/api/v1/status?account=other").json()["shards"][0]["accounts"] == []


def test_the_page_escapes_what_it_shows() -> None:
    """A thread id is a text that anybody may have chosen."""
    page = client(picture()).get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_only_get_and_only_the_right_host() -> None:
    """Other methods are refused; on loopback so are foreign host names (DNS rebinding); wider they are not."""
    for path in ("/livez", "/readyz", "/metrics", "/api/v1/status", "/"):
        assert client(picture()).post(path).status_code == 405
        assert client(picture()).get(path, headers={"host": "evil.example"}).status_code == 400
        assert client(picture(), loopback=False).get(path, headers={"host": "10.0.0.7:8080"}).status_code == 200
        assert "content-security-policy" in client(picture()).get(path).headers


def test_a_clock_that_is_minutes_off_is_said_once_each_time(capfd: pytest.CaptureFixture[str]) -> None:
    """When the clocks come to differ by more than a minute, and again only after they agreed again, not at each second around the minute."""
    facts = Telemetry(version="x", level="warning", json=True).account("stuut", "c")
    for offset_s in (59.0, 90.0, 59.0, 61.0, 2.0, -70.0):
        facts.clocks(offset_s)
    said = [line for line in "".join(capfd.readouterr()).splitlines() if "clocks differ" in line]
    assert [re.findall(r'"provider_ahead_s":\s*(-?\d+)', line) for line in said] == [["90"], ["-70"]]
