"""What a rebuild learns from the topics, of messages whose events are no more."""

from __future__ import annotations

import msgspec
import pytest

from poller.commands.audit_rules import EDGE
from poller.commands.history import FAR, History
from poller.kafka.port import LATEST, MESSAGES
from poller.kafka.public_topics import Published
from poller.model import DAY, HOUR, SECOND
from poller.times import parse_rfc3339
from tests.house.test_schemas import examples

PUBLISHED = 1_795_166_111 * SECOND


def told(role: str, event_type: str, revision: int) -> Published:
    """A golden example as a record of a topic, at a revision."""
    example = examples()[event_type]
    return Published(role, example["key"], example["headers"], msgspec.json.encode(example["value"] | {"revision": revision}), PUBLISHED)


@pytest.mark.parametrize(
    ("told_before", "cut", "expected"),
    [
        ((), None, 9),
        ((1,), None, 9),
        ((1, 2, 3), None, 9),
        ((12,), None, 12),
        ((1,), PUBLISHED - HOUR, 9),
        ((1,), PUBLISHED - EDGE, 9 + FAR),
        ((), PUBLISHED, 9 + FAR),
        ((1,), PUBLISHED + DAY, 9 + FAR),
        ((12,), PUBLISHED + DAY, 12 + FAR),
    ],
)
def test_a_revision_begins_above_all_that_may_have_been_published(told_before: tuple[int, ...], cut: int | None, expected: int) -> None:
    """Only where a topic lost what a message's newest event is as old as, or nearly, may there have been later ones."""
    history = History(messages={}, dead={}, sequences={}, cut=cut)
    for revision in told_before:
        history.learn(told(MESSAGES, "sms.message.created.v1", revision))
    history.learn(told(LATEST, "sms.message.latest.v1", 9))
    [message] = history.messages.values()
    assert history.revision(message) == expected


def test_a_message_whose_events_are_gone_is_known_by_its_latest() -> None:
    """Its revision, its status, its times and the transaction: the next event goes on from there, and the topic never goes back."""
    history = History(messages={}, dead={}, sequences={})
    history.learn(told(MESSAGES, "sms.message.created.v1", 1))
    history.learn(told(LATEST, "sms.message.latest.v1", 9))
    [message] = history.messages.values()
    created = parse_rfc3339("2026-11-20T09:15:00Z")
    assert created is not None
    assert (message.revision, message.status, message.final, message.position) == (9, "delivered", True, created.instant)
    assert (history.revision(message), history.sequences, history.strangers) == (9, {3: 41}, 0)
    history.cut = PUBLISHED
    assert history.revision(message) == 9 + FAR


def test_an_erased_message_is_no_strangers_record_of_a_message() -> None:
    """A record without a value, as an operator writes it to erase somebody, tells of no message."""
    history = History(messages={}, dead={}, sequences={})
    history.learn(Published(LATEST, "stuut/a/1", {}, b"", PUBLISHED))
    assert history.messages == {}
