"""The judge of the simulated providers: it names every fault, and only that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from poller.demo.command import ACCOUNTS
from poller.demo.simulator.judge import Flag, Verdict, judge
from poller.demo.simulator.profiles import STUUT
from poller.demo.simulator.shelf import OTHERS
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.truth import Published
from poller.model import SECOND
from poller.telemetry.event_types import DEAD_LETTER
from poller.times import format_rfc3339
from tests.support.first_seen import Terms, observed, waits
from tests.support.story import START, Story

AT = START + 3600 * SECOND


@pytest.fixture(scope="module")
def played() -> tuple[Story, list[Published]]:
    """A history that is right, and its events."""
    story = Story(3, crash_s=None, seconds=20.0)
    assert story.play().good
    return story, story.published()


def judged(story: Story, events: list[Published], *flags: Flag) -> Verdict:
    """Its verdict with other events."""
    return judge(story.world, events, accounts=ACCOUNTS, now=AT, flags=flags)


def contents(event: Published) -> bool:
    """Whether it has the contents of a message."""
    return not status(event)


def status(event: Published) -> bool:
    """Whether it tells of a status."""
    return event.type.startswith("sms.message.status-changed")


def classified(event: Published) -> bool:
    """Whether it tells of a classification."""
    return bool((event.value.get("provider_data") or {}).get("classifications"))


def final(event: Published) -> bool:
    """Whether it tells of the end."""
    return status(event) and event.value["final"]


def moved(event: Published) -> bool:
    """Whether it tells of a status after another."""
    return status(event) and "previous_status" in event.value


def again(event: Published, status: str | None = None) -> Published:
    """The next event of the message: the same, or with another status."""
    told = {**event.value, "revision": event.revision + 1, "previous_status": event.value.get("previous_status")}
    told |= {"status": status, "previous_status": event.value["status"]} if status else {}
    return event._replace(id=event.id + "again", revision=event.revision + 1, value=told)


UPDATED = "sms.message.updated.v1"
FAULTS: dict[str, tuple[str, Callable[[Published], bool], Callable[[Published], list[Published]]]] = {
    "a message that was not published": ("missing", lambda e: e.type.startswith("sms.message.created"), lambda e: []),
    "an event that came twice": ("duplicates", contents, lambda e: [e, e]),
    "a message that is not there": ("duplicates", contents, lambda e: [e, e._replace(key="heymarket/main/1", id="x", revision=1)]),
    "a change of a message that is not there": ("duplicates", status, lambda e: [e, e._replace(key="heymarket/main/1", id="x", revision=1)]),
    "a revision that is left out": ("out_of_order", status, lambda e: [e._replace(revision=e.revision + 1)]),
    "a dead letter of what can be read": ("duplicates", contents, lambda e: [e, e._replace(type=DEAD_LETTER, id="x", revision=0)]),
    "an old status": ("stale", status, lambda e: [e._replace(value={**e.value, "status": "unknown"})]),
    "another text": ("stale", contents, lambda e: [e._replace(value={**e.value, "text": "another"})]),
    "another direction": ("stale", contents, lambda e: [e._replace(value={**e.value, "direction": "unknown"})]),
    "a text that is left out": ("stale", contents, lambda e: [e._replace(value={n: v for n, v in e.value.items() if n != "text"})]),
    "another sender": ("stale", contents, lambda e: [e._replace(value={**e.value, "from": "+14155550999"})]),
    "another date": ("stale", contents, lambda e: [e._replace(value={**e.value, "created_at": "2026-09-21T14:13:20Z"})]),
    "another conversation": ("stale", contents, lambda e: [e._replace(value={**e.value, "conversation_id": "x"})]),
    "another word of the provider": ("stale", status, lambda e: [e._replace(value={**e.value, "provider_status": "x"})]),
    "a message that is not final": ("stale", final, lambda e: [e._replace(value={**e.value, "final": False})]),
    "another message's id": ("stale", contents, lambda e: [e._replace(value={**e.value, "message_id": "x"})]),
    "a status that is told twice": ("out_of_order", moved, lambda e: [e, again(e, e.value["status"])]),
    "a status that goes back": ("out_of_order", moved, lambda e: [e, again(e, e.value["previous_status"])]),
    "a status before that was another": ("out_of_order", moved, lambda e: [e._replace(value={**e.value, "previous_status": "draft"})]),
    "an update of nothing": ("duplicates", lambda e: e.type == UPDATED, lambda e: [e, again(e)]),
    "an update that names another field": ("stale", lambda e: e.type == UPDATED, lambda e: [e._replace(value={**e.value, "changed": ["media"]})]),
    "a classification that is left out": ("stale", classified, lambda e: [e._replace(value={**e.value, "provider_data": None})]),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(played: tuple[Story, list[Published]], fault: str) -> None:
    """One event that is wrong makes the verdict bad, with its message under the right word."""
    story, events = played
    kind, fits, broken = FAULTS[fault]
    newest = {event.key: event for event in events if fits(event)}
    victim = list(newest.values())[len(newest) // 2]
    verdict = judged(story, [each for event in events for each in (broken(event) if event is victim else [event])])
    assert not verdict.good
    assert getattr(verdict, kind), verdict


def test_what_was_said_to_be_missing_is_not_silently_so(played: tuple[Story, list[Published]]) -> None:
    """Of two streams without a single event only the one that something was said about is excused."""
    story, events = played
    assert judged(story, events).good
    left = [event for event in events if not event.key.startswith(STUUT)]
    silent = judged(story, left)
    assert silent.missing
    assert not silent.flagged
    told = judged(story, left, Flag(STUUT, "thr_1"), Flag(STUUT, "thr_2", START - SECOND, START))
    assert told.flagged
    assert told.missing
    assert len(told.flagged) + len(told.missing) == len(silent.missing)


def test_a_row_that_cannot_be_read_is_missed_where_it_is_no_dead_letter() -> None:
    """And comments and e-mails are not missed at all."""
    story = Story(4, Switches(others=0.5), crash_s=None, seconds=20.0)
    assert story.play().good
    dead = [event.key for event in story.published() if event.type == DEAD_LETTER]
    assert {sms.kind for sms in story.world.all()} == {"", *OTHERS}
    verdict = judged(story, [event for event in story.published() if event.key != dead[0]])
    assert verdict.missing == [dead[0]]
    assert not verdict.duplicates


def test_events_that_are_read_in_another_order_are_out_of_order(played: tuple[Story, list[Published]]) -> None:
    """Whatever their revisions say: a reader of one topic gets them one after another."""
    story, events = played
    assert judged(story, events).good
    assert judged(story, events[::-1]).out_of_order


def test_a_new_message_that_waits_too_long_is_named_unless_its_stream_had_to_wait(played: tuple[Story, list[Published]]) -> None:
    """An answer that came a minute late breaks the law; not where the account was told to wait for that minute, nor while nobody polled."""
    story, events = played
    terms, life = Terms(1.0, 0.2, 28.0), [(START + SECOND, START + 20 * SECOND)]
    found = waits(story.world, events, terms, lives=life, held={})
    fone = next(wait for wait in found if wait.id.startswith("M"))
    at = next(n for n, event in enumerate(events) if event.key.endswith(fone.id) and event.type.startswith("sms.message.created"))
    seen = observed(events)[fone.id]
    late = events.copy()
    late[at] = events[at]._replace(value=events[at].value | {"observed_at": format_rfc3339(seen + 60 * SECOND)})
    wide = [(START + SECOND, START + 200 * SECOND)]
    held = {"fonedynamics/sydney": [(seen, seen + 60 * SECOND)]}
    assert [wait.id for wait in waits(story.world, late, terms, lives=wide, held={}) if wait.ratio > 20] == [fone.id]
    assert not [wait.id for wait in waits(story.world, late, terms, lives=wide, held=held) if wait.ratio > 20]
    assert fone.id not in [wait.id for wait in waits(story.world, late, terms, lives=[(START, START + SECOND // 2)], held={})]
