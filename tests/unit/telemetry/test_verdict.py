"""The verdict: one sentence, true, the same for the page and the terminal."""

from __future__ import annotations

import msgspec
import pytest

from poller.coverage import ladder
from poller.errors import PollerError, Unreachable
from poller.model import DAY, HOUR, MINUTE, SECOND
from poller.providers.registry import BUILT_IN, provider_of
from poller.telemetry import known, snapshot, status_json
from poller.telemetry.kinds import KINDS, gap_words
from poller.telemetry.known import kinds_of
from poller.telemetry.snapshot import Trouble
from poller.telemetry.verdict import _RUNG, DOWN, HEALTHY, STARTING, TROUBLE, duration, verdict
from tests.support.pictures import NOW, PICTURES, account, healthy, kafka_silent, sick, standing, starting, stream, with_gap, worker


def test_all_well_is_said_with_counts_newest_poll_and_largest_lag() -> None:
    """The sentence of the operations page."""
    found = verdict(healthy(48))
    assert (found.level, found.findings) == (HEALTHY, ())
    assert found.sentence == "Healthy: 48 accounts, newest poll 3 s ago, largest lag 52 s."


@pytest.mark.parametrize(
    ("picture", "level", "sentence"),
    [
        (sick("unauthorized"), TROUBLE, "1 of 3 accounts in trouble: fonedynamics/account-2 has its credentials refused (401), for 12 min now."),
        (sick("gone"), TROUBLE, "1 of 3 accounts in trouble: 1 stream of fonedynamics/account-2 is not found, or not ours to read (404), for 12 min now."),
        (kafka_silent(), DOWN, "Nothing is published: Kafka does not answer heartbeats, for 60 s now."),
        (starting(), STARTING, "State is being restored: shard 3 is restoring: 5 of 9 records."),
        (with_gap(), TROUBLE, "Polling, but 1 possible gap open, 3 accounts, 1 more at other workers, newest poll 3 s ago, largest lag 7 s."),
        (PICTURES["first-look-back"], HEALTHY, "Healthy: 1 account, newest poll 3 s ago, 1 in the first look-back."),
        (PICTURES["lagging"], TROUBLE, "1 of 2 accounts in trouble: heymarket/account-0: every request succeeds, but the oldest watermark is "
                                       "2 h old."),
        (standing(), TROUBLE, "1 of 1 account in trouble: heymarket/account-0: new messages are asked for, but the live sweep of "
                              "heymarket/account-0/team waits at a page (not found or not ours, HTTP 404), for 12 min now."),
        (worker(), HEALTHY, "Healthy: no account is owned here."),
        (worker(joined=False), STARTING, "Starting: the group has not said what this worker owns."),
    ],
    ids=["401", "404", "kafka", "restoring", "gap", "first look-back", "lag", "standing", "no account", "not joined"],
)  # fmt: skip
def test_each_state_has_its_level_and_its_sentence(picture: snapshot.WorkerSnapshot, level: str, sentence: str) -> None:
    """Word for word."""
    found = verdict(picture)
    assert (found.level, found.sentence) == (level, sentence)


@pytest.mark.parametrize(
    ("name", "level"), [("live", TROUBLE), ("ahead", TROUBLE), ("7d", TROUBLE), ("backfill", HEALTHY), ("audit", HEALTHY)]
)
@pytest.mark.parametrize("looks_back", [0, 1])
def test_a_sweep_that_stands_is_trouble_also_in_a_first_look_back(name: str, level: str, looks_back: int) -> None:
    """However deep its rung; a side query or a backfill that stands is said in its own place."""
    gone = Trouble(kind="gone", code=404, since=NOW - 60 * SECOND, failures=3)
    shown = stream("heymarket/account-0/team", standing={name: gone})
    found = verdict(worker(account(0, standing=(shown,), first_look_back=looks_back)))
    assert found.level == level
    assert (f"the {name} sweep of heymarket/account-0/team waits at a page" in found.sentence) == (level == TROUBLE)


