"""The log: fixed names, a message for people, trouble when it begins, changes, lasts and ends, never a flood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poller.coverage import ladder
from poller.errors import StreamGone, Unauthorized, Unavailable, Unreachable
from poller.model import DAY, HOUR, MINUTE, SECOND, Gap, Stream
from poller.polling.failures import Failures
from poller.polling.jobs import Sweep
from poller.polling.streams import StreamPoll
from poller.telemetry.account_facts import LINES_A_MINUTE
from poller.telemetry.facts import Telemetry
from poller.telemetry.log_events import EVENTS, NAMES
from tests.support.pictures import NOW, Clock, healthy, kafka_silent, starting

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock()


def telling(clock: Clock) -> Telemetry:
    """Telling everything, on the stderr of the test that calls."""
    return Telemetry(version="1.2.3", level="debug", worker="poller-0", clock=clock)


def said(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines since the last look."""
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_every_line_has_a_fixed_name_and_a_message_for_people(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """The name is of the list and holds no value; the message says it; version and worker are always there, and come first."""
    telemetry = telling(clock)
    telemetry.shard_state(3, "running")
    telemetry.account("stuut", "c").gap("stuut/c/t", Gap("tie_group", NOW, NOW + SECOND))
    for line in said(capfd):
        assert list(line)[:6] == ["timestamp", "level", "event", "message", "version", "worker"]
        assert line["event"] in NAMES
        assert (line["version"], line["worker"]) == ("1.2.3", "poller-0")
        assert " " in line["message"]


def test_the_list_of_names_is_that_of_the_code() -> None:
    """Each name is said somewhere, and nothing else is."""
    text = "".join(path.read_text() for path in sorted((ROOT / "poller" / "telemetry").glob("*facts.py")))
    assert set(re.findall(r'say\(\s*(?:"\w+"|"info" if [^,]+),\s*"(\w+)"', text)) == NAMES
    assert len({event.name for event in EVENTS}) == len(EVENTS)


def test_trouble_is_said_when_it_begins_changes_lasts_and_ends(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """At most once a minute while it lasts; its end once, with how long it was."""
    telemetry = telling(clock)
    facts, lines = telemetry.account("stuut", "c"), []
    for second in range(150):
        clock.at = float(second)
        facts.trouble("stuut/c/t", Unreachable() if second < 100 else StreamGone(), 1.0)
        lines += [(second, line["event"], line["kind"], line["level"]) for line in said(capfd)]
    assert lines == [
        (0, "trouble", "unreachable", "warning"),
        (60, "trouble", "unreachable", "warning"),
        (100, "trouble", "gone", "warning"),
    ]
    facts.well("stuut/c/t")
    facts.well("stuut/c/t")
    [over] = said(capfd)
    assert (over["event"], over["seconds"]) == ("trouble_over", 149)


def test_an_outage_of_ten_thousand_streams_is_no_flood(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """Some lines a minute, not ten thousand."""
    telemetry = telling(clock)
    facts = telemetry.account("stuut", "c")
    for number in range(10_000):
        facts.trouble(f"stuut/c/{number}", Unreachable(), 1.0)
    assert len(said(capfd)) == LINES_A_MINUTE


def test_what_comes_and_goes_drowns_no_other_trouble(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """After a minute of errors that pass, refused credentials are said at once; a trouble that found no room is said when there is some."""
    telemetry = telling(clock)
    facts = telemetry.account("stuut", "c")
    for tenth in range(640):
        clock.at = tenth / 10
        facts.trouble("stuut/c/t", Unreachable(), 1.0)
        facts.well("stuut/c/t")
    assert len(said(capfd)) <= 4 * LINES_A_MINUTE
    facts.trouble("stuut/c", Unauthorized(), 1.0)
    assert [line["kind"] for line in said(capfd)] == ["unauthorized"]
    for tenth in range(640, 1400):
        clock.at = tenth / 10
        facts.trouble("stuut/c/u", Unreachable(), 1.0)
    first = said(capfd)[0]
    assert (first["stream"], first["kind"]) == ("stuut/c/u", "unreachable")


LADDER = ladder.build(interval=5 * SECOND, overlap=10 * MINUTE, status_horizon=3 * DAY, every=6 * HOUR, back=7 * DAY)


def test_what_a_job_waited_for_is_said_when_it_is_over(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """By its own name, and only where it came further."""
    facts = telling(clock).account("stuut", "c")
    poll, job = StreamPoll(Stream("stuut", "c", "t"), LADDER), Sweep(0)
    failures = Failures(SimpleNamespace(interval_s=5.0), None, None, None, facts, clock)  # type: ignore[arg-type]
    failures.of_walk(poll, job, StreamGone())
    failures.over(poll, job)
    poll.of(job).gets_on(0, ended=True)
    clock.at += 30
    failures.over(poll, job)
    failures.over(poll, job)
    begun, over = said(capfd)
    assert [(line["event"], line["stream"], line["job"]) for line in (begun, over)] == [
        (each, "stuut/c/t", "live") for each in ("trouble", "trouble_over")
    ]


def test_kafkas_silence_is_said_though_nothing_fails(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """At warning, at the next look, then once a minute, then that it is over; a start is trouble only when it lasts."""
    telemetry = telling(clock)
    lines = []
    for second in range(0, 120, 4):
        clock.at = float(second)
        telemetry.watched(healthy() if second in (0, 116) else kafka_silent())
        lines += [(second, line["event"], line["level"]) for line in said(capfd)]
    assert lines == [(4, "kafka_trouble", "warning"), (64, "kafka_trouble", "warning"), (116, "kafka_trouble_over", "warning")]
    for second in (200, 204, 208):
        clock.at = float(second)
        telemetry.watched(starting())
        lines.extend((second, line["event"], line["message"]) for line in said(capfd))
    assert lines[3:] == [
        (208, "kafka_trouble", "shard 3: nothing is polled or published: state is being restored; shard 3 is restoring: 5 of 9 records")
    ]


def test_a_shards_trouble_says_its_fix_once(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """Every two seconds for ever was too often."""
    telemetry = telling(clock)
    for _ in range(10):
        telemetry.kafka_trouble(Unavailable("no broker answers", fix="start Kafka"), "shard 3")
    telemetry.well("shard 3")
    begun, over = said(capfd)
    assert (begun["fix"], begun["level"], over["event"]) == ("start Kafka", "warning", "kafka_trouble_over")


def test_a_trouble_is_not_said_twice_in_one_sentence(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """What an error says may begin with what its kind is called."""
    telemetry = telling(clock)
    telemetry.kafka_trouble(Unavailable("Kafka cannot be reached (ConnectionRefusedError)"), "start")
    telemetry.kafka_trouble(Unavailable("no broker answers"), "shard 3")
    assert [each["message"] for each in said(capfd)] == [
        "start: Kafka cannot be reached (ConnectionRefusedError)",
        "shard 3: Kafka cannot be reached; no broker answers",
    ]


def test_ecs_names_everything_as_the_schema_does(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """Only names of the Elastic Common Schema at the top; our facts lie under one key of ours."""
    Telemetry(version="1.2.3", form="ecs", worker="poller-0", clock=clock).shard_state(3, "running")
    [line] = said(capfd)
    assert line.pop("@timestamp").endswith("Z")
    assert line == {
        "log.level": "info",
        "event.action": "shard_state",
        "message": "shard 3 is running",
        "service.version": "1.2.3",
        "service.node.name": "poller-0",
        "ecs.version": "8.17",
        "service.name": "poller",
        "poller": {"shard": 3, "state": "running"},
    }


def test_on_a_terminal_the_message_is_what_is_read(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """Not the same version and worker on every line."""
    Telemetry(version="1.2.3", form="console", worker="poller-0", clock=clock).shard_state(3, "running")
    text = capfd.readouterr().err
    assert "shard 3 is running" in text
    assert "poller-0" not in text


def test_a_clock_that_is_minutes_off_is_said_once_each_time(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    """When the clocks come to differ by more than a minute, and again only after they agreed, not at each second around the minute."""
    telemetry = telling(clock)
    facts = telemetry.account("stuut", "c")
    for offset_s in (59.0, 90.0, 59.0, 61.0, 2.0, -70.0):
        facts.clocks(offset_s)
    assert [(line["event"], line["provider_ahead_s"]) for line in said(capfd)] == [
        ("clocks_differ", 90),
        ("clocks_agree", 2),
        ("clocks_differ", -70),
    ]
