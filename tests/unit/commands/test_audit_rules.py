"""The judge of what was published: a good history has no findings, and every single fault is found."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from poller.commands.audit_rules import Audit
from poller.model import DAY, HOUR, SECOND

Fed = tuple[str, str, dict[str, str], int | None, int]
START = 1_790_000_000 * SECOND


def history(seed: int, transactions: int = 60) -> list[Fed]:
    """What a shard publishes: messages with rising revisions over two topics, dead letters now and then."""
    rng = random.Random(seed)
    revisions: dict[str, int] = {}
    records: list[Fed] = []
    for number in range(1, transactions + 1):
        size = rng.randrange(1, 5)
        headers = {"ce_pollershard": "3", "ce_pollertxn": str(number), "ce_pollertxnsize": str(size)}
        time = START + number * HOUR
        for _ in range(size):
            key = f"stuut/a/{rng.randrange(12)}"
            if rng.random() < 0.1:
                records.append(("dead_letters", "", {**headers, "ce_id": f"stuut/a/dead/{len(records)}"}, None, time))
                continue
            revisions[key] = revisions.get(key, 0) + 1
            records.append((rng.choice(("messages", "status")), key, headers, revisions[key], time))
    return records


def by_topic(records: list[Fed]) -> Iterator[Fed]:
    """As they are read: topic by topic."""
    for topic in ("messages", "status", "dead_letters"):
        yield from (record for record in records if record[0] == topic)


def kinds(
    records: list[Fed],
    edge: int | None = None,
    known: dict[int, int] | None = None,
    *,
    newest: dict[int, int] | None = None,
    undecided: list[Fed] | None = None,
    rebuilt: int = 0,
) -> set[str]:
    """What the judge finds."""
    audit = Audit(edge, known or {}, rebuilt=rebuilt)
    for record in by_topic(records):
        audit.feed(*record)
    for _, key, headers, revision, _ in undecided or ():
        audit.undecided(key, headers, revision)
    return {finding.kind for finding in audit.findings(newest or {})}


@given(st.integers(0, 1 << 30))
def test_a_good_history_has_no_findings(seed: int) -> None:
    """Read whole, or from any time on, or up to any point."""
    records = history(seed)
    assert not kinds(records)
    cut = START + (seed % 60) * HOUR
    assert not kinds([record for record in records if record[4] >= cut], edge=cut)


@given(st.integers(0, 1 << 30), st.data())
def test_a_record_that_is_missing_is_found(seed: int, data: st.DataObject) -> None:
    """As a torn or lost transaction, unless it is the newest one, which may still be under way."""
    records = history(seed)
    place = data.draw(st.integers(0, len(records) - 1))
    gone = records[place]
    found = kinds(records[:place] + records[place + 1 :])
    assert found & {"torn", "lost"} or gone[2]["ce_pollertxn"] == "60"


@given(st.integers(0, 1 << 30), st.data())
def test_a_record_that_came_twice_is_found(seed: int, data: st.DataObject) -> None:
    """A revision of a message exists once."""
    records = history(seed)
    place = data.draw(st.sampled_from([n for n, record in enumerate(records) if record[3] is not None]))
    assert "duplicate" in kinds([*records, records[place]])


def test_revisions_that_go_back_in_a_topic_are_found() -> None:
    """Within one topic the revisions of a message rise."""
    headers = {"ce_pollershard": "0", "ce_pollertxn": "1", "ce_pollertxnsize": "2"}
    assert kinds([("messages", "k", headers, 2, START), ("messages", "k", headers, 1, START)]) == {"disorder"}


def test_a_gap_in_the_revisions_is_found_unless_it_is_before_the_edge() -> None:
    """1 and 3 without 2; read from a time on, the first revisions may lie before it."""
    headers = {"ce_pollershard": "0", "ce_pollertxn": "1", "ce_pollertxnsize": "2"}
    records: list[Fed] = [("messages", "k", headers, 3, START), ("messages", "k", headers, 4, START)]
    assert kinds(records) == {"gap"}
    assert not kinds(records, edge=START)
    later: list[Fed] = [("messages", "k", headers, revision, START + DAY) for revision in (3, 5)]
    assert kinds(later, edge=START) == {"gap"}


@given(st.integers(0, 1 << 30), st.data())
def test_what_the_state_knows_is_missed_to_the_last_record(seed: int, data: st.DataObject) -> None:
    """The state says which transaction was the newest: a torn or lost tail, and a shard of which nothing is left, are found."""
    records = history(seed)
    assert not kinds(records, known={3: 60})
    place = data.draw(st.integers(0, len(records) - 1))
    assert kinds(records[:place] + records[place + 1 :], known={3: 60}) & {"torn", "lost"}
    assert kinds([record for record in records if record[2]["ce_pollertxn"] != "60"], known={3: 60}) == {"lost"}
    assert kinds([], known={3: 60}) == {"lost"}
    assert not kinds([], known={3: 0})
    assert not kinds([], known={3: 60}, edge=START)


@given(st.integers(0, 1 << 30), st.integers(1, 59), st.randoms(use_true_random=False))
def test_what_workers_publish_meanwhile_raises_no_alarm(seed: int, known: int, rng: random.Random) -> None:
    """The topics' ends are not taken at one instant: of what is newer than the state was, any part may be missing."""
    records = history(seed)
    seen = [record for record in records if int(record[2]["ce_pollertxn"]) <= known or rng.random() < 0.5]
    assert not kinds(seen, known={3: known}, newest={3: 60})