def test_every_rung_has_a_name_that_is_known_for_one_and_no_side_query_has() -> None:
    """From a look-back of an hour to one of 400 days."""
    for hours in (1, 6, 168, 9600):
        rungs = ladder.build(interval=15 * SECOND, overlap=10 * MINUTE, status_horizon=HOUR, every=hours * HOUR // 8, back=hours * HOUR)
        assert all(_RUNG.fullmatch(ladder.name(rung)) for rung in rungs), [ladder.name(rung) for rung in rungs]
    names = {query.name for name in BUILT_IN for query in provider_of(name).side_queries} | {"backfill", "edge", "rest"}
    assert not [name for name in names if _RUNG.fullmatch(name)]


def test_many_in_trouble_are_counted_and_only_some_are_named() -> None:
    """Forty accounts that are refused give a sentence that can still be read."""
    refused = Trouble(kind="unauthorized", code=401, since=NOW - 60 * SECOND)
    found = verdict(worker(*(account(number, state="unauthorized", trouble=refused) for number in range(40))))
    assert found.sentence.startswith("40 of 40 accounts in trouble: heymarket/account-0 has its credentials refused (401), for 60 s now; ")
    assert found.sentence.endswith("; and 37 more.")
    assert len(found.findings) == 40


def test_streams_of_one_kind_are_one_finding_with_their_number() -> None:
    """A hundred thousand streams that fail alike are one line."""
    gone = stream("stuut/account-1/thr_1", state="waiting", trouble=Trouble(kind="gone", code=404, since=NOW - 60 * SECOND))
    found = verdict(worker(account(1, in_trouble={"gone": 100_000}, worst=(gone,))))
    [finding] = found.findings
    assert (finding.what, finding.count, finding.runbook) == ("stuut/account-1: 100000 streams", 100_000, "gone")
    assert (
        found.sentence
        == "1 of 1 account in trouble: 100,000 streams of stuut/account-1 are not found, or not ours to read (404), for 60 s now."
    )


def test_several_workers_give_one_verdict() -> None:
    """What one worker owns is not said to be elsewhere by another; the worst of them counts."""
    one, two = with_gap(), worker(account(9, provider="stuut", account="far"))
    assert "other workers" not in verdict(one, two).sentence
    assert verdict(one, kafka_silent()).level == DOWN


def test_every_kind_of_error_has_its_words() -> None:
    """No kind of ours is shown by its bare name."""
    assert set(kinds_of(PollerError)) - {"usage"} <= KINDS.keys()


@pytest.mark.parametrize("name", PICTURES)
def test_the_status_is_read_back_as_it_was_written(name: str) -> None:
    """`poller status` sees what the worker saw, to the microsecond."""
    picture = PICTURES[name]
    body = status_json.encode(picture)
    assert status_json.decode(body) == picture
    assert msgspec.json.decode(body)["verdict"]["sentence"] == verdict(picture).sentence


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"version": 1}', b"\xff"])
def test_what_is_no_status_is_refused(body: bytes) -> None:
    """Another server's answer, or none."""
    with pytest.raises(Unreachable):
        status_json.decode(body)


def test_every_instant_of_a_picture_is_text_in_the_status() -> None:
    """A field that is an instant and is not in the list would be printed as microseconds."""
    structs = [each for each in vars(snapshot).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    instants = {name for each in structs for name, kind in each.__annotations__.items() if kind.startswith("Instant")}
    assert instants - {"now"} == status_json.INSTANTS - {"now"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.2, "1 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (2 * DAY / SECOND, "2 days")],
)
def test_lengths_of_time_are_short(seconds: float, text: str) -> None:
    """Two figures at most, in the unit that people would use."""
    assert duration(seconds) == text


def test_a_lag_that_something_explains_is_no_finding_of_its_own() -> None:
    """While Kafka is silent, a shard restores or an account waits, nobody says that every request succeeds."""
    old = NOW - 3600 * SECOND
    silent = Trouble(kind="kafka_silent", since=old)
    waiting = account(0, state="waiting", watermark=old)
    for picture in (worker(account(0, watermark=old), problems=(silent,)), starting(), worker(waiting)):
        assert "lag" not in {finding.trouble.kind for finding in verdict(picture).findings}
    assert [finding.trouble.kind for finding in verdict(worker(account(0, watermark=old))).findings] == ["lag"]


@pytest.mark.parametrize("reason", known.GAPS)
def test_every_reason_of_a_gap_is_told_in_words(reason: str) -> None:
    """Who is on call need not know what a tie group is."""
    assert len(gap_words(reason).split()) > 3
    assert gap_words("a_new_reason") == "a new reason"
