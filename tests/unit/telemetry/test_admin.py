"""The administration port: true, bounded, only GET, only for those it is meant for."""

from __future__ import annotations

import socket

import pytest
from starlette.testclient import TestClient

from poller.model import MINUTE
from poller.telemetry import admin
from poller.telemetry.facts import Telemetry
from poller.telemetry.snapshot import WorkerSnapshot
from tests.support.pictures import NOW, Shown, account, healthy, kafka_silent, starting, with_gap, worker

PATHS = (
    "/livez",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/status?account=heymarket/account-0",
    "/",
    "/accounts/heymarket/account-0",
    "/runbook",
)


def client(picture: WorkerSnapshot, *, loopback: bool = True, streams: int = 2) -> TestClient:
    """A client of the port."""
    telemetry = Telemetry(version="x", level="critical")
    telemetry.accounts((each.provider, each.account) for each in picture.accounts)
    return TestClient(admin.application(Shown(picture, streams), telemetry, loopback=loopback), base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize(
    ("picture", "code", "line"),
    [
        (healthy(), 200, "[+] shard 0 running"),
        (worker(), 200, "[+] joined the group"),
        (worker(joined=False), 503, "[-] joined the group: it has not said what this worker owns"),
        (worker(draining=True), 503, "[-] not stopping: a clean stop is under way"),
        (starting(), 503, "[-] shard 3 restoring at offset 5 of 9"),
        (kafka_silent(), 503, "[-] Kafka has not answered heartbeats for half a session: polling waits"),
    ],
    ids=["healthy", "no shard", "not joined", "stopping", "restoring", "Kafka silent"],
)
def test_readiness_tells_the_truth_and_why(picture: WorkerSnapshot, code: int, line: str) -> None:
    """Ready means joined, Kafka answering and every owned shard running; verbose says what is not, and why."""
    assert client(picture).get("/readyz").status_code == code
    assert line in client(picture).get("/readyz?verbose").text.splitlines()


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ("offset=0&limit=1", 1),
        ("offset=99999&limit=5", 1),
        ("offset=100000&limit=5", 0),
        ("offset=9999999&limit=5", 0),
        ("offset=99999999999999999999&limit=5", None),
        ("offset=0&limit=0", None),
        ("offset=-5&limit=-5", None),
        ("offset=x&limit=y", None),
        ("limit=1e9", None),
        ("offset=%F0%9F%98%80", None),
        ("limit=5&limit=6", None),
    ],
)
def test_whatever_part_of_the_streams_is_asked_for_an_answer_is_small(asked: str, listed: int | None) -> None:
    """Of a hundred thousand; what is no number is said, or taken for the usual one."""
    answer = client(healthy(), streams=100_000).get(f"/api/v1/status?account=heymarket/account-0&{asked}")
    assert answer.status_code in (200, 400)
    found = answer.json().get("streams", []) if answer.status_code == 200 else []
    assert len(found) <= admin.STREAMS_MAX
    assert listed is None or len(found) == listed


def test_the_streams_of_an_account_come_in_pages() -> None:
    """A hundred thousand streams do not make an answer heavy; each answer says where to go on, and those in trouble come first."""
    key, seen, offset = "heymarket/account-0", [], 0
    while offset is not None:
        page = client(healthy(), streams=2500).get(f"/api/v1/status?account={key}&offset={offset}&limit=999999").json()
        assert len(page["streams"]) <= admin.STREAMS_MAX
        seen += [stream["id"] for stream in page["streams"]]
        offset = page["next"]
    assert len(set(seen)) == 2500
    first = client(healthy(), streams=2500).get(f"/api/v1/status?account={key}").json()["streams"][0]
    assert (first["state"], first["trouble"]["kind"], first["trouble"]["since"]) == ("waiting", "gone", "2026-09-21T14:01:20Z")
    assert client(healthy()).get("/api/v1/status?account=other/one").status_code == 404


def test_the_status_holds_sums_and_not_single_streams() -> None:
    """Its size does not grow with the streams."""
    value = client(with_gap(), streams=100_000).get("/api/v1/status").json()
    accounts = [each for shard in value["shards"] for each in shard["accounts"]]
    assert accounts[0]["streams"] == {"polling": 2}
    assert accounts[0]["open_gaps"][0]["reason"] == "tie_group"
    assert value["elsewhere"] == [{"provider": "stuut", "account": "far", "shard": 9, "owner": "poller-1"}]


def test_pages_escape_what_they_show() -> None:
    """A thread id is a text that anybody may have chosen."""
    text = client(healthy()).get("/accounts/heymarket/account-0").text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_the_page_refreshes_itself_by_a_header_until_it_is_told_not_to() -> None:
    """No script is needed, and a reader can stop it."""
    assert client(healthy()).get("/").headers["refresh"] == "5"
    assert "refresh" not in client(healthy()).get("/?refresh=0").headers
    assert client(healthy()).get("/?refresh=soon").headers["refresh"] == "5"


def test_an_account_of_another_worker_is_said_with_its_owner() -> None:
    """Whoever looks at the wrong worker is sent to the right one."""
    text = client(with_gap()).get("/accounts/stuut/far").text
    assert "stuut/far is owned by poller-1 (shard 9)." in text
    assert "poller-1" in client(with_gap()).get("/").text
    assert client(with_gap()).get("/accounts/no/body").status_code == 404


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "offset=1e9", "offset=%00", "limit=0", "offset=99999999999999999999"])
def test_nonsense_in_a_query_is_taken_for_nothing(query: str) -> None:
    """It gives the first page, or an empty one, never an error."""
    assert client(healthy()).get(f"/api/v1/status?account=heymarket/account-0&{query}").status_code == 200


def test_only_get_and_only_the_right_host() -> None:
    """Other methods are refused; on loopback so are foreign host names (DNS rebinding); wider they are not."""
    for path in PATHS:
        assert client(healthy()).post(path).status_code == 405
        assert client(healthy()).get(path, headers={"host": "evil.example"}).status_code == 400
        answer = client(healthy(), loopback=False).get(path, headers={"host": "10.0.0.7:8080"})
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_what_waits_for_kafka_is_still_shown() -> None:
    """The accounts stay on the page, with the lag that grows."""
    text = client(kafka_silent()).get("/").text
    assert "Nothing is published: Kafka does not answer heartbeats" in text
    assert "fonedynamics/account-2" in text


def test_a_lag_never_falls_below_zero_and_grows_where_nothing_is_known() -> None:
    """A provider's clock that is ahead of its rows' stamps gives no negative lag; an account that is not restored counts from its ownership."""
    assert account(watermark=NOW + MINUTE).lag_s() == 0.0
    assert account(watermark=None, owned_since=NOW - MINUTE).lag_s() == 60.0
    assert account(watermark=NOW).later(NOW + MINUTE).lag_s() == 60.0


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", *(["::"] if socket.has_dualstack_ipv6() else [])])
def test_every_address_is_every_address_of_ipv4_as_well(host: str) -> None:
    """``[::]`` in a cluster of both families: the kubelet asks by the pod's first address, whichever that is."""
    with admin.listening(host, 0) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5):
        pass