@given(st.integers(0, 1 << 30), st.randoms(use_true_random=False))
def test_what_lies_behind_an_open_transaction_is_not_judged(seed: int, rng: random.Random) -> None:
    """It may still be committed; what stays missing is found all the same."""
    records = history(seed)
    hidden = [record for record in records if rng.random() < 0.3]
    seen = [record for record in records if record not in hidden]
    assert not kinds(seen, known={3: 60}, undecided=hidden)
    if len(seen) > 1:
        gone = rng.choice(seen)
        others = {record[2]["ce_pollertxn"] for record in hidden}
        found = kinds([record for record in seen if record is not gone], known={3: 60}, undecided=hidden)
        assert found & {"torn", "lost", "gap"} or gone[2]["ce_pollertxn"] in others


@given(st.integers(0, 1 << 30), st.integers(1, 59), st.sampled_from(("messages", "status", "dead_letters")))
def test_a_topic_that_lost_its_beginning_raises_no_alarm(seed: int, hours: int, topic: str) -> None:
    """Retention differs from topic to topic: transactions and revisions of before its edge are incomplete, and that is no fault."""
    edge = START + hours * HOUR
    left = [record for record in history(seed) if record[0] != topic or record[4] >= edge]
    assert not kinds(left, edge=edge, known={3: 60})


def test_a_revision_that_begins_anew_far_above_is_no_gap_where_a_topic_lost_what_was_between() -> None:
    """After a rebuild; without a lost beginning it is one."""
    old, new = ({"ce_pollershard": "0", "ce_pollertxn": str(number), "ce_pollertxnsize": "1"} for number in (1, 2))
    records: list[Fed] = [("messages", "k", old, 1, START), ("messages", "k", new, 10_002, START + DAY)]
    assert not kinds(records, edge=START)
    assert kinds(records) == {"gap"}
    assert kinds([*records, ("messages", "k", {**new, "ce_pollertxn": "3"}, 10_004, START + DAY)], edge=START) == {"gap"}
    assert kinds([*records, records[1]], edge=START) == {"duplicate"}


def test_a_dead_letter_comes_once_while_it_is_listed() -> None:
    """Twice within the time that it is remembered is a double, in one transaction or in two; not after it was forgotten, or a rebuild."""

    def dead(number: int, size: int, time: int) -> Fed:
        headers = {"ce_pollershard": "0", "ce_pollertxn": str(number), "ce_pollertxnsize": str(size), "ce_id": "stuut/a/dead/1"}
        return ("dead_letters", "", headers, None, time)

    assert kinds([dead(1, 1, START), dead(1, 1, START)]) == {"duplicate"}
    assert kinds([dead(1, 1, START), dead(2, 1, START + DAY)]) == {"duplicate"}
    assert not kinds([dead(1, 1, START), dead(2, 1, START + 31 * DAY)])
    assert not kinds([dead(1, 1, START), dead(2, 1, START + DAY)], rebuilt=START + HOUR)
    assert kinds([dead(1, 1, START), dead(2, 1, START + DAY)], rebuilt=START + 2 * DAY) == {"duplicate"}


def test_what_the_state_does_not_know_of_is_found() -> None:
    """Transactions above the state's newest, read after the topics: the state lost its own tail, and would publish again."""
    records = history(2)
    assert kinds(records, known={3: 50}, newest={3: 50}) == {"unknown to the state"}
    assert not kinds(records, known={3: 50}, newest={3: 61})


def test_numbers_that_nobody_wrote_are_said_and_break_nothing() -> None:
    """Records of other programs, with headers that look like ours."""
    for shard, number, size in (("x", "1", "1"), ("0", "0", "1"), ("0", "-5", "1"), ("0", "1", "0"), ("0", "1", "")):
        headers = {"ce_pollershard": shard, "ce_pollertxn": number, "ce_pollertxnsize": size}
        assert kinds([("messages", "k", headers, 1, START)]) == {"not from poller"}
    good = {"ce_pollershard": "0", "ce_pollertxn": "1", "ce_pollertxnsize": "1"}
    assert "gap" in kinds([("messages", "k", good, 0, START)])
    assert "gap" in kinds([("messages", "k", good, 1 << 40, START)])


def latest_of(records: list[Fed], since: int) -> list[tuple[str, dict[str, str], int]]:
    """The topic of latest messages as it would be, had it been named with a transaction: one record for each event, none compacted."""
    events = [(key, headers, revision) for _, key, headers, revision, _ in records if revision is not None]
    return [each for each in events if int(each[1]["ce_pollertxn"]) >= since]


def with_latest(records: list[Fed], latest: list[tuple[str, dict[str, str], int]]) -> list[str]:
    """What the judge finds."""
    audit = Audit()
    for record in latest:
        audit.latest(*record)
    for record in by_topic(records):
        audit.feed(*record)
    return [finding.kind for finding in audit.findings()]


@given(st.integers(0, 1 << 30), st.integers(1, 60), st.data())
def test_latest_messages_are_held_against_the_events(seed: int, since: int, data: st.DataObject) -> None:
    """Named at any time and compacted in any way, a good topic has no findings; a record that is missing or goes back is found."""
    records = history(seed)
    latest = latest_of(records, since)
    newest = {key: place for place, (key, _, _) in enumerate(latest)}
    compacted = [each for place, each in enumerate(latest) if place == newest[each[0]] or data.draw(st.booleans())]
    assert with_latest(records, compacted) == []
    if not newest:
        return
    lost = data.draw(st.sampled_from(sorted(newest.values())))
    left = [each for place, each in enumerate(latest) if place != lost and place in newest.values()]
    if any(int(headers["ce_pollertxn"]) < int(latest[lost][1]["ce_pollertxn"]) for _, headers, _ in left):
        assert with_latest(records, left) == ["latest behind"]
    assert "latest went back" in with_latest(records, [*latest, latest[lost]])
